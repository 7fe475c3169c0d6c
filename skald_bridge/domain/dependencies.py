"""Tasks that wait for other tasks; pure."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from skald_bridge.domain.ids import TaskId
from skald_bridge.domain.lifecycle import LifecycleStatus

HELD = "AwaitingDependencies"
"""Name of the Scheduled state of a task that waits for others."""
DEPENDENCIES_LABEL = "skald.dependencies"
"""A JSON list of task ids: labels are no lists."""

Dependencies = Mapping[TaskId, Sequence[TaskId]]
_ENDED_BADLY = {LifecycleStatus.FAILED: "failed", LifecycleStatus.CANCELLED: "was cancelled"}


@dataclass(frozen=True)
class Release:
    """All it waited for is finished."""

    task: TaskId


@dataclass(frozen=True)
class Fail:
    """What it waits for will never be finished."""

    task: TaskId
    reason: str


def verdicts(waiting: Dependencies, statuses: Mapping[TaskId, LifecycleStatus]) -> list[Release | Fail]:
    """What to do with the tasks that wait; nothing for one that waits on, also for a task not known yet."""
    found: list[Release | Fail] = []
    for task, wanted in waiting.items():
        if loop := cycle(task, waiting):
            found.append(Fail(task, cycle_text(loop)))
        elif bad := [(one, how) for one in wanted if (how := _ENDED_BADLY.get(_status(one, statuses)))]:
            found.append(Fail(task, f"dependencies: task {bad[0][0]}, which it waits for, {bad[0][1]}"))
        elif all(statuses.get(one) is LifecycleStatus.FINISHED for one in wanted):
            found.append(Release(task))
    return found


def cycle(task: TaskId, waiting: Dependencies) -> list[TaskId] | None:
    """The way from ``task`` back to itself through what it waits for."""
    ways: list[list[TaskId]] = [[task]]
    seen: set[TaskId] = set()
    while ways:
        way = ways.pop()
        for after in waiting.get(way[-1], ()):
            if after == task:
                return [*way, task]
            if after not in seen:
                seen.add(after)
                ways.append([*way, after])
    return None


def cycle_text(loop: Sequence[TaskId]) -> str:
    return "dependencies: a cycle, " + " waits for ".join(loop)


def written(dependencies: Sequence[str]) -> str:
    return json.dumps(list(dependencies), separators=(",", ":"))


def of_labels(labels: Mapping[str, Any]) -> tuple[TaskId, ...]:
    """What a task waits for; nothing where the label is not ours to read."""
    try:
        found = json.loads(labels.get(DEPENDENCIES_LABEL, "[]"))
    except (TypeError, ValueError):
        return ()
    return tuple(TaskId(str(one)) for one in found) if isinstance(found, list) else ()


def _status(task: TaskId, statuses: Mapping[TaskId, LifecycleStatus]) -> LifecycleStatus:
    return statuses.get(task, LifecycleStatus.CREATED)
