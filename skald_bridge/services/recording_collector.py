"""What tasks made: recordings as they are finished, and results when tasks end, from Prefect's artifacts.

A hint names a task that has just recorded something; it may be missing. Whatever it missed is found when the
task has ended: each end in the journal is followed by a look at all that the task left behind.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence

from skald_bridge.domain.errors import is_away
from skald_bridge.domain.facts import RecordedHint
from skald_bridge.domain.ids import TaskId
from skald_bridge.domain.recordings import Recording
from skald_bridge.domain.records import JournalRecord
from skald_bridge.domain.results import Made
from skald_bridge.ports import Archive, Engine, Positions, Recordings
from skald_bridge.services.mirror import Mirror
from skald_bridge.services.relay import LINGER, Feed, Relay

SOON = 0.5
"""Seconds until it is looked again whether the sweep is done."""
_log = logging.getLogger("skald_bridge.recordings")
OPEN = 200
"""Tasks of one question."""


class RecordingCollector:
    """Stores recordings; one batch of ends, and all hints that wait, a step. Nothing to do asks nobody."""

    def __init__(
        self,
        engine: Engine,
        mirror: Mirror,
        archive: Archive,
        recordings: Recordings,
        states: Feed[JournalRecord],
        positions: Positions,
        *,
        swept: Callable[[], int],
        hinted: Callable[[], None] = lambda: None,
        stored: Callable[[], None] = lambda: None,
    ) -> None:
        """
        Args:
            swept: how often the sweep has looked at all tasks.
            hinted: called when a hint waits.
            stored: called after recordings were stored.
        """
        self._engine = engine
        self._mirror = mirror
        self._archive = archive
        self._recordings = recordings
        self._told: dict[TaskId, None] = {}
        self._swept = swept
        self._caught_up = False
        self._gap_at = swept()
        self._ends = Relay("recordings", states, self._ended, positions, linger=LINGER)
        self._hinted, self._stored = hinted, stored

    def hear(self, hint: RecordedHint) -> None:
        self._told[hint.task] = None
        self._hinted()

    def gap(self) -> None:
        """Hints may have been lost: all that is open is looked at, once the sweep knows what is."""
        self._caught_up = False
        self._gap_at = self._swept()

    async def step(self) -> float:
        """Raises ``Unavailable``: the ends and hints that are left wait."""
        if not self._caught_up and self._swept() > self._gap_at:
            self._caught_up = True
            try:
                await self._catch_up()
            except BaseException:
                self._caught_up = False
                raise
        delay = await self._ends.step()
        while self._told:
            task = next(iter(self._told))
            # Forgotten first: a hint from here on is of something that this look may not see.
            del self._told[task]
            try:
                await self._look(task)
            except Exception as error:
                if is_away(error):
                    self._told[task] = None
                    raise
                _log.exception("the recordings of task %s cannot be gathered now; its end is looked at", task)
            except BaseException:
                self._told[task] = None
                raise
        return delay if self._caught_up else min(delay, SOON)

    async def _catch_up(self) -> None:
        """Hints that were given before our start were not heard."""
        tasks = await self._archive.open()
        for start in range(0, len(tasks), OPEN):
            async for page in self._engine.recordings(tasks[start : start + OPEN]):
                await self._store(page)

    async def _look(self, task: TaskId) -> None:
        """Newest first, back to what is stored already."""
        async for page in self._engine.recordings([task]):
            if await self._store(page) < len(page):
                return

    async def _ended(self, records: Sequence[JournalRecord]) -> None:
        ends = {record.task: record for record in records if record.state.terminal}
        documents = await self._archive.read(list(ends))
        foreign = {task for task, document in documents.items() if document.foreign}
        made = {task: Made() for task in ends if task not in foreign}
        if not made:
            return
        async for page in self._engine.artifacts(list(made)):
            for artifact in page:
                made[artifact.task].add(artifact)
            await self._store([each.recording for each in page if each.recording is not None])
        await self._mirror.conclude({task: each.result(ends[task]) for task, each in made.items()})

    async def _store(self, newest_first: Sequence[Recording]) -> int:
        """How many were new."""
        new = await self._recordings.add(newest_first[::-1]) if newest_first else 0
        if new:
            self._stored()
        return new
