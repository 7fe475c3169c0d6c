"""What a flow says of itself as a task type; the one thing a node reads from an author's code."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal, get_args

from skald_work_pools.needs import Needs

Start = Literal["forked", "imported", "late", "cold"]
"""From an interpreter that has the code loaded; in one that imported it by itself beforehand; in one that imports it
once the run is known; in a new interpreter. Warmest first."""
STARTS: tuple[Start, ...] = get_args(Start)

_ATTRIBUTE = "__skald__"


@dataclass(frozen=True)
class TaskType:
    """``parameter`` is the name of the flow's single attachments parameter; ``start`` what the author asks for."""

    name: str
    needs: Needs
    parameter: str
    persistent: bool = False
    start: Start | None = None


def declare(function: Any, task_type: TaskType) -> None:
    """Attach the declaration to a flow's function, where it survives ``Flow.with_options``."""
    setattr(function, _ATTRIBUTE, task_type)


def declared(flow: Any) -> TaskType | None:
    """The declaration of a flow; ``None`` for a plain Prefect flow."""
    found = getattr(getattr(flow, "fn", flow), _ATTRIBUTE, None)
    return found if isinstance(found, TaskType) else None
