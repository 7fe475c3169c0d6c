"""The bridge: its duties, each on a loop of its own, and what wakes what."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
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
    GrantLog,
    Journal,
    Peers,
    Positions,
    Publisher,
    Pulse,
    Recordings,
    Subscription,
)
from skald_bridge.services.change_watcher import ChangeWatcher
from skald_bridge.services.commands import Commands
from skald_bridge.services.dead_letters import DeadLetters, Suspicion
from skald_bridge.services.deadlines import Deadlines, Overdue
from skald_bridge.services.dependencies import Dependents
from skald_bridge.services.document_intake import DocumentIntake
from skald_bridge.services.early_heartbeats import EarlyHeartbeats
from skald_bridge.services.fleet import Fleet
from skald_bridge.services.heartbeats import PERIOD, Heartbeats
from skald_bridge.services.intake import Inbox, Intake, Listener
from skald_bridge.services.kafka_commands import KafkaCommands
from skald_bridge.services.keyed_queue import KeyedQueue
from skald_bridge.services.linked import Linked
from skald_bridge.services.loop import Loop, Wake
from skald_bridge.services.mirror import Mirror
from skald_bridge.services.pods import Pods
from skald_bridge.services.recording_collector import RecordingCollector
from skald_bridge.services.relay import Feed, Relay
from skald_bridge.services.replays import ReplayRequests, Replays
from skald_bridge.services.retention import Retention
from skald_bridge.services.skalds_dispatch import SkaldsDispatch
from skald_bridge.services.sweep import Sweep


@dataclass(frozen=True)
class Stores:
    """What is kept here, whoever else is away.

    ``ends`` are the journal's states that end a task; ``overdue`` knows who is late; ``asked`` holds what was set
    aside and is to be handled again; ``grants`` are the fleet's; ``owed`` says whether a task's document is yet to
    be told what is known here.
    """

    journal: Journal
    archive: Archive
    cursor: Cursor
    positions: Positions
    recordings: Recordings
    ends: Feed[JournalRecord]
    overdue: Overdue
    asked: ReplayRequests
    grants: GrantLog
    owed: Callable[[TaskId], Awaitable[bool]]


@dataclass(frozen=True)
class Outside:
    """Who gives us work, as far as such a service is configured.

    ``documents`` that others write, Kafka's commands (``subscription``, answered through ``publisher``), and Skalds'
    own nodes (``peers``) as further capacity.
    """

    documents: Documents | None = None
    controller: Controller = Controller.OURS
    subscription: Subscription | None = None
    publisher: Publisher | None = None
    peers: Peers | None = None


class Bridge:
    """Mirrors Prefect into journal, pulse and archive, and takes work from outside, until it is cancelled."""

    def __init__(
        self,
        engine: Engine,
        stores: Stores,
        pulse: Pulse,
        clock: Clock,
        *,
        jitter: Callable[[], float],
        dead_letters: DeadLetters,
        outside: Outside,
        ends_told: bool,
        period: float = PERIOD,
        relays: Sequence[Relay[Any]] = (),
        late: LatePolicy = LatePolicy.FAIL,
        retention: Retention | None = None,
        pods: Pods | None = None,
        linked: Linked | None = None,
    ) -> None:
        """
        Args:
            pulse: beats every ``period`` seconds; it also hears of ends with the journal's writing, unless
                ``ends_told``: a relay tells them, for what is elsewhere must not hold the journal up.
            jitter: 0.5…1.
            dead_letters: where items go that cannot be handled.
            relays: carry what is stored to services elsewhere.
            late: what becomes of tasks after their deadline.
            retention: prunes what ended long ago.
            pods: looks after runs in Kubernetes.
            linked: the nodes that hold a link, and what is offered to them.
        """
        self.engine, self.pulse, self.dead_letters, self.relays = engine, pulse, dead_letters, relays
        self._stores, self._clock, self._jitter = stores, clock, jitter
        self._suspicion = Suspicion(engine.class_names)
        self.loops: list[Loop] = []
        self._relaying: list[Loop] = []
        """Hurried by every write."""
        journal, archive = stores.journal, stores.archive
        self.mirror = Mirror(
            engine,
            journal,
            None if ends_told else pulse,
            archive,
            clock,
            dead_letters=dead_letters,
            written=self._relay,
        )
        self.sweep = Sweep(engine, self.mirror, archive, stores.cursor)
        self.heartbeats = Heartbeats(
            engine,
            pulse,
            self.mirror.memory,
            clock,
            lambda: self.sweep.idle,
            period=period,
            refused=lambda why: dead_letters.note(Kind.DELIVERY, "heartbeats", Undeliverable(why)),
        )
        self._dependents = Dependents(engine, archive, self.mirror.memory)
        skalds = self._skalds_dispatch(outside)
        self.commands = Commands(engine, self.mirror, archive, self._dependents, clock, skalds=skalds)
        self._mirroring()
        for relay in relays:
            self._hurried_by_writes(Loop(relay.name, relay.step, jitter=jitter))
        self._hurried_by_writes(Loop("dependencies", self._dependents.step, jitter=jitter))
        self._hurried_by_writes(
            Loop("recordings", self._collector.step, jitter=jitter, wake=self._recordings_due)
        )
        reports = Wake()
        self.fleet = Fleet(clock, reports, stores.grants)
        self._duty("fleet", self.fleet.step, reports)
        self.linked = linked or Linked(clock)
        self.linked.dispatch.expected = lambda: self.heartbeats.online
        self.linked.dispatch.waits = self.mirror.memory.may_wait
        self._duty("links", self.linked.nodes.step, self.linked.silence)
        self._duty("offers", self.linked.dispatch.step, self.linked.answers)
        deadlines = Deadlines(engine, stores.overdue, clock, late, dead_letters)
        self._duty("deadlines", deadlines.step)
        if retention is not None:
            self._duty("retention", retention.step)
        if pods is not None:
            self._duty("pods", pods.step)
        intake = self._document_intake(outside)
        kafka = self._kafka_commands(outside, intake)
        replays = Replays(
            stores.asked,
            dead_letters,
            record=kafka.carry_out if kafka is not None else None,
            document=intake.take_again if intake is not None else None,
            task=self._tell_again,
        )
        self._duty("replays", replays.step)

    def watch(self, loop: Loop) -> None:
        """One more duty, which every write hurries; before ``run``."""
        self._hurried_by_writes(loop)

    async def gathered(self) -> None:
        """Gather all that tasks recorded and made, where ``run`` does not."""
        while await self._collector.step() == 0:
            pass

    async def run(self) -> None:
        """Until cancelled."""
        async with asyncio.TaskGroup() as group:
            for loop in self.loops:
                group.create_task(loop.run(), name=loop.name)

    def _mirroring(self) -> None:
        """From Prefect to what is stored: events, the sweep behind them, heartbeats, what tasks make."""
        self._swept, self._beaten, self._recordings_due = Wake(), Wake(), Wake()
        self._collector = RecordingCollector(
            self.engine,
            self.mirror,
            self._stores.archive,
            self._stores.recordings,
            self._stores.ends,
            self._stores.positions,
            swept=lambda: self.sweep.passes,
            hinted=self._recordings_due,
            stored=self._relay,
        )
        inbox = Inbox(self._lost)
        listener = Listener(
            self.engine,
            inbox,
            self._unheard,
            still=self.mirror.memory.hear_still,
            recorded=self._collector.hear,
            announced=self._look_at_nodes,
        )
        self._duty("sweep", self.sweep.step, self._swept)
        self._duty("events", listener.step)
        self._duty("mirror", Intake(inbox, self.mirror, self._lost).step)
        self._duty("pulse", self.heartbeats.step, self._beaten)

    def _document_intake(self, outside: Outside) -> DocumentIntake | None:
        """Makes tasks of the documents that others write."""
        if outside.documents is None:
            return None
        intake = DocumentIntake(
            outside.documents,
            self.commands,
            self._clock,
            controller=outside.controller,
            nodes=self.heartbeats.node_ids,
            owed=self._stores.owed,
            note=lambda task, said: self.pulse.note_error(task, said, self._clock.now()),
            is_poison=self._suspicion.confirmed,
            set_aside=lambda what, name, error: self.dead_letters.note(Kind.DOCUMENT, name, error),
        )
        changed = Wake()
        self._duty("documents", intake.step, changed)
        self._duty("documents-changes", ChangeWatcher(outside.documents, intake, changed).step)
        if outside.controller is Controller.UPSTREAM:
            early = EarlyHeartbeats(outside.documents, self.mirror.memory, self.heartbeats.node_ids)
            self._duty("documents-waiting", early.step)
        return intake

    def _kafka_commands(self, outside: Outside, intake: DocumentIntake | None) -> KafkaCommands | None:
        if outside.subscription is None or outside.publisher is None:
            return None
        commands = KafkaCommands(
            self.commands,
            outside.publisher,
            self.pulse,
            self._clock,
            documents=outside.documents,
            document_intake=intake,
            dead_letters=self.dead_letters,
            suspicion=self._suspicion,
        )
        queue = KeyedQueue(outside.subscription, commands.carry_out)
        self._duty("commands", queue.take)
        self._duty("commands-work", queue.work)
        return commands

    def _skalds_dispatch(self, outside: Outside) -> SkaldsDispatch | None:
        """Gives tasks to Skalds' own nodes."""
        if outside.peers is None or outside.documents is None or outside.publisher is None:
            return None
        lent = Wake()
        dispatch = SkaldsDispatch(
            outside.peers,
            outside.documents,
            outside.publisher,
            self.pulse,
            self.mirror,
            self._stores.archive,
            self._clock,
            ours=self.heartbeats.node_ids,
            lent=lent,
        )
        self._duty("guests", dispatch.step, lent)
        return dispatch

    def _duty(self, name: str, step: Callable[[], Awaitable[float]], wake: Wake | None = None) -> None:
        self.loops.append(Loop(name, step, jitter=self._jitter, wake=wake))

    def _hurried_by_writes(self, loop: Loop) -> None:
        self.loops.append(loop)
        self._relaying.append(loop)

    async def _tell_again(self, task: TaskId) -> None:
        document = await self._stores.archive.get(task)
        if document is not None:
            await self.mirror.put_again(document)
        await self.mirror.look([task])

    def _unheard(self) -> None:
        """Whatever was told before the connection was there."""
        self._lost()
        self._look_at_nodes()

    def _look_at_nodes(self) -> None:
        self.heartbeats.forget_nodes()
        self._beaten()

    def _relay(self) -> None:
        for loop in self._relaying:
            loop.hurry()

    def _lost(self) -> None:
        self.sweep.gap()
        self._collector.gap()
        self._swept()
