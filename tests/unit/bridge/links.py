"""Linked nodes without sockets, for the bridge's end of the link."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

from skald_bridge.domain.dispatch import Born, Gate, Queue
from skald_bridge.services.linked import Linked
from skald_work_pools.devices import Capacity
from skald_work_pools.leases import Lease
from skald_work_pools.link.messages import Changes, Free, FromBridge, Hello, Offer, Refused, Report, Taken
from skald_work_pools.link.reports import difference
from skald_work_pools.needs import Needs

POOL = "pool-id"
GATE = Gate(POOL, queues={"default": Queue(), "other": Queue()})


class Clock:
    def __init__(self) -> None:
        self.time = datetime(2026, 1, 1, tzinfo=UTC)

    def now(self) -> datetime:
        return self.time


class FakeLink:
    """Keeps what it is to send; ``full`` takes nothing."""

    def __init__(self) -> None:
        self.sent: list[FromBridge] = []
        self.closed = ""
        self.full = False

    def send(self, message: FromBridge) -> bool:
        if self.full or self.closed:
            return False
        self.sent.append(message)
        return True

    def close(self, reason: str) -> None:
        self.closed = reason


class Node:
    """One that is linked, with ``limit`` slots."""

    def __init__(self, world: World, name: str, *, limit: int, pool: str, **more: Any) -> None:
        self.world, self.name, self.link = world, name, FakeLink()
        self.report = Report(Free(4, 2**30, limit), types=frozenset({"resize"}), needs=more.pop("needs", {}))
        hello = Hello(name, "life", pool, "cpu", Capacity(4, 2**30, limit=limit), self.report, **more)
        self.key = world.linked.nodes.enter(hello, self.link)

    @property
    def offers(self) -> list[str]:
        return [message.run_id for message in self.link.sent if isinstance(message, Offer)]

    def say(self, **changes: Any) -> None:
        after = replace(self.report, **changes)
        self.world.linked.nodes.hear(self.key, self.link, difference(self.report, after) or Changes())
        self.report = after

    def alive(self) -> None:
        self.world.linked.nodes.hear(self.key, self.link)

    def take(self, run: str, needs: Needs | None = None) -> None:
        self.world.linked.dispatch.hear(self.key, Taken(run))
        lease = Lease(run, needs or Needs(), (), self.world.clock.now())
        free = self.report.free
        slots = free.slots - 1 if free.slots is not None else None
        self.say(leases=(*self.report.leases, lease), free=replace(free, slots=slots))

    def refuse(self, run: str, reason: str = "no room") -> None:
        self.world.linked.dispatch.hear(self.key, Refused(run, reason))

    def end(self, run: str) -> None:
        free = self.report.free
        slots = free.slots + 1 if free.slots is not None else None
        left = tuple(lease for lease in self.report.leases if lease.run_id != run)
        self.say(leases=left, free=replace(free, slots=slots))

    def cut(self) -> None:
        self.world.linked.nodes.leave(self.key, self.link)


class World:
    """Linked nodes, and a bridge that has been up for so many ``seconds``."""

    def __init__(self, seconds: float = 60) -> None:
        self.clock = Clock()
        self.linked = Linked(self.clock)
        self.later(seconds)

    @property
    def outcomes(self) -> dict[str, int]:
        """Those that are not 0."""
        return {name: count for name, count in self.linked.dispatch.outcomes.items() if count}

    def later(self, seconds: float) -> None:
        self.clock.time += timedelta(seconds=seconds)

    def node(self, name: str, *, limit: int = 1, pool: str = POOL, **more: Any) -> Node:
        return Node(self, name, limit=limit, pool=pool, **more)

    def born(self, run: str, /, **more: Any) -> None:
        self.linked.dispatch.born(born(run, **more))


def born(run: str, /, **more: Any) -> Born:
    state = more.pop("state", {"type": "SCHEDULED", "name": "Scheduled"})
    told = {"id": run, "state": state, "run_count": more.pop("run_count", 0)}
    return Born(
        **{"run": told, "class_name": "resize", "pool": "cpu", "queue": "default", "gate": GATE, **more}
    )
