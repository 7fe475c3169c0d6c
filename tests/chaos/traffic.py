"""Tasks created without pause, some of them updated or cancelled, whoever is away at the moment."""

from __future__ import annotations

import asyncio
import random
import re
import threading
import time
from collections import Counter
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TypeVar

from prefect.settings import PREFECT_CLIENT_MAX_RETRIES, temporary_settings

from skald_bridge.adapters.prefect import PrefectEngine
from skald_bridge.domain.errors import Rejected, Unavailable
from skald_bridge.domain.ids import TaskId
from tests.chaos.stage import KINDS
from tests.services.runs import talking_to

TAG = "chaos"
_SHARES = (0.7, 0.1, 0.2)
_UPDATED, _CANCELLED = 0.15, 0.1
_SHORTEST, _LONGEST = 0.1, 3.0
_OPEN = 24
"""Tasks that have not ended, at most."""
_LOOK_SECONDS = 1.0
_PATIENCE = 120.0
_ID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
T = TypeVar("T")


class Traffic(threading.Thread):
    """``allowed`` is how many tasks may have been created by now; ``rate`` how many a second."""

    def __init__(self, url: str, folder: Path, count: int, rate: float, seed: int) -> None:
        super().__init__(name="traffic", daemon=True)
        self.count = count
        self.allowed = 0
        self.rate = rate
        self.tasks: dict[str, TaskId] = {}
        """By idempotency key."""
        self.answered: dict[str, int] = {}
        """The newest revision that was answered with applied or stored, by task."""
        self.outcomes: Counter[str] = Counter()
        self.refusals: Counter[str] = Counter()
        """What commands were answered while somebody was away."""
        self.error: BaseException | None = None
        self._url = url
        self._folder = folder
        self._random = random.Random(seed)
        self._seed = seed
        self._open: set[TaskId] = set()

    @property
    def keys(self) -> list[str]:
        return [f"chaos-{self._seed}-{number}" for number in range(self.count)]

    @property
    def ended(self) -> int:
        return len(self.tasks) - len(self._open)

    def run(self) -> None:
        try:
            asyncio.run(self._drive())
        except BaseException as error:
            self.error = error

    async def _drive(self) -> None:
        with talking_to(self._url), temporary_settings({PREFECT_CLIENT_MAX_RETRIES: 0}):
            async with PrefectEngine() as engine, asyncio.TaskGroup() as group:
                looking = group.create_task(self._look(engine))
                for key in self.keys:
                    await self._turn()
                    await self._create(engine, group, key)
                await looking

    async def _turn(self) -> None:
        await asyncio.sleep(1 / self.rate)
        while len(self.tasks) >= self.allowed or len(self._open) >= _OPEN:
            await asyncio.sleep(0.05)

    async def _create(self, engine: PrefectEngine, group: asyncio.TaskGroup, key: str) -> None:
        kind = self._random.choices(KINDS, _SHARES)[0]
        attachments = {
            "folder": str(self._folder),
            "seconds": round(self._random.uniform(_SHORTEST, _LONGEST), 2),
        }
        task = await self._insist(lambda: engine.create(kind, attachments, idempotency_key=key, tags=[TAG]))
        self._open.add(task.id)
        self.tasks[key] = task.id
        fate, delay = self._random.random(), self._random.uniform(0.0, 2.0)
        if fate < _UPDATED:
            group.create_task(self._update(engine, task.id, self._random.randint(1, 3)))
        elif fate < _UPDATED + _CANCELLED:
            group.create_task(self._cancel(engine, task.id, delay))

    async def _update(self, engine: PrefectEngine, task: TaskId, times: int) -> None:
        for level in range(1, times + 1):
            try:
                outcome, revision, _ = await engine.update(task, {"level": level}, timeout=10)
            except Rejected:
                self.outcomes["update too late"] += 1
                return
            except Unavailable as error:
                # It is not tried again: nobody knows whether the first one arrived.
                self._refused(error)
                self.outcomes["update without an answer"] += 1
                return
            self.outcomes[f"update {outcome}"] += 1
            if outcome != "rejected":
                self.answered[task] = max(revision, self.answered.get(task, 0))

    async def _cancel(self, engine: PrefectEngine, task: TaskId, delay: float) -> None:
        await asyncio.sleep(delay)
        try:
            await self._insist(lambda: engine.cancel(task))
            self.outcomes["cancel taken"] += 1
        except Rejected:
            self.outcomes["cancel too late"] += 1

    async def _look(self, engine: PrefectEngine) -> None:
        """Who has ended, until all have or nobody can."""
        deadline = time.monotonic() + _PATIENCE
        while len(self.tasks) < self.count or (self._open and time.monotonic() < deadline):
            if len(self.tasks) < self.count:
                deadline = time.monotonic() + _PATIENCE
            await asyncio.sleep(_LOOK_SECONDS)
            try:
                found = await engine.read(list(self._open))
            except Unavailable as error:
                self._refused(error)
                continue
            for task in found.values():
                if task.state is not None and task.state.type.terminal:
                    self._open.discard(task.id)

    async def _insist(self, call: Callable[[], Awaitable[T]]) -> T:
        deadline = time.monotonic() + _PATIENCE
        while True:
            try:
                return await asyncio.wait_for(call(), 15)
            except (Unavailable, TimeoutError) as error:
                self._refused(error)
                if time.monotonic() > deadline:
                    raise
                await asyncio.sleep(0.3)

    def _refused(self, error: Exception) -> None:
        said = getattr(error, "message", None) or type(error).__name__
        self.refusals[_ID.sub("ID", str(said))] += 1
