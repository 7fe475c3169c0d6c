"""User and password in a URL, as people paste them: with any character. Pure."""

from __future__ import annotations

import re
from urllib.parse import quote

_HOST = re.compile(r"(?:[\w.-]+|\[[0-9A-Fa-f:.%]+\])(?::\d{1,5})?")
_SURELY_HOST = re.compile(r".+:\d{1,5}|\d{1,3}(?:\.\d{1,3}){3}|\[.+\]")
_ESCAPE = re.compile(r"%[0-9A-Fa-f]{2}")
_ENDS = re.compile(r"[/?#]")


def with_encoded_credentials(url: str) -> str:
    """``url`` with everything in its user and password percent-encoded that is not; other URLs as they are."""
    scheme, separator, rest = url.partition("://")
    end = _userinfo_end(rest)
    if not separator or end is None:
        return url
    user, colon, password = rest[:end].partition(":")
    return f"{scheme}://{_encoded(user)}{colon}{_encoded(password)}{rest[end:]}"


def _userinfo_end(rest: str) -> int | None:
    """Where the ``@`` before the host is; ``None`` where there is none."""
    authority = _ENDS.split(rest, maxsplit=1)[0]
    host, colon, port = authority.partition(":")
    if "@" not in authority and (not host or not colon or (port.isdigit() and len(port) <= 5)):
        return None  # an @ further on belongs to the path
    ends = [match.start() for match in re.finditer("@", rest)]
    hosts = {end: _ENDS.split(rest[end + 1 :], maxsplit=1)[0] for end in ends}
    possible = [end for end in ends if _HOST.fullmatch(hosts[end])]
    certain = [end for end in possible if _SURELY_HOST.fullmatch(hosts[end])]
    return next(iter([*certain, *possible]), None)


def _encoded(text: str) -> str:
    escapes = _ESCAPE.findall(text)
    parts = [quote(part, safe="!$&'()*+,;=-._~") for part in _ESCAPE.split(text)]
    return "".join(part + escape for part, escape in zip(parts, [*escapes, ""], strict=True))
