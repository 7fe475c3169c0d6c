"""Looks at the fleet for those who follow its page; without them it rests."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime
from uuid import uuid4

from skald_bridge.api.backend import Backend
from skald_bridge.api.fleet_view import (
    MOST_NODES,
    MOST_QUEUED,
    NOBODY,
    Facts,
    View,
    changes,
    fleet_view,
    whole,
)
from skald_bridge.api.followers import Followers, Seats
from skald_bridge.api.stream import Stream
from skald_bridge.api.watch import LINGER, REST
from skald_bridge.domain.errors import SkaldError
from skald_bridge.domain.queue import Holding
from skald_bridge.domain.records import TaskDocument
from skald_bridge.domain.usage import facts_of
from skald_bridge.services.loop import Loop
from skald_bridge.services.queue import ExplainedPage, explain

PERIOD = 1.0
"""Seconds between two frames at least."""
AGAIN = 2.0
"""Seconds between two looks at Prefect at least, while tasks change their states."""
ANYWAY = 10.0
"""Seconds after which Prefect is looked at anyway: pools, limits and what nodes say change too."""
RECENT = 200
"""So many of the documents written last are looked through for what started."""
FRAMES = 60
"""So many frames are kept for who was cut off."""
_SUBJECT = "fleet"
_NOTHING: tuple[object, ...] = (object(),) * 6


class FleetWatch:
    """One frame a second at most, with what has changed; Prefect is asked only while somebody looks."""

    def __init__(
        self, backend: Backend, seats: Seats, *, period: float = PERIOD, linger: float = LINGER
    ) -> None:
        """``linger``: seconds without followers, after which it rests."""
        self.stream = Stream(_era(), ring=FRAMES)
        self.loop = Loop("fleet-page", self.step, jitter=lambda: 1.0)
        self._backend = backend
        self.seats = seats
        self._followers = Followers(seats, self.loop.hurry, linger)
        self.following = self._followers.following
        self._period = period
        self._due = 0.0
        self._view: View | None = None
        self._shown: tuple[object, ...] = _NOTHING
        self._position: int | None = None
        self._asked: float | None = None
        self._held: list[Holding] = []
        self._queue: ExplainedPage = NOBODY
        self._recent: list[TaskDocument] = []
        self._problem: str | None = None
        self._ready = asyncio.Event()

    async def ready(self) -> None:
        """Returns once there is something for a snapshot."""
        await self._ready.wait()

    def close(self) -> None:
        self.stream.close()

    def snapshot(self) -> Iterator[tuple[str, str]]:
        if self._view is not None:
            yield _SUBJECT, _json(whole(self._view, self._backend.clock.now()))

    async def step(self) -> float:
        if self._followers.gone:
            self._forget()
            return REST
        # Every write hurries this loop.
        if (early := self._due - _now()) > 0:
            return early
        self._due = _now() + self._period
        await self._look()
        sources = self._sources()
        if not all(now is before for now, before in zip(sources, self._shown, strict=True)):
            self._shown = sources
            self._show()
        self._ready.set()
        return self._period

    def _show(self) -> None:
        now = self._backend.clock.now()
        after = fleet_view(self._facts(), now)
        if self._view is not None and (frame := changes(self._view, after, now)) is not None:
            self.stream.publish(_SUBJECT, _json(frame))
        self._view = after

    def _sources(self) -> tuple[object, ...]:
        """What the view is made of: each is another object once it may have changed, workers always."""
        bridge = self._backend.bridge
        workers = object() if bridge.fleet.size or bridge.fleet.waiting else None
        return bridge.heartbeats.nodes, self._held, self._queue, self._recent, self._problem, workers

    async def _look(self) -> None:
        newest = await self._backend.archive.newest()
        changed = newest != self._position
        if changed:
            written = await self._backend.archive.changed(max(0, newest - RECENT), RECENT)
            self._recent = [document for _, document in written]
        if self._asked is not None and _now() - self._asked < (AGAIN if changed else ANYWAY):
            return
        self._asked = _now()
        try:
            await self._ask(self._backend.clock.now())
        except SkaldError as error:
            self._problem = error.message
        else:
            self._problem, self._position = None, newest

    async def _ask(self, now: datetime) -> None:
        engine = self._backend.engine
        page, held = await asyncio.gather(engine.queue(limit=MOST_QUEUED), engine.at_work())
        self._queue = await explain(engine, page, self._backend.bridge.heartbeats.nodes, now, held)
        self._held = [self._on_its_node(each) for each in held]

    def _on_its_node(self, holding: Holding) -> Holding:
        """A claim was heard of at once; the run's label says it some seconds later."""
        memory, task = self._backend.bridge.mirror.memory, holding.task
        last = memory[task.id].last if task.id in memory else None
        if last is None or last.node is None or last.node == task.node:
            return holding
        return replace(holding, task=replace(task, node=last.node))

    def _facts(self) -> Facts:
        bridge = self._backend.bridge
        return Facts(
            facts_of(bridge.heartbeats.nodes, self._held),
            bridge.fleet.standings(MOST_NODES),
            max(0, bridge.fleet.size - MOST_NODES),
            self._held,
            self._queue,
            bridge.fleet.requests(MOST_QUEUED),
            bridge.fleet.waiting,
            self._recent,
            self._problem,
        )

    def _forget(self) -> None:
        if self._view is None:
            return
        self._view = self._position = self._asked = None
        self._shown = _NOTHING
        self._held, self._queue, self._recent, self._problem = [], NOBODY, [], None
        self._ready.clear()
        self.stream.restart(_era())


def _json(value: object) -> str:
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False)


def _era() -> str:
    return uuid4().hex[:8]


def _now() -> float:
    return asyncio.get_running_loop().time()
