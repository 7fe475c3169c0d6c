"""Who waits for a node, for what, and why not yet; in the order in which nodes take them; pure."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from pydantic import ValidationError

from skald_bridge.domain.dependencies import HELD, of_labels
from skald_bridge.domain.documents import priority_of
from skald_bridge.domain.facts import Node, Task
from skald_bridge.domain.ids import TaskId
from skald_bridge.domain.why import Pool, Waiting, reasons
from skald_work_pools.needs import Needs


@dataclass(frozen=True)
class Lane:
    """A work queue, with the number of its tasks that are due. ``priority``: 1 is served first."""

    waiting: int
    pool: Pool
    queue: str
    priority: int = 1
    paused: bool = False
    limit: int | None = None


@dataclass(frozen=True)
class Part:
    """So many tasks of a lane, from ``offset`` on; the first of them is at ``place`` in the line of its pool."""

    lane: Lane
    offset: int
    limit: int
    place: int


@dataclass(frozen=True)
class Queued:
    """A task that waits. ``place`` counts from 1 in its pool's line; ``None`` where it is not due yet.

    ``said``: what nodes said of it since it waits, newest first.
    """

    task: Task
    waiting: Waiting
    place: int | None = None
    said: tuple[str, ...] = ()

    @property
    def needs(self) -> Needs:
        return self.waiting.needs


@dataclass(frozen=True)
class QueuePage:
    """Some of the tasks that wait. ``total``: all that are due; ``later``: all that are to start at a later time."""

    tasks: tuple[Queued, ...]
    total: int
    later: int


@dataclass(frozen=True)
class Holding:
    """A task that a node has, and what it takes there."""

    task: Task
    needs: Needs


@dataclass(frozen=True)
class Row:
    """A task that waits, explained.

    ``since`` is when it was due, ``None`` where it is not yet; ``expected`` its start, where that is known.
    """

    queued: Queued
    since: datetime | None
    expected: datetime | None
    reasons: tuple[str, ...]

    @property
    def priority(self) -> int:
        """0…10; 10 is taken first."""
        return priority_of(self.queued.task.labels)


def needs_of(*layers: Mapping[str, Any]) -> Needs:
    """What a task takes: what its type declares, then job variables, the later ones in place of the earlier."""
    needs = Needs()
    for layer in layers:
        try:
            needs = needs.overridden_by(layer)
        except ValidationError:
            continue  # the node that is offered the task names the field that is wrong
    return needs


def parts(lanes: Sequence[Lane], offset: int, limit: int) -> list[Part]:
    """Where a page of the whole line is to be read.

    Each pool has nodes of its own: the first of every pool come before the second of any. Within a pool, nodes take
    higher queues first, and nothing of one that is paused.
    """
    by_pool: defaultdict[str, list[Lane]] = defaultdict(list)
    for lane in sorted(lanes, key=_turn):
        by_pool[lane.pool.name].append(lane)
    pools = [by_pool[name] for name in sorted(by_pool)]
    counts = [sum(lane.waiting for lane in line) for line in pools]
    begins, ends = _shares(counts, offset), _shares(counts, offset + limit)
    return [
        part
        for line, begin, end in zip(pools, begins, ends, strict=True)
        for part in _of_line(line, begin, end)
    ]


def rows(page: QueuePage, nodes: Sequence[Node], live: Sequence[Task], now: datetime) -> list[Row]:
    """``live``: tasks that nodes have, where limits count them, and those that others wait for."""
    return [_row(queued, nodes, live, now) for queued in page.tasks]


def awaited(page: QueuePage) -> list[TaskId]:
    """What tasks of the page wait for."""
    held = (each.task for each in page.tasks if _is_held(each.task))
    return list(dict.fromkeys(one for task in held for one in of_labels(task.labels)))


def is_limited(page: QueuePage) -> bool:
    """Whether tasks that nodes have may stand in the way of some of the page."""
    return any(each.waiting.limited for each in page.tasks)


def _row(queued: Queued, nodes: Sequence[Node], live: Sequence[Task], now: datetime) -> Row:
    due = queued.waiting.due
    is_later = due is not None and due > now
    why = reasons(queued.task, queued.waiting, nodes, live, now)
    # Where its time is all that is in its way, that is its start.
    expected = due if is_later and len(why) == 1 and not _is_held(queued.task) else None
    return Row(queued, None if is_later else due, expected, (*why, *queued.said))


def _is_held(task: Task) -> bool:
    return task.state is not None and task.state.name == HELD


def _turn(lane: Lane) -> tuple[bool, int, str]:
    return lane.paused, lane.priority, lane.queue


def _shares(counts: Sequence[int], first: int) -> list[int]:
    """How many of each line are among the ``first`` of all, when all lines advance alike."""
    low, high = 0, max(counts, default=0)
    while low < high:
        middle = (low + high + 1) // 2
        if sum(min(count, middle) for count in counts) <= first:
            low = middle
        else:
            high = middle - 1
    shares = [min(count, low) for count in counts]
    left = first - sum(shares)
    for place, count in enumerate(counts):
        if left > 0 and count > shares[place]:
            shares[place] += 1
            left -= 1
    return shares


def _of_line(line: Iterable[Lane], begin: int, end: int) -> Iterable[Part]:
    before = 0
    for lane in line:
        first, last = max(begin, before), min(end, before + lane.waiting)
        if first < last:
            yield Part(lane, first - before, last - first, first + 1)
        before += lane.waiting
