"""The bridge: its duties, each on a loop of its own."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import Any

from skald_bridge.ports import Archive, Clock, Cursor, Engine, Journal, Pulse
from skald_bridge.services.intake import Inbox, Intake, Listener
from skald_bridge.services.loop import Loop
from skald_bridge.services.mirror import Mirror
from skald_bridge.services.pulse import PERIOD, Beat
from skald_bridge.services.relay import Relay
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
        heartbeats: Pulse | None = None,
        period: float = PERIOD,
        relays: Sequence[Relay[Any]] = (),
        busy: float | None = None,
        idle: float | None = None,
    ) -> None:
        """
        Args:
            pulse: hears of ends with the journal's writing; what is stored elsewhere must not hold that up.
            jitter: 0.5…1.
            heartbeats: where heartbeats go instead of to ``pulse``, every ``period`` seconds.
            relays: carry what is stored to services elsewhere.
            busy, idle: the sweep's seconds.
        """
        self.mirror = Mirror(engine, journal, pulse, archive, clock)
        periods = {name: value for name, value in (("busy", busy), ("idle", idle)) if value is not None}
        self.sweep = Sweep(engine, self.mirror, archive, cursor, **periods)
        inbox = Inbox(self._lost)
        listener = Listener(engine, inbox, self._lost)
        intake = Intake(inbox, self.mirror, self._lost)
        beat = Beat(
            engine,
            heartbeats or pulse,
            self.mirror.memory,
            clock,
            lambda: self.sweep.idle,
            period=period,
        )
        self.relays = relays
        self.relaying = [Loop(relay.name, relay.step, jitter=jitter) for relay in relays]
        self.mirror.written = self._relay
        self._sweeping = Loop("sweep", self.sweep.step, jitter=jitter)
        self._loops = [
            self._sweeping,
            Loop("events", listener.step, jitter=jitter),
            Loop("mirror", intake.step, jitter=jitter),
            Loop("pulse", beat.step, jitter=jitter),
            *self.relaying,
        ]

    async def run(self) -> None:
        """Until cancelled."""
        async with asyncio.TaskGroup() as group:
            for loop in self._loops:
                group.create_task(loop.run(), name=loop.name)

    def _relay(self) -> None:
        for loop in self.relaying:
            loop.hurry()

    def _lost(self) -> None:
        self.sweep.gap()
        self._sweeping.hurry()
