"""What the routes are given."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from skald_bridge.domain.facts import Task
from skald_bridge.domain.ids import TaskId
from skald_bridge.domain.records import TaskDocument
from skald_bridge.domain.why import Waiting
from skald_bridge.ports import Archive, Clock, Engine, Peers, Pictures, Pulse
from skald_bridge.services.bridge import Bridge
from skald_bridge.wire.skalds import Submitted

Create = Callable[[Submitted], Awaitable[TaskId]]
"""Makes a task of a document; a repeat of its id makes no second one. Raises ``SkaldError``."""


class StoredArchive(Archive, Protocol):
    """The archive beside the bridge, which also tells what was written since."""

    async def newest(self) -> int: ...

    async def changed(self, after: int, limit: int) -> list[tuple[int, TaskDocument]]: ...


@dataclass(frozen=True)
class Backend:
    """``archive`` is read on a connection of its own: a long question must not hold up the mirror."""

    bridge: Bridge
    engine: Engine
    archive: StoredArchive
    pulse: Pulse
    create: Create
    waiting: Callable[[Task], Awaitable[Waiting]]
    clock: Clock
    started: datetime
    peers: Peers | None = None
    """Skalds' own nodes, where there is a Redis."""
    pictures: Pictures | None = None
    """What tasks keep there."""
    mode: str = "DISPATCHER"
    version: str = "0"
