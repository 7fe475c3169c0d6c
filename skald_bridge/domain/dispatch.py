"""Whether a run that was born here is offered to a node, and what of a node it asks; pure."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from pydantic import ValidationError

from skald_bridge.domain.lifecycle import StateType
from skald_work_pools.needs import Needs
from skald_work_pools.placement.model import HIGHEST_PRIORITY, LOWEST_PRIORITY, Request

MOST_NODES = 3
"""So many nodes are offered a run; then it is left to be found."""
UNCONFIRMED = timedelta(seconds=10)
"""How long an offered run keeps its place in the picture of a node that does not list it."""
QUIET = timedelta(seconds=5)
"""How long a bridge that has begun waits for nodes that it does not know the leases of."""
ANY_QUEUE = "skald.queue="
"""The tag of a node that serves all of its pool's queues."""


@dataclass(frozen=True)
class Queue:
    paused: bool = False
    limited: bool = False


@dataclass(frozen=True)
class Gate:
    """What holds runs of a work pool back in Prefect, and nowhere else."""

    pool_id: str
    paused: bool = False
    limited: bool = False
    queues: Mapping[str, Queue] = field(default_factory=dict)


@dataclass(frozen=True)
class Born:
    """A run of ``class_name`` that was just created: ``run`` is Prefect's answer to that, ``task`` the task's id.

    ``variables`` are its job variables, over its deployment's. ``limited``: its deployment has a limit.
    """

    run: Mapping[str, Any]
    class_name: str
    pool: str
    queue: str
    gate: Gate
    priority: int = LOWEST_PRIORITY
    variables: Mapping[str, Any] = field(default_factory=dict)
    limited: bool = False
    task: str = ""

    @property
    def run_id(self) -> str:
        return str(self.run["id"])


def pool_tag(pool_id: str) -> str:
    return f"skald.pool={pool_id}"


def queue_tag(queue: str) -> str:
    return f"{ANY_QUEUE}{queue}"


def node_tag(node: str) -> str:
    return f"skald.node={node}"


def hindrance(born: Born) -> str | None:
    """Why nobody may be offered the run: Prefect itself decides when it starts."""
    state = born.run.get("state") or {}
    if state.get("type") != StateType.SCHEDULED or state.get("name") != "Scheduled":
        return "it does not wait for a node"
    if born.run.get("run_count"):
        return "it has been started before"
    queue = born.gate.queues.get(born.queue)
    if queue is None:
        return f"its work queue {born.queue} is not known yet"
    if born.gate.paused or queue.paused:
        return "its work pool or queue is paused"
    if born.gate.limited or queue.limited or born.limited:
        return "its work pool, queue or deployment has a limit"
    return None


def requests(born: Born, declared: Mapping[str, Any], tried: Collection[str]) -> tuple[Request, ...]:
    """What is asked of the fleet, in this order: nodes for its queue alone come first; none of the ``tried``.

    ``declared``: what the task type says that it needs. None where its job variables cannot be understood: a node
    tells what is wrong with them.
    """
    try:
        needs = Needs.model_validate(declared).overridden_by(born.variables)
    except ValidationError:
        return ()
    pool, forbidden = pool_tag(born.gate.pool_id), frozenset(map(node_tag, tried))
    return tuple(
        Request(
            born.run_id,
            (needs,),
            priority=min(max(born.priority, LOWEST_PRIORITY), HIGHEST_PRIORITY),
            required=frozenset({pool, queue}),
            forbidden=forbidden,
            task_type=born.class_name,
            lease=UNCONFIRMED,
        )
        for queue in (queue_tag(born.queue), ANY_QUEUE)
    )


def may_offer(
    now: datetime, began: datetime, expected: Collection[str] | None, linked: Collection[str]
) -> bool:
    """Whether the picture of the nodes is whole: each that Prefect has online is linked, or time has passed.

    ``expected`` is ``None`` while Prefect has not answered.
    """
    whole = expected is not None and len(expected) > 0 and set(expected) <= set(linked)
    return whole or now - began >= QUIET
