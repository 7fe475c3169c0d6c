"""The bridge: its duties, each on a loop of its own."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

from skald_bridge.domain.commands import Controller
from skald_bridge.domain.dead_letters import Kind
from skald_bridge.domain.deadlines import LatePolicy
from skald_bridge.domain.errors import Undeliverable
from skald_bridge.domain.ids import TaskId
from skald_bridge.domain.records import JournalRecord
from skald_bridge.ports import (
    Archive,
    Clock,
    Cursor,
    Documents,
    Engine,
    Journal,
    Peers,
    Positions,
    Publisher,
    Pulse,
    Recordings,
    Subscription,
)
from skald_bridge.services.bell import Bell
from skald_bridge.services.commands import Commands
from skald_bridge.services.dead_letters import DeadLetters, Suspicion
from skald_bridge.services.deadlines import Deadlines, Overdue
from skald_bridge.services.dependencies import Dependents
from skald_bridge.services.documents import Desk
from skald_bridge.services.guests import Guests
from skald_bridge.services.intake import Inbox, Intake, Listener
from skald_bridge.services.lanes import Lanes
from skald_bridge.services.loop import Loop
from skald_bridge.services.mirror import Mirror
from skald_bridge.services.orders import Orders
from skald_bridge.services.pulse import PERIOD, Beat
from skald_bridge.services.recordings import Harvest
from skald_bridge.services.relay import Feed, Relay
from skald_bridge.services.replays import Asked, Replays
from skald_bridge.services.retention import Retention
from skald_bridge.services.sweep import Sweep
from skald_bridge.services.waiting import Waiting


class Bridge:
    """Mirrors Prefect into journal, pulse and archive until it is stopped."""

    def __init__(
        self,
        engine: Engine,
        journal: Journal,
        heartbeats: Pulse,
        archive: Archive,
        cursor: Cursor,
        clock: Clock,
        *,
        jitter: Callable[[], float],
        dead_letters: DeadLetters | None = None,
        ends_told: bool = False,
        period: float = PERIOD,
        relays: Sequence[Relay[Any]] = (),
        overdue: Overdue | None = None,
        late: LatePolicy = LatePolicy.FAIL,
        busy: float | None = None,
        idle: float | None = None,
    ) -> None:
        """
        Args:
            heartbeats: every ``period`` seconds; it also hears of ends with the journal's writing, unless
                ``ends_told``: a relay tells them, for what is elsewhere must not hold the journal up.
            jitter: 0.5…1.
            dead_letters: where items go that cannot be handled.
            relays: carry what is stored to services elsewhere.
            overdue, late: who is late, and what becomes of them; nothing where nobody can say.
            busy, idle: the sweep's seconds.
        """
        self._archive, self._clock, self._jitter = archive, clock, jitter
        self.engine, self.heartbeats = engine, heartbeats
        self.dead_letters = dead_letters or DeadLetters(None, clock)
        self.suspicion = Suspicion(engine.class_names)
        self.mirror = Mirror(
            engine, journal, None if ends_told else heartbeats, archive, clock, dead_letters=self.dead_letters
        )
        self.dependents = Dependents(engine, archive, self.mirror.memory)
        self.commands = Commands(engine, self.mirror, archive, self.dependents, clock)
        periods = {name: value for name, value in (("busy", busy), ("idle", idle)) if value is not None}
        self.sweep = Sweep(engine, self.mirror, archive, cursor, **periods)
        inbox = Inbox(self._lost)
        self.harvest: Harvest | None = None
        self._listener = Listener(engine, inbox, self._lost, self.mirror.memory.hear_still)
        intake = Intake(inbox, self.mirror, self._lost)
        self.beat = Beat(
            engine,
            self.heartbeats,
            self.mirror.memory,
            clock,
            lambda: self.sweep.idle,
            period=period,
            refused=lambda why: self.dead_letters.note(Kind.DELIVERY, "heartbeats", Undeliverable(why)),
        )
        self._documents: Documents | None = None
        self._desk: Desk | None = None
        self.orders: Orders | None = None
        self.relays = relays
        self.relaying = [Loop(relay.name, relay.step, jitter=jitter) for relay in relays]
        self.mirror.written = self._relay
        self._sweeping = Loop("sweep", self.sweep.step, jitter=jitter)
        beating = Loop("pulse", self.beat.step, jitter=jitter)
        self._listener.announced = lambda: self._look_at_nodes(beating)
        self.loops = [
            self._sweeping,
            Loop("events", self._listener.step, jitter=jitter),
            Loop("mirror", intake.step, jitter=jitter),
            beating,
            *self.relaying,
        ]
        self.add(Loop("dependencies", self.dependents.step, jitter=jitter))
        if overdue is not None:
            deadlines = Deadlines(engine, overdue, clock, late, self.dead_letters)
            self.loops.append(Loop("deadlines", deadlines.step, jitter=jitter))

    def add(self, loop: Loop) -> None:
        """One more duty, which every write hurries; before ``run``."""
        self.loops.append(loop)
        self.relaying.append(loop)

    def gather(self, recordings: Recordings, states: Feed[JournalRecord], positions: Positions) -> None:
        """Keep what tasks record, and in short what they make; before ``run``."""
        self.harvest = Harvest(
            self.engine,
            self.mirror,
            self._archive,
            recordings,
            states,
            positions,
            swept=lambda: self.sweep.passes,
        )
        loop = Loop("recordings", self.harvest.step, jitter=self._jitter)
        self.harvest.hinted, self.harvest.stored = loop.hurry, self._relay
        self._listener.recorded = self.harvest.hear
        self.add(loop)

    async def gathered(self) -> None:
        """Gather all that is to be had now, where ``run`` does not."""
        while self.harvest is not None and await self.harvest.step() == 0:
            pass

    def take_documents(
        self,
        documents: Documents,
        controller: Controller,
        owed: Callable[[TaskId], Awaitable[bool]] | None = None,
    ) -> None:
        """Make tasks of the documents that others write; before ``run``.

        ``owed``: whether a task's document is yet to be told what is known here; never, where nothing is relayed.
        """
        self._documents = documents
        self._desk = Desk(
            documents,
            self.commands,
            self._clock,
            controller=controller,
            nodes=lambda: [node.id for node in self.beat.nodes],
        )
        self._desk.owed = owed or self._desk.owed
        self._desk.note = lambda task, said: self.heartbeats.note_error(task, said, self._clock.now())
        self._desk.is_poison = self.suspicion.confirmed
        self._desk.set_aside = lambda what, name, error: self.dead_letters.note(Kind.DOCUMENT, name, error)
        desk = Loop("documents", self._desk.step, jitter=self._jitter)
        bell = Bell(documents, self._desk, desk.hurry)
        self.loops += [desk, Loop("documents-changes", bell.step, jitter=self._jitter)]
        if controller is Controller.UPSTREAM:
            waiting = Waiting(documents, self.mirror.memory, lambda: [node.id for node in self.beat.nodes])
            self.loops.append(Loop("documents-waiting", waiting.step, jitter=self._jitter))

    def take_orders(self, subscription: Subscription, publisher: Publisher) -> None:
        """Carry out Kafka's commands; before ``run``, and after ``take_documents``."""
        orders = Orders(
            self.commands,
            publisher,
            self.heartbeats,
            self._clock,
            documents=self._documents,
            desk=self._desk,
            dead_letters=self.dead_letters,
            suspicion=self.suspicion,
        )
        self.orders = orders
        lanes = Lanes(subscription, orders.carry_out)
        self.loops.append(Loop("commands", lanes.take, jitter=self._jitter))
        self.loops.append(Loop("commands-work", lanes.work, jitter=self._jitter))

    def replay(self, asked: Asked) -> None:
        """Handle again what somebody asks for; before ``run``, and after all that is taken."""
        desk = self._desk
        replays = Replays(
            asked,
            self.dead_letters,
            record=self.orders.carry_out if self.orders is not None else None,
            document=desk.take_again if desk is not None else None,
            task=self._tell_again,
        )
        self.loops.append(Loop("replays", replays.step, jitter=self._jitter))

    async def _tell_again(self, task: TaskId) -> None:
        document = await self._archive.get(task)
        if document is not None:
            await self._archive.put([document])
        await self.mirror.look([task])
        self._relay()

    def take_guests(self, peers: Peers, documents: Documents, publisher: Publisher) -> None:
        """Lend tasks to Skalds' own nodes; before ``run``."""
        guests = Guests(
            peers,
            documents,
            publisher,
            self.heartbeats,
            self.mirror,
            self._archive,
            self._clock,
            ours=lambda: [node.id for node in self.beat.nodes],
        )
        self.commands.guests = guests
        loop = Loop("guests", guests.step, jitter=self._jitter)
        guests.lent = loop.hurry
        self.loops.append(loop)

    def prune(self, retention: Retention) -> None:
        """Forget what ended long ago; before ``run``."""
        self.loops.append(Loop("retention", retention.step, jitter=self._jitter))

    async def run(self) -> None:
        """Until cancelled."""
        async with asyncio.TaskGroup() as group:
            for loop in self.loops:
                group.create_task(loop.run(), name=loop.name)

    def _look_at_nodes(self, pulse: Loop) -> None:
        self.beat.asked = None
        pulse.hurry()

    def _relay(self) -> None:
        for loop in self.relaying:
            loop.hurry()

    def _lost(self) -> None:
        self.sweep.gap()
        if self.harvest is not None:
            self.harvest.gap()
        self._sweeping.hurry()
