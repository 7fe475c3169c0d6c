"""Reports, requests, ends and silence in any order, beside real ledgers of nodes and a twin of the same seed."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import ClassVar

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from skald_work_pools.leases import Lease, Ledger
from skald_work_pools.needs import Needs
from skald_work_pools.placement.fleet import Fleet
from skald_work_pools.placement.gang import place_all
from skald_work_pools.placement.model import Grant, Order, Refusal, Request, State, Waiting
from skald_work_pools.placement.preemption import preemption
from skald_work_pools.placement.queue import Queue, QueueSettings
from skald_work_pools.placement.room import Room
from skald_work_pools.placement.score import NO_ROOM
from tests.unit.placement.machines import Free, Machine
from tests.unit.placement.members import GIB, NOW, node, worker

NEEDS = st.sampled_from(
    [
        Needs(),
        Needs(cpus=1),
        Needs(cpus=4, memory=8 * GIB),
        Needs(gpu_memory="3GiB"),
        Needs(gpu_memory="12GiB", cpus=1),
        Needs(gpus=1),
        Needs(gpus=2),
        Needs(gpus=2, gpu_memory="6GiB"),
        Needs(nvdec=2),
        Needs(nvenc=1, gpu_memory="1GiB"),
    ]
)
TAGS = st.sampled_from([frozenset[str](), frozenset({"x"}), frozenset({"y"}), frozenset({"x", "y"})])
SECONDS = st.sampled_from([0.5, 3, 9])


class Placement(RuleBasedStateMachine):
    @initialize(seed=st.integers(0, 3), holds=st.sampled_from([0, 2]), share=st.sampled_from([0, 100]))
    def begin(self, seed: int, holds: int, share: int) -> None:
        common = {"resources": {"licence": 3}, "labels": {"camera": 2}}
        self.fleets = [Fleet(seed, **common) for _ in range(2)]
        terms = QueueSettings(timedelta(seconds=20), holds, {"ann": 2.0}, timedelta(seconds=share))
        self.queues = [Queue(fleet, terms) for fleet in self.fleets]
        self.machines: dict[str, Machine] = {}
        self.now, self.number = NOW, 0
        for number, (size, count) in enumerate([(16, 2), (24, 1), (8, 4), (0, 0)]):
            tags = frozenset({"x", "y"}) if number % 2 else frozenset({"x"})
            member = node(f"n{number}", *[size] * count, tags=tags)
            self.machines[member.id] = Machine(member, Ledger(member.capacity))
        for member in (worker("w0", 3, "x"), worker("w1", 2, "y", resources={"board": 1}), worker("w2", 0)):
            self.machines[member.id] = Machine(member, None)
        for machine in self.machines.values():
            self.report(machine)

    def both(self, ask):
        """The same of each twin, which answer alike."""
        first, second = (ask(fleet, queue) for fleet, queue in zip(self.fleets, self.queues, strict=True))
        assert first == second
        return first

    def report(self, machine: Machine) -> None:
        machine.heard = self.now
        self.both(lambda fleet, _: fleet.report(machine.member, machine.used(), self.now))

    def request(
        self, needs: tuple[Needs, ...], required: frozenset[str], kind: int, priority: int
    ) -> Request:
        self.number += 1
        request = Request(
            str(self.number), needs, required=required, priority=priority, lease=timedelta(days=1)
        )
        variants = {
            1: {"resources": {"licence": 1}},
            2: {"labels": frozenset({"camera"}), "owner": "ann"},
            3: {"order": Order.PACK, "owner": "bob"},
            4: {"resources": {"board": 1}},
            5: {"duration": timedelta(seconds=30)},
            6: {"forbidden": frozenset({"y"}), "preferred": frozenset({"x"})},
        }
        return replace(request, **variants.get(kind, {}))

    asked: ClassVar = {
        "needs": st.lists(NEEDS, min_size=1, max_size=2).map(tuple),
        "required": TAGS,
        "kind": st.integers(0, 6),
        "priority": st.sampled_from([0, 0, 5, 10]),
    }

    @rule(**asked)
    def place(self, **asked) -> None:
        request = self.request(**asked)
        before = [room.free for room in self.fleets[0].catalog.rooms.values()]
        answer = self.both(lambda fleet, _: fleet.place(request, self.now))
        if isinstance(answer, Refusal):
            assert self.fits_nowhere(request) or any(
                room.apart for room in self.fleets[0].catalog.rooms.values()
            )
            assert set(self.fleets[0].explain(request, self.now)) == set(self.machines)
            return
        assert self.both(lambda fleet, _: fleet.place(request, self.now)) is answer
        self.both(lambda fleet, _: fleet.release(request.task, self.now))
        assert [room.free for room in self.fleets[0].catalog.rooms.values()] == before
        again = self.both(lambda fleet, _: fleet.place(request, self.now))
        assert isinstance(again, Grant)
        self.start(again)

    def start(self, grant: Grant) -> None:
        request, machine = grant.request, self.machines[grant.member]
        assert request.required <= machine.member.tags
        assert request.forbidden.isdisjoint(machine.member.tags)
        for name, count in request.resources.items():
            users = [each for each in self.fleets[0].grants() if name in each.request.resources]
            here = [each for each in users if each.member == grant.member]
            most = 3 if name == "licence" else machine.member.resources[name]
            assert sum(count for _ in (users if name == "licence" else here)) <= most
        assert sum(bool(each.request.labels) for each in self.fleets[0].grants()) <= 2
        if not machine.start(grant, self.now):
            self.report(machine)

    def fits_nowhere(self, request: Request) -> bool:
        """By looking at every member."""
        fleet = self.fleets[0]
        if fleet.tally.short(request) is not None:
            return True
        for machine in self.machines.values():
            room = fleet.catalog.rooms.get(machine.member.id)
            if room is None or room.state is not State.ONLINE:
                continue
            tags, limit = machine.member.tags, machine.member.capacity.limit
            if not request.required <= tags or not request.forbidden.isdisjoint(tags):
                continue
            if limit is not None and room.tasks >= limit:
                continue
            if any(
                name != "licence" and (room.resources or {}).get(name, 0) < 1 for name in request.resources
            ):
                continue
            for needs in request.alternatives:
                free = Free(machine.member, room)
                if isinstance(free.admit("it", needs, {}, self.now), Lease):
                    return False
        return True

    @rule(**asked)
    def submit(self, **asked) -> None:
        request = self.request(**asked)
        before = set(self.tasks())
        answer = self.both(lambda _, queue: queue.submit(request, self.now))
        assert isinstance(answer, Grant | Waiting | Refusal)
        self.start_new(before)
        if isinstance(answer, Refusal):
            assert answer.never
            assert not self.fleets[0].could_ever(request)
        self.check_conserving()

    @rule()
    def pump(self) -> None:
        before = set(self.tasks())
        self.both(lambda _, queue: queue.pump(self.now))
        self.start_new(before)
        self.check_conserving()

    def check_conserving(self) -> None:
        """Nobody waits who has room, unless it is held for one before it."""
        if not self.fleets[0].apart.holders():
            assert all(self.fits_nowhere(each.request) for each in self.queues[0].waiting())

    def start_new(self, before: set[str]) -> None:
        for grant in self.fleets[0].grants():
            if grant.task not in before:
                self.start(grant)

    def tasks(self) -> list[str]:
        return [grant.task for grant in self.fleets[0].grants()]

    @precondition(lambda self: self.tasks())
    @rule(data=st.data(), told=st.booleans())
    def end(self, data: st.DataObject, told: bool) -> None:
        """By a release, or by the node's report alone."""
        task = data.draw(st.sampled_from(self.tasks()))
        machine = self.machines[self.fleets[0].grant(task).member]
        machine.end(task, self.now)
        if told or task not in self.fleets[0].catalog.rooms[machine.member.id].confirmed:
            self.both(lambda fleet, _: fleet.release(task, self.now))
        if not machine.silent:
            self.report(machine)

    @rule(parts=st.lists(NEEDS, min_size=2, max_size=4))
    def gang(self, parts: list[Needs]) -> None:
        requests = [self.request((needs,), frozenset(), 0, 0) for needs in parts]
        before, free = set(self.tasks()), [room.free for room in self.fleets[0].catalog.rooms.values()]
        answer = self.both(lambda fleet, _: place_all(requests, fleet, self.now))
        if isinstance(answer, Refusal):
            assert [room.free for room in self.fleets[0].catalog.rooms.values()] == free
            assert set(self.tasks()) == before
        else:
            assert [grant.task for grant in answer] == [request.task for request in requests]
            self.start_new(before)

    @rule(**asked)
    def preempt(self, **asked) -> None:
        request = self.request(**asked)
        found = self.both(lambda fleet, _: preemption(request, fleet, self.now))
        if found is None:
            return
        room = self.fleets[0].catalog.rooms[found.member]
        assert all(grant.request.priority < request.priority for grant in found.victims)
        for spared in found.victims:
            gone = [grant for grant in found.victims if grant is not spared]
            assert not self.has_room(room.without(gone), request, found.alternative)
        for grant in found.victims:
            self.machines[grant.member].end(grant.task, self.now)
            self.both(lambda fleet, _, task=grant.task: fleet.release(task, self.now))
        self.report(self.machines[found.member])
        answer = self.both(lambda fleet, _: fleet.place(request, self.now))
        assert isinstance(answer, Grant)
        self.start(answer)

    def has_room(self, room: Room, request: Request, alternative: int) -> bool:
        fleet = self.fleets[0]
        wants = fleet._wants(request)
        return fleet.catalog.true_rank(fleet.catalog.index(wants[alternative].key), room) != NO_ROOM

    @rule(data=st.data(), others=st.integers(0, 3), sick=st.booleans(), silent=st.booleans())
    def change(self, data: st.DataObject, others: int, sick: bool, silent: bool) -> None:
        machine = self.machines[data.draw(st.sampled_from(sorted(self.machines)))]
        machine.silent = silent
        if silent:
            return
        machine.sick = sick
        if machine.ledger is None:
            machine.others = max(0, min(others, machine.member.capacity.limit - len(machine.running)))
        self.report(machine)

    @rule(seconds=SECONDS)
    def time_passes(self, seconds: float) -> None:
        self.now += timedelta(seconds=seconds)
        for machine in self.machines.values():
            if not machine.silent:
                self.report(machine)
        for change in self.both(lambda fleet, _: fleet.tick(self.now)):
            assert self.machines[change.member].silent
            assert not change.lost or change.after is State.OFFLINE

    @rule()
    def everything_ends(self) -> None:
        """Whoever waits starts at last: a round for each of them is enough, though nobody is ahead for ever."""
        for machine in self.machines.values():
            machine.silent = machine.sick = False
            machine.others = 0
        for _ in range(len(self.queues[0].waiting()) + 2):
            for machine in self.machines.values():
                for task in sorted(machine.running):
                    machine.end(task, self.now)
                    self.both(lambda fleet, _, task=task: fleet.release(task, self.now))
                self.report(machine)
            self.pump()
        assert self.queues[0].waiting() == []

    @invariant()
    def indexes_are_never_too_bad(self) -> None:
        for fleet in getattr(self, "fleets", ())[:1]:
            fleet.catalog.sharpen()
            for index in fleet.catalog._indexes.values():
                for room in fleet.catalog.rooms.values():
                    listed, true = index._ranks[room.index], fleet.catalog.rank_of(index, room)
                    assert true == NO_ROOM or NO_ROOM < listed <= true


TestPlacement = Placement.TestCase
TestPlacement.settings = settings(max_examples=25, stateful_step_count=30, deadline=None)
