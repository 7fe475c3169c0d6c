"""Which inputs are let in, and how ffmpeg's libraries may open them.

``decide`` is pure; ``check`` looks at the disk. Nothing but a ``Source`` is ever handed to ffmpeg or PyAV: a
local file as ``file:`` with its whole path, so that no name is taken for an option or a protocol, and a URL
with lists of the protocols and formats it may lead to (a playlist can name further inputs).
"""

from __future__ import annotations

import os
import re
import stat
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import unquote, urlsplit

from skald_blocks.media_store import MediaStoreError, checked_name, skald_home
from skald_bridge.domain.errors import InvalidInput
from skald_bridge.media.credentials import with_encoded_credentials
from skald_bridge.media.redact import redact_input

ROOTS_ENV = "SKALD_MEDIA_ROOTS"
SCHEMES_ENV = "SKALD_MEDIA_SCHEMES"
SCHEMES = ("file", "rtsp", "rtsps", "http", "https")
STORE_PREFIX = "store:"

_LOCAL_PROTOCOLS = "file"
_PROTOCOLS = {
    "rtsp": "rtsp,rtp,rtcp,tcp,udp",
    "rtsps": "rtsp,rtsps,rtp,srtp,tcp,tls,udp",
    "http": "http,https,httpproxy,tcp,tls,crypto",
    "https": "https,httpproxy,tcp,tls,crypto",
}
FILE_FORMATS = (
    "mov,mp4,matroska,webm,mpegts,mpeg,mpegvideo,m4v,avi,flv,asf,mxf,nut,ogg,ivf,h264,hevc,av1,obu,"
    "mjpeg,mpjpeg,yuv4mpegpipe,gif,wav,mp3,aac,flac,gxf,rm,dv"
)
_FORMATS = {"rtsp": "rtsp,rtp,sdp", "rtsps": "rtsp,rtp,sdp"}
_PROTOCOL_LIKE = re.compile(r"^([A-Za-z][A-Za-z0-9+.,-]*):")


@dataclass(frozen=True)
class Policy:
    """What this machine lets in. ``roots``: folders under which local files may lie."""

    roots: tuple[Path, ...]
    schemes: frozenset[str] = frozenset(SCHEMES)

    @classmethod
    def of(cls, environment: Mapping[str, str]) -> Policy:
        """From ``SKALD_MEDIA_ROOTS`` (separated as PATH is) and ``SKALD_MEDIA_SCHEMES`` (by commas).

        The folder ``media`` in SKALD_HOME is always a root.

        Raises:
            InvalidInput: a root is relative, a scheme unknown.
        """
        named = [Path(part).expanduser() for part in environment.get(ROOTS_ENV, "").split(os.pathsep) if part]
        for root in named:
            if not root.is_absolute():
                raise InvalidInput(
                    f"{ROOTS_ENV} holds {str(root)!r}, a relative path", remedy="Write whole paths."
                )
        schemes = [s.strip().lower() for s in environment.get(SCHEMES_ENV, ",".join(SCHEMES)).split(",")]
        if unknown := sorted({s for s in schemes if s} - set(SCHEMES)):
            raise InvalidInput(
                f"{SCHEMES_ENV} holds {', '.join(unknown)}", remedy=f"Choose from {', '.join(SCHEMES)}."
            )
        return cls((skald_home() / "media", *named), frozenset(s for s in schemes if s))


@dataclass(frozen=True)
class Local:
    """A path as it was written, not yet looked at."""

    path: str


@dataclass(frozen=True)
class StoredInput:
    """A name in the media store."""

    name: str


@dataclass(frozen=True)
class Remote:
    """A URL with a host."""

    url: str
    scheme: str


@dataclass(frozen=True)
class Source:
    """An input that was let in. ``url`` may hold credentials: show ``display`` instead.

    ``options`` are for the opening library; ``path`` is set for a local file.
    """

    url: str = field(repr=False)
    display: str
    options: Mapping[str, str] = field(repr=False)
    path: Path | None = None

    @property
    def live(self) -> bool:
        """Comes at its own speed and has no end of its own."""
        return self.url.startswith(("rtsp:", "rtsps:"))


def decide(text: str, policy: Policy, *, name: str = "input") -> Local | StoredInput | Remote:
    """What kind of input ``text`` is; ``name`` is the field it came in.

    Raises:
        InvalidInput: the kind is not let in.
    """
    if not text.strip() or any(unicodedata.category(each) in ("Cc", "Cs") for each in text):
        raise _refused(
            name,
            text,
            "is empty or holds control characters",
            "Give a path, store:NAME, cache:NAME or a URL.",
        )
    if text.startswith("-"):
        raise _refused(name, text, "looks like an option", "Write ./ before it if it is a file's name.")
    if text.startswith(STORE_PREFIX):
        try:
            return StoredInput(checked_name(text.removeprefix(STORE_PREFIX)))
        except MediaStoreError as error:
            raise _refused(name, text, "is no name in the media store", str(error)) from None
    match = _PROTOCOL_LIKE.match(text)
    scheme = match[1].lower() if match else "file"
    if scheme not in policy.schemes:
        raise _refused(
            name,
            text,
            f"begins with {scheme!r}, which is not let in",
            f"Use one of {', '.join(sorted(policy.schemes))} ({SCHEMES_ENV}); write ./ before a file's name.",
        )
    if scheme == "file":
        return Local(_file_path(text, name) if match else text)
    text = with_encoded_credentials(text)
    try:
        parts = urlsplit(text)
        complete = bool(parts.hostname) and parts.port != 0
    except ValueError:
        complete = False
    if not complete or " " in text or "\\" in text:
        raise _refused(name, text, "is not a complete URL", f"Write {scheme}://HOST/PATH.")
    return Remote(text, scheme)


def check(text: str, policy: Policy, *, name: str = "input") -> Source | StoredInput:
    """``decide``, then for a local file: it is a plain file under a media root, links followed.

    Raises:
        InvalidInput: it may not be used; the message names the field and the remedy.
    """
    decided = decide(text, policy, name=name)
    match decided:
        case StoredInput():
            return decided
        case Remote(url, scheme):
            return remote_source(url, scheme)
        case Local(path):
            return local_source(_under_root(path, policy, name))


def local_source(path: Path) -> Source:
    """A local file that was let in, or that this process made itself."""
    options = {"protocol_whitelist": _LOCAL_PROTOCOLS, "format_whitelist": FILE_FORMATS}
    return Source(f"file:{path}", str(path), options, path)


def remote_source(url: str, scheme: str) -> Source:
    options = {
        "protocol_whitelist": _PROTOCOLS[scheme],
        "format_whitelist": _FORMATS.get(scheme, f"{FILE_FORMATS},hls,dash"),
    }
    if scheme.startswith("rtsp"):
        options |= {"rtsp_transport": "tcp+udp", "rtsp_flags": "prefer_tcp"}
    return Source(url, redact_input(url), options)


def _refused(name: str, text: str, why: str, remedy: str) -> InvalidInput:
    return InvalidInput(f"{name} {redact_input(text)!r} {why}", remedy=remedy)


def _file_path(text: str, name: str) -> str:
    """The path of a ``file:`` URL; an unusual one is refused, not repaired."""
    rest = text[len("file:") :]
    if rest.startswith("//"):
        host, _, path = rest[2:].partition("/")
        rest = f"/{path}" if host in ("", "localhost") else ""
    path = unquote(rest)
    if not path.startswith("/") or any(unicodedata.category(each) in ("Cc", "Cs") for each in path):
        raise _refused(name, text, "is not a complete file URL", "Write file:///PATH.")
    return path


def _under_root(text: str, policy: Policy, name: str) -> Path:
    given = Path(text).expanduser()
    candidates = [given] if given.is_absolute() else [root / given for root in policy.roots]
    roots = [root.resolve() for root in policy.roots]
    shown = ", ".join(map(str, policy.roots))
    resolved = [candidate.resolve() for candidate in candidates]
    found = [path for path in resolved if path.exists()] or resolved
    inside = [path for path in found if any(path.is_relative_to(root) for root in roots)]
    if not inside:
        raise InvalidInput(
            f"{name} {text!r} lies outside the media roots ({shown})",
            remedy=f"Move it there, or start the node with --media FOLDER ({ROOTS_ENV}).",
        )
    path = inside[0]
    if not path.exists():
        raise InvalidInput(f"{name} {text!r} does not exist (media roots: {shown})", remedy="Check the path.")
    if not stat.S_ISREG(path.stat().st_mode):
        raise InvalidInput(f"{name} {text!r} is not a plain file", remedy="Give a video file.")
    if not os.access(path, os.R_OK):
        raise InvalidInput(
            f"{name} {text!r} may not be read by this user", remedy="Allow the node's user to read the file."
        )
    return path
