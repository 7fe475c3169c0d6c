"""Lends tasks to Skalds' own nodes, and closes them by what their heartbeats say."""

from __future__ import annotations

import asyncio
import logging
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from uuid import uuid4
from weakref import WeakValueDictionary

from skald_bridge.domain.causes import Reported
from skald_bridge.domain.commands import NewTask, of_document
from skald_bridge.domain.dead_letters import reason_of
from skald_bridge.domain.dependencies import Fail, verdicts
from skald_bridge.domain.errors import Unavailable
from skald_bridge.domain.ids import NodeId, TaskId
from skald_bridge.domain.lifecycle import LifecycleStatus, StateType
from skald_bridge.domain.pulse import SILENT
from skald_bridge.domain.skalds_nodes import Heard, Lent, SkaldsNode, choose, judge
from skald_bridge.ports import Archive, Clock, Documents, Peers, Publisher, Pulse
from skald_bridge.services.mirror import Mirror
from skald_bridge.wire.topics import assign_of, cancel_of, reread_of

PERIOD = 1.0
IDLE_SECONDS = 30.0
LOOKS_AGAIN = (0.1, 0.4)
"""Seconds until it is looked again whether a node runs a task type, before nobody does."""
_log = logging.getLogger("skald_bridge.guests")


@dataclass
class _Loan:
    new: NewTask
    lent: Lent


class SkaldsDispatch:
    """One round a step. Which tasks are lent is in the archive, so a restart forgets none."""

    def __init__(
        self,
        peers: Peers,
        documents: Documents,
        publisher: Publisher,
        pulse: Pulse,
        mirror: Mirror,
        archive: Archive,
        clock: Clock,
        *,
        ours: Callable[[], Sequence[NodeId]],
        lent: Callable[[], None] = lambda: None,
    ) -> None:
        """``ours``: our own nodes, which beat in the same place; ``lent`` is called when a task was lent."""
        self._peers = peers
        self._documents = documents
        self._publisher = publisher
        self._pulse = pulse
        self._mirror = mirror
        self._archive = archive
        self._clock = clock
        self._ours = ours
        self._loans: dict[TaskId, _Loan] | None = None
        self._waiting: dict[TaskId, NewTask] = {}
        self._offers: WeakValueDictionary[TaskId, asyncio.Lock] = WeakValueDictionary()
        self._lent = lent

    async def offer(self, new: NewTask) -> bool:
        """Give the task to a Skalds node that runs its type, once what it waits for is finished.

        Returns whether there is such a node.
        """
        # Its document and an event that names it may be heard of at once: it is lent once.
        async with self._offers.setdefault(new.id, asyncio.Lock()):
            return await self._offer(new)

    async def _offer(self, new: NewTask) -> bool:
        now = self._clock.now()
        loans = await self._known(now)
        if new.id in loans or new.id in self._waiting:
            return True
        if (node := await self._chosen_patiently(new, now)) is None:
            return False
        if new.dependencies:
            await self._mirror.report([Reported(new, StateType.SCHEDULED, now, "It waits for other tasks")])
            self._waiting[new.id] = new
            self._lent()
        else:
            await self._lend(new, node, now)
        return True

    async def _chosen(self, new: NewTask, guests: Sequence[SkaldsNode], now: datetime) -> NodeId | None:
        counts = Counter(loan.lent.node for loan in (await self._known(now)).values())
        return choose(new.class_name, guests, counts, now)

    async def _chosen_patiently(self, new: NewTask, now: datetime) -> NodeId | None:
        """A Skalds node deletes its list of task types every 3 s and adds them one by one: some may be missing."""
        guests = await self._guests()
        for pause in LOOKS_AGAIN:
            node = await self._chosen(new, guests, now)
            if node is not None or not any(guest.takes_work(now) for guest in guests):
                return node
            await asyncio.sleep(pause)
            guests = await self._guests()
        return await self._chosen(new, guests, now)

    async def _lend(self, new: NewTask, node: NodeId, now: datetime) -> None:
        loans = await self._known(now)
        await self._peers.forget(new.id)
        await self._documents.assign(new, node, now)
        await self._mirror.report(
            [Reported(new, StateType.PENDING, now, f"Lent to Skalds node {node}", node)]
        )
        loans[new.id] = _Loan(new, Lent(new.id, node, now))
        self._lent()

    async def _lend_or_fail(self, new: NewTask, node: NodeId, now: datetime) -> None:
        try:
            await self._lend(new, node, now)
        except Unavailable:
            raise
        except Exception as error:
            _log.exception("task %s cannot be lent", new.id)
            reason = f"It cannot be given to Skalds node {node}: {reason_of(error)}"
            await self._mirror.report([Reported(new, StateType.FAILED, now, reason)])

    def waits(self, task: TaskId) -> bool:
        """Whether it waits for others before it is lent."""
        return task in self._waiting

    async def cancel(self, task: TaskId) -> bool:
        """Tell its node to end the task, or end one that waits; whether there was one."""
        now = self._clock.now()
        if (new := self._waiting.pop(task, None)) is not None:
            await self._mirror.report([Reported(new, StateType.CANCELLED, now, "cancelled while it waited")])
            return True
        if (loan := (await self._known(now)).get(task)) is None:
            return False
        await self._publisher.publish([cancel_of(task, loan.lent.node, str(uuid4()), now)])
        return True

    async def update(self, task: TaskId, attachments: dict[str, object]) -> bool:
        """Write new attachments into the document, and tell its node; whether one has it."""
        now = self._clock.now()
        if (loan := (await self._known(now)).get(task)) is None:
            return False
        await self._documents.want(task, attachments)
        await self._publisher.publish([reread_of(task, loan.lent.node, str(uuid4()), now)])
        return True

    async def step(self) -> float:
        now = self._clock.now()
        loans = await self._known(now)
        if not loans and not self._waiting:
            return IDLE_SECONDS
        await self._release(now)
        guests = {guest.id: guest for guest in await self._guests()}
        vitals = await self._pulse.vitals(list(loans), now)
        reports: list[Reported] = []
        for task, loan in list(loans.items()):
            if loan.lent.heard is not None and vitals.get(task, SILENT).heartbeat is not None:
                loan.lent = replace(loan.lent, heard=now)
            said = judge(loan.lent, vitals.get(task, SILENT), guests.get(loan.lent.node), now)
            if isinstance(said, Heard):
                reports.append(Reported(loan.new, said.state, now, said.message, loan.lent.node))
            elif said is not None:
                _log.info("task %s: node %s is told of it again", task, loan.lent.node)
                await self._publisher.publish([assign_of(task, loan.lent.node, str(uuid4()), now)])
                loan.lent = replace(loan.lent, told=now)
        await self._mirror.report(reports)
        for report in reports:
            if report.state is StateType.RUNNING:
                loans[report.new.id].lent = replace(loans[report.new.id].lent, heard=now)
            else:
                del loans[report.new.id]
        return PERIOD

    async def _release(self, now: datetime) -> None:
        """Lend those that have waited, and end those that wait for what will never be."""
        if not self._waiting:
            return
        waits = {task: new.dependencies for task, new in self._waiting.items()}
        wanted = [one for ones in waits.values() for one in ones]
        statuses = {id_: document.lifecycle for id_, document in (await self._archive.read(wanted)).items()}
        for verdict in verdicts(waits, statuses):
            new = self._waiting[verdict.task]
            if isinstance(verdict, Fail):
                await self._mirror.report([Reported(new, StateType.FAILED, now, verdict.reason)])
            elif (node := await self._chosen(new, await self._guests(), now)) is not None:
                await self._lend_or_fail(new, node, now)
            else:
                continue
            del self._waiting[verdict.task]

    async def _guests(self) -> list[SkaldsNode]:
        ours = set(self._ours())
        return [guest for guest in await self._peers.nodes() if guest.id not in ours]

    async def _known(self, now: datetime) -> dict[TaskId, _Loan]:
        if self._loans is None:
            read = await self._archive.read(await self._archive.open())
            documents = {task: document for task, document in read.items() if document.foreign}
            self._waiting |= {
                task: of_document(document)
                for task, document in documents.items()
                if document.lifecycle is LifecycleStatus.CREATED
            }
            self._loans = {
                task: _Loan(
                    of_document(document),
                    Lent(task, document.executor, now, heard=now if document.started is not None else None),
                )
                for task, document in documents.items()
                if document.executor is not None
            }
        return self._loans
