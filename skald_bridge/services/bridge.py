"""The bridge: its duties, each on a loop of its own."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from skald_bridge.ports import Archive, Clock, Cursor, Engine, Journal, Pulse
from skald_bridge.services.intake import Inbox, Intake, Listener
from skald_bridge.services.loop import Loop
from skald_bridge.services.mirror import Mirror
from skald_bridge.services.pulse import Beat
from skald_bridge.services.sweep import Sweep


class Bridge:
    """Mirrors Prefect into journal, pulse and archive until it is stopped."""

    def __init__(
        self,
        engine: Engine,
        journal: Journal,
        pulse: Pulse,
        archive: Archive,
        cursor: Cursor,
        clock: Clock,
        *,
        jitter: Callable[[], float],
        busy: float | None = None,
        idle: float | None = None,
    ) -> None:
        """``jitter`` gives 0.5…1; ``busy`` and ``idle`` are the sweep's seconds."""
        self.mirror = Mirror(engine, journal, pulse, archive, clock)
        periods = {name: value for name, value in (("busy", busy), ("idle", idle)) if value is not None}
        self.sweep = Sweep(engine, self.mirror, archive, cursor, **periods)
        inbox = Inbox(self._lost)
        listener = Listener(engine, inbox, self._lost)
        intake = Intake(inbox, self.mirror, self._lost)
        beat = Beat(engine, pulse, self.mirror.memory, clock, lambda: self.sweep.idle)
        self._sweeping = Loop("sweep", self.sweep.step, jitter=jitter)
        self._loops = [
            self._sweeping,
            Loop("events", listener.step, jitter=jitter),
            Loop("mirror", intake.step, jitter=jitter),
            Loop("pulse", beat.step, jitter=jitter),
        ]

    async def run(self) -> None:
        """Until cancelled."""
        async with asyncio.TaskGroup() as group:
            for loop in self._loops:
                group.create_task(loop.run(), name=loop.name)

    def _lost(self) -> None:
        self.sweep.gap()
        self._sweeping.hurry()
