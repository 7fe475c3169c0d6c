"""Watches archive, pulse and nodes for those who follow the events; without them it rests."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from uuid import uuid4

from skald_bridge.api.backend import Backend
from skald_bridge.api.followers import Followers, Seats
from skald_bridge.api.news import LastShown, beaten, gone, shown, skald_news, task_news
from skald_bridge.api.reading import skalds
from skald_bridge.api.stream import Stream
from skald_bridge.api.views import Skald
from skald_bridge.domain.errors import Unavailable
from skald_bridge.domain.ids import NodeId, TaskId
from skald_bridge.domain.pulse import SILENT, Vitals
from skald_bridge.services.loop import Loop
from skald_bridge.wire.skalds import to_ms

PERIOD = 3.0
LINGER = 60.0
"""Seconds that it goes on without followers, so that one who comes back can resume."""
REST = 3600.0
BATCH = 500
RECENT = 1000
"""So many of the newest documents are told in a snapshot besides the live ones."""
CLIENTS = 500


class Watch:
    """One look a step: what was written at once, heartbeats every ``period`` seconds."""

    def __init__(
        self, backend: Backend, *, period: float = PERIOD, linger: float = LINGER, most: int = CLIENTS
    ) -> None:
        self.tasks = Stream(_era())
        self.skalds = Stream(_era())
        self.loop = Loop("watch", self.step, jitter=lambda: 1.0)
        self.seats = Seats(most)
        """Of this watch, and of others that take them."""
        self._followers = Followers(self.seats, self.loop.hurry, linger)
        self.following = self._followers.following
        self._backend = backend
        self._period = period
        self._position: int | None = None
        self._shown: dict[TaskId, LastShown] = {}
        self._skalds: dict[NodeId, Skald] = {}
        self._beat_due = 0.0
        self._ready = asyncio.Event()

    @property
    def clients(self) -> int:
        """All that sit, also with other watches."""
        return self.seats.taken

    async def ready(self) -> None:
        """Returns once there is something for a snapshot."""
        await self._ready.wait()

    def close(self) -> None:
        self.tasks.close()
        self.skalds.close()

    def task_snapshot(self) -> Iterator[tuple[str, str]]:
        at = self._timestamp()
        for task, now in list(self._shown.items()):
            yield from ((task, data) for data in task_news(task, None, now, at))

    def skald_snapshot(self) -> Iterator[tuple[str, str]]:
        at = self._timestamp()
        for skald in list(self._skalds.values()):
            yield from ((skald.id, data) for data in skald_news(None, skald, at))

    async def step(self) -> float:
        if self._followers.gone:
            self._forget()
            return REST
        if self._position is None:
            await self._begin()
        await self._documents()
        if _now() >= self._beat_due:
            self._beat_due = _now() + self._period
            await self._beats()
            self._nodes(await skalds(self._backend))
            self._ready.set()
        return max(0.0, self._beat_due - _now())

    async def _begin(self) -> None:
        archive = self._backend.archive
        newest = await archive.newest()
        recent = await archive.changed(max(0, newest - RECENT), RECENT)
        live = await archive.read(await archive.open())
        documents = {document.id: document for _, document in recent} | live
        self._shown = {task: shown(document, SILENT) for task, document in documents.items()}
        self._position = newest

    async def _documents(self) -> None:
        """What was written since, told at once."""
        while changed := await self._backend.archive.changed(self._position or 0, BATCH):
            heard = await self._vitals([document.id for _, document in changed])
            for _, document in changed:
                self._tell(document.id, shown(document, (heard or {}).get(document.id, SILENT)))
            self._position = changed[-1][0]
        if len(self._shown) > 2 * RECENT:
            ended = [task for task, now in self._shown.items() if now.ended]
            for task in ended[:-RECENT]:
                del self._shown[task]

    async def _beats(self) -> None:
        live = [task for task, now in self._shown.items() if not now.ended]
        heard = await self._vitals(live)
        if heard is None:
            return
        for task in live:
            self._tell(task, beaten(self._shown[task], heard.get(task, SILENT)))

    async def _vitals(self, tasks: list[TaskId]) -> dict[TaskId, Vitals] | None:
        """``None`` while the pulse is away: states are told without it."""
        try:
            return await self._backend.pulse.vitals(tasks, self._backend.clock.now())
        except Unavailable:
            return None

    def _tell(self, task: TaskId, now: LastShown) -> None:
        for data in task_news(task, self._shown.get(task), now, self._timestamp()):
            self.tasks.publish(task, data)
        if now.ended:
            self._shown.pop(task, None)  # to the end of the order: the oldest ends are forgotten first
        self._shown[task] = now

    def _nodes(self, found: dict[NodeId, Skald]) -> None:
        at = self._timestamp()
        for id_, now in found.items():
            for data in skald_news(self._skalds.get(id_), now, at):
                self.skalds.publish(id_, data)
        for id_, before in self._skalds.items():
            if id_ not in found:
                self.skalds.publish(id_, gone(before, at))
        self._skalds = found

    def _forget(self) -> None:
        if self._position is None:
            return
        self._position, self._shown, self._skalds, self._beat_due = None, {}, {}, 0.0
        self._ready.clear()
        self.tasks.restart(_era())
        self.skalds.restart(_era())

    def _timestamp(self) -> int:
        return to_ms(self._backend.clock.now())


def _era() -> str:
    return uuid4().hex[:8]


def _now() -> float:
    return asyncio.get_running_loop().time()
