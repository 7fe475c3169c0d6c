"""What counts for the fleet as a whole: shared resources, limits by task type and label, tasks by owner."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping

from skald_work_pools.placement.model import Request


class Tally:
    """``resources``: countable things of the whole fleet; the limits are numbers of tasks at once."""

    def __init__(
        self, resources: Mapping[str, int], task_types: Mapping[str, int], labels: Mapping[str, int]
    ) -> None:
        self.shared = frozenset(resources)
        self._resources, self._task_types, self._labels = dict(resources), dict(task_types), dict(labels)
        self._taken: Counter[str] = Counter()
        self._of_type: Counter[str] = Counter()
        self._of_label: Counter[str] = Counter()
        self.of_owner: Counter[str] = Counter()

    def count(self, request: Request, tasks: int) -> None:
        """``tasks`` more (or, below zero, fewer) like this one."""
        for name, count in request.resources.items():
            self._taken[name] += count * tasks
        if request.task_type:
            self._of_type[request.task_type] += tasks
        for label in request.labels:
            self._of_label[label] += tasks
        if request.owner:
            self.of_owner[request.owner] += tasks

    def short(self, request: Request) -> str | None:
        """What the fleet as a whole has too little of now."""
        for name, count in request.resources.items():
            if name in self.shared and count > (left := self._resources[name] - self._taken[name]):
                return f"needs {count} {name}, the fleet has {left} free"
        kind = request.task_type
        if kind in self._task_types and self._of_type[kind] >= self._task_types[kind]:
            return f"{self._of_type[kind]} tasks of type {kind} run, the limit is {self._task_types[kind]}"
        for label in sorted(request.labels):
            if label in self._labels and self._of_label[label] >= self._labels[label]:
                return f"{self._of_label[label]} tasks of {label} run, the limit is {self._labels[label]}"
        return None

    def never(self, request: Request) -> bool:
        """Whether the fleet would have too little even if it were idle."""
        return (
            any(
                name in self.shared and count > self._resources[name]
                for name, count in request.resources.items()
            )
            or self._task_types.get(request.task_type, 1) < 1
            or any(self._labels.get(label, 1) < 1 for label in request.labels)
        )
