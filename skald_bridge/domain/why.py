"""Why a task is where it is; pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from skald_bridge.domain.dependencies import HELD, of_labels
from skald_bridge.domain.facts import Node, Task
from skald_bridge.domain.fitting import lacks
from skald_bridge.domain.ids import short
from skald_bridge.domain.lifecycle import StateType
from skald_bridge.domain.pods import in_pod
from skald_work_pools.needs import Needs

NODE_POOL_TYPE = "skald"
NOTHING = Needs()
_NAMED = 5
"""So many nodes are named in a sentence."""
_HOLDS_SLOT = (StateType.PENDING, StateType.RUNNING, StateType.CANCELLING, StateType.PAUSED)


@dataclass(frozen=True)
class Pool:
    name: str
    type: str
    paused: bool
    limit: int | None


@dataclass(frozen=True)
class Waiting:
    """What could hold a task back in Prefect.

    ``pool`` is ``None`` where the task has none, or it is gone; ``due`` is when the task is to start, ``needs`` what it
    takes of a node.
    """

    pool: Pool | None
    due: datetime | None = None
    queue_paused: bool = False
    queue_limit: int | None = None
    deployment_limit: int | None = None
    needs: Needs = NOTHING

    @property
    def limited(self) -> bool:
        """Whether other tasks can stand in its way."""
        pool_limit = self.pool.limit if self.pool is not None else None
        return any(limit is not None for limit in (pool_limit, self.queue_limit, self.deployment_limit))


def reasons(
    task: Task, waiting: Waiting, nodes: Sequence[Node], live: Sequence[Task], now: datetime
) -> list[str]:
    """Sentences, the most telling first; each names what to do where something is to be done.

    ``nodes``: all nodes; ``live``: all tasks that have not ended.
    """
    state = task.state
    if state is None:
        return ["It has no state yet."]
    if state.type is StateType.SCHEDULED:
        return _scheduled(task, waiting, nodes, live, now)
    where = f" on node {task.node}" if task.node else ""
    said = f": {state.message}" if state.message else "."
    match state.type:
        case StateType.PENDING if waiting.pool is not None and waiting.pool.type != NODE_POOL_TYPE:
            return [f"A worker of type {waiting.pool.type} has taken it and is starting it{said}"]
        case StateType.PENDING:
            return [f"A node has taken it and is starting it{where}{said}"]
        case StateType.RUNNING:
            ours = task.node is not None and not in_pod(task.node)
            lost = ours and not any(n.online for n in nodes if n.id == task.node)
            silent = [f"Its node {task.node} is silent; the task may be lost."] if lost else []
            return [*silent, f"It runs in pod {task.node}." if in_pod(task.node) else f"It runs{where}."]
        case StateType.PAUSED:
            return [f"It is {state.name.lower()}{where}; `skald resume {short(task.id)}` lets it go on."]
        case StateType.CANCELLING:
            return [f"It is being cancelled{where}; its process is about to end."]
        case _:
            return [f"It has ended as {state.name}{where}{said}"]


def _scheduled(
    task: Task, waiting: Waiting, nodes: Sequence[Node], live: Sequence[Task], now: datetime
) -> list[str]:
    found = []
    due = waiting.due
    if task.state is not None and task.state.name == HELD:
        known = {other.id: other.state.name for other in live if other.state is not None}
        return [
            f"It waits for task {one}, which is {known[one]}."
            if one in known
            else f"It waits for task {one}, which has ended, or is not there yet."
            for one in of_labels(task.labels)
        ]
    if due is not None and due > now:
        seconds = round((due - now).total_seconds())
        found.append(f"It is to start at {due.astimezone():%Y-%m-%d %H:%M:%S}, in {seconds} s.")
    if task.pool is None:
        return [*found, "It has no work pool: no node will take it. Deploy its flow to a pool of type skald."]
    pool = waiting.pool
    if pool is None:
        return [*found, f"Its work pool {task.pool} is gone. Create it: skald pool {task.pool}"]
    if pool.type != NODE_POOL_TYPE:
        found.append(f"Its work pool {pool.name} is of type {pool.type}: other workers than ours serve it.")
    if pool.paused:
        found.append(f"The work pool {pool.name} is paused. Resume it: prefect work-pool resume {pool.name}")
    if waiting.queue_paused:
        found.append(
            f"The work queue {task.queue} is paused. "
            f"Resume it: prefect work-queue resume {task.queue} --pool {pool.name}"
        )
    busy = [t for t in live if t.state is not None and t.state.type in _HOLDS_SLOT]
    for what, limit, holders in (
        (f"work pool {pool.name}", pool.limit, [t for t in busy if t.pool == task.pool]),
        (
            f"work queue {task.queue}",
            waiting.queue_limit,
            [t for t in busy if (t.pool, t.queue) == (task.pool, task.queue)],
        ),
        (
            f"deployment {task.deployment}",
            waiting.deployment_limit,
            [t for t in busy if t.deployment_id == task.deployment_id],
        ),
    ):
        if limit is not None and len(holders) >= limit:
            found.append(f"The {what} has a concurrency limit of {limit}, and {len(holders)} tasks hold it.")
    online = [node for node in nodes if node.pool == task.pool and node.online]
    if not online and pool.type == NODE_POOL_TYPE:
        found.append(f"No node of the pool {pool.name} is online. Start one: skald node --pool {pool.name}")
    elif pool.type == NODE_POOL_TYPE and (unable := _unable(online, waiting.needs)):
        found.append(
            f"No node of the pool {pool.name} that is online could ever take it: {unable}. "
            "Start a node that has it, or ask for less."
        )
    elif not found:
        names = ", ".join(node.id for node in online)
        found.append(f"It waits for room on a node of the pool {pool.name}; online: {names}.")
    return found


def _unable(online: Sequence[Node], needs: Needs) -> str:
    """What each of the nodes lacks; nothing where one of them lacks nothing, or nothing is known."""
    found = [(node.id, lacks(node, needs)) for node in online]
    if any(lack is None for _, lack in found):
        return ""
    more = f"; and {len(found) - _NAMED} more nodes" if len(found) > _NAMED else ""
    return "; ".join(f"node {name}: {lack}" for name, lack in found[:_NAMED]) + more
