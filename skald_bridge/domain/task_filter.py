"""Which tasks are asked for; pure."""

from __future__ import annotations

from dataclasses import dataclass

from skald_bridge.domain.lifecycle import LifecycleStatus
from skald_bridge.domain.records import TaskDocument


@dataclass(frozen=True)
class TaskFilter:
    """All that is given must hold.

    ``id_part`` and ``class_part`` are contained in the id and the class name, ASCII letters in any case; they
    are text, never patterns.
    """

    status: LifecycleStatus | None = None
    class_name: str | None = None
    executor: str | None = None
    id_part: str | None = None
    class_part: str | None = None

    def holds(self, document: TaskDocument) -> bool:
        return (
            self.status in (None, document.lifecycle)
            and self.class_name in (None, document.class_name)
            and self.executor in (None, document.executor)
            and folded(self.id_part or "") in folded(document.id)
            and folded(self.class_part or "") in folded(document.class_name)
        )


EVERY = TaskFilter()


def folded(text: str) -> str:
    """ASCII letters in lower case, as SQLite does it."""
    return text.translate(_LOWER)


_LOWER = {upper: upper + 32 for upper in range(ord("A"), ord("Z") + 1)}
