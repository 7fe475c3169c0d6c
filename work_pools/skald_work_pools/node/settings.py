"""What a node reads from its environment."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

from pydantic import TypeAdapter, ValidationError

from skald_work_pools.gpu_shares import Overuse
from skald_work_pools.link import PATH
from skald_work_pools.needs import Size

TAGS, GRACE, SPARES, CANCEL_GRACE, HOME, WARM_MEMORY, GPU_OVERUSE, LINK, KEY = (
    "SKALD_TAGS",
    "SKALD_GRACE",
    "SKALD_SPARES",
    "SKALD_CANCEL_GRACE",
    "SKALD_HOME",
    "SKALD_WARM_MEMORY",
    "SKALD_GPU_OVERUSE",
    "SKALD_LINK",
    "SKALD_API_KEY",
)


@dataclass(frozen=True)
class NodeSettings:
    """``grace``: what tasks get when the node stops, ``cancel_grace``: what a cancelled one gets; seconds.

    ``spares``: children kept ready per deployment. ``warm_memory``: bytes for loaded code, 0 for a quarter of the
    machine's. ``gpu_overuse``: of tasks that use more of a GPU than their share. ``link``: the WebSocket of the bridge
    that the node keeps a link to, with the key of its REST API; empty: none.
    """

    home: Path
    tags: frozenset[str] = frozenset()
    grace: float = 30.0
    cancel_grace: float = 10.0
    spares: int = 2
    warm_memory: int = 0
    gpu_overuse: Overuse = Overuse.WARN
    link: str = ""
    link_key: str = field(default="", repr=False)

    @classmethod
    def from_environment(cls, environ: Mapping[str, str] = os.environ) -> NodeSettings:
        """Raises ``ValueError`` that names the variable."""
        return cls(
            home=Path(environ.get(HOME) or "~/.skald").expanduser(),
            tags=frozenset(filter(None, (tag.strip() for tag in environ.get(TAGS, "").split(",")))),
            grace=_number(environ, GRACE, cls.grace),
            cancel_grace=_number(environ, CANCEL_GRACE, cls.cancel_grace),
            spares=int(_number(environ, SPARES, cls.spares)),
            warm_memory=_size(environ, WARM_MEMORY),
            gpu_overuse=_overuse(environ.get(GPU_OVERUSE) or cls.gpu_overuse),
            link=_socket(environ, LINK),
            link_key=environ.get(KEY, ""),
        )


def _number(environ: Mapping[str, str], name: str, default: float) -> float:
    text = environ.get(name) or ""
    if not text:
        return default
    try:
        number = float(text)
    except ValueError:
        number = -1
    if not 0 <= number < 10**6:
        raise ValueError(f"{name} is {text!r}; set it to a number from 0 on, or leave it out")
    return number


def _overuse(text: str) -> Overuse:
    try:
        return Overuse(text.strip().lower())
    except ValueError:
        raise ValueError(f"{GPU_OVERUSE} is {text!r}; write {' or '.join(Overuse)}") from None


def _size(environ: Mapping[str, str], name: str) -> int:
    text = environ.get(name) or "0"
    try:
        return TypeAdapter(Size).validate_python(text)
    except ValidationError as error:
        raise ValueError(f"{name} is {text!r}; write bytes or a number with a unit, such as 2GiB") from error


def _socket(environ: Mapping[str, str], name: str) -> str:
    """The WebSocket at the bridge's address, which may be that of its REST API."""
    text = (environ.get(name) or "").strip()
    if not text:
        return ""
    try:
        given = urlsplit(text)
        scheme = {"http": "ws", "https": "wss"}.get(given.scheme, given.scheme)
        wrong = scheme not in ("ws", "wss") or not given.hostname or given.port == 0
    except ValueError:
        wrong = True
    if wrong:
        raise ValueError(
            f"{name} is {text!r}; write the bridge's address, such as http://bridge.example:8000"
        )
    path = PATH if given.path in ("", "/", "/api", "/api/") else given.path
    return given._replace(scheme=scheme, path=path, query="", fragment="").geturl()
