"""The nodes that hold a link: what they have and run, who is silent. Holds the pure fleet, and the time."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from skald_bridge.domain.dispatch import ANY_QUEUE, node_tag, pool_tag, queue_tag
from skald_bridge.domain.plain_text import visible
from skald_bridge.ports import Clock, NodeLink
from skald_bridge.services.loop import Wake
from skald_work_pools.link.messages import Changes, FromBridge, Hello, Report
from skald_work_pools.link.reports import merged, usage_of
from skald_work_pools.placement import fleet
from skald_work_pools.placement.model import Grant, Member, Refusal, Request, Settings, Standing, State

ALIVE_EVERY = 3.0
"""Seconds between a node's messages."""
_TICK = 1.0
_IDLE = 3600.0
_log = logging.getLogger("skald_bridge.nodes")


class _Node:
    """What a node has said of itself, and the link it said it on."""

    __slots__ = ("hello", "link", "member", "report")

    def __init__(self, hello: Hello, link: NodeLink) -> None:
        self.hello, self.link, self.report = hello, link, hello.report
        self.member = _member(hello, hello.report)


class Nodes:
    """A node is a member of the fleet while its link is open; ``gone`` hears the key of each that is not any more.

    A node's key is unique among all work pools.
    """

    def __init__(self, clock: Clock, wake: Wake, settings: Settings | None = None, seed: int = 0) -> None:
        """``wake`` hurries ``step``."""
        self._clock, self._wake = clock, wake
        self._fleet = fleet.Fleet(seed, settings)
        self._nodes: dict[str, _Node] = {}
        self._in_pool: dict[str, int] = {}
        self.gone: Callable[[str], None] = lambda key: None

    def enter(self, hello: Hello, link: NodeLink) -> str:
        """The node's key, by which it is told of from now on. A link that it had before is closed."""
        key = f"{hello.pool_id}/{hello.node}"
        if (before := self._nodes.get(key)) is not None:
            self._drop(key, before, "the node has another link")
        if not self._nodes:
            self._wake()
        node = self._nodes[key] = _Node(hello, link)
        self._in_pool[hello.pool] = self._in_pool.get(hello.pool, 0) + 1
        self._tell(node)
        _log.info("node %s of work pool %s is linked", visible(hello.node), visible(hello.pool))
        return key

    def hear(self, key: str, link: NodeLink, changes: Changes | None = None) -> None:
        """The node is there; what has changed of it, if anything has."""
        node = self._nodes.get(key)
        if node is None or node.link is not link:
            return
        if changes is not None:
            node.report = merged(node.report, changes)
            node.member = _member(node.hello, node.report)
        self._tell(node)

    def leave(self, key: str, link: NodeLink) -> None:
        """The link is closed."""
        node = self._nodes.get(key)
        if node is not None and node.link is link:
            self._drop(key, node, "the link is closed")

    def serves(self, pool: str) -> bool:
        """Whether a node of this work pool is linked."""
        return pool in self._in_pool

    def linked(self) -> set[str]:
        """Names of the linked nodes, each with its pool's."""
        return {f"{node.hello.pool}/{node.hello.node}" for node in self._nodes.values()}

    def declared(self, pool_id: str, task_type: str) -> Mapping[str, Any]:
        """What the task type says that it needs, as a node of the pool that has loaded it tells."""
        for node in self._nodes.values():
            if node.hello.pool_id == pool_id and task_type in node.report.needs:
                return node.report.needs[task_type]
        return {}

    def place(self, request: Request) -> Grant | Refusal:
        return self._fleet.place(request, self._clock.now())

    def release(self, run_id: str) -> None:
        """The run is not at the node that had been chosen for it."""
        self._fleet.release(run_id, self._clock.now())

    def send(self, key: str, message: FromBridge) -> bool:
        """Whether the node will be told."""
        node = self._nodes.get(key)
        return node is not None and node.link.send(message)

    def name(self, key: str) -> str:
        node = self._nodes.get(key)
        return visible(node.hello.node) if node is not None else "that has gone"

    def standings(self) -> list[Standing]:
        return self._fleet.members(self._clock.now())

    def states(self) -> dict[str, int]:
        """How many linked nodes are in each state."""
        found = {state.value: 0 for state in State}
        for standing in self.standings():
            found[standing.state.value] += 1
        return found

    async def step(self) -> float:
        """Once a second while nodes are linked: who is silent."""
        for change in self._fleet.tick(self._clock.now()):
            node = self._nodes.get(change.member)
            if node is None:
                continue
            _log.warning("node %s is silent: %s", visible(node.hello.node), change.after or "forgotten")
            if change.after is not State.SUSPICIOUS:
                self._drop(change.member, node, "the node is silent")
        return _TICK if self._nodes else _IDLE

    def _tell(self, node: _Node) -> None:
        self._fleet.report(node.member, usage_of(node.report), self._clock.now())

    def _drop(self, key: str, node: _Node, reason: str) -> None:
        del self._nodes[key]
        left = self._in_pool[node.hello.pool] - 1
        if left:
            self._in_pool[node.hello.pool] = left
        else:
            del self._in_pool[node.hello.pool]
        self._fleet.remove(key)
        node.link.close(reason)
        _log.info("node %s is not linked any more: %s", visible(node.hello.node), reason)
        self.gone(key)


def _member(hello: Hello, report: Report) -> Member:
    """Only what it has loaded is offered to it: anything else it would have to load first."""
    queues = frozenset(map(queue_tag, hello.queues)) or frozenset({ANY_QUEUE})
    tags = hello.capacity.tags | queues | {pool_tag(hello.pool_id), node_tag(f"{hello.pool_id}/{hello.node}")}
    return Member(
        f"{hello.pool_id}/{hello.node}",
        replace(hello.capacity, tags=tags),
        task_types=report.types,
        warm=report.types,
        drained=report.draining or report.waiting,
    )
