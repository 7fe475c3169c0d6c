"""What the mirror is told, and what each hint turns out to be."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import Enum, auto
from typing import Any

from skald_bridge.domain.commands import NewTask
from skald_bridge.domain.facts import State, StateHint, Task
from skald_bridge.domain.ids import NodeId, StateId
from skald_bridge.domain.lifecycle import StateType
from skald_bridge.domain.records import JournalRecord


@dataclass(frozen=True)
class Stored:
    """Prefect has this state of the task."""

    state: StateId


@dataclass(frozen=True)
class Seen:
    """The sweep saw the task."""

    task: Task


@dataclass(frozen=True)
class Told:
    """Prefect gave the task and its whole history, oldest first."""

    task: Task
    history: tuple[State, ...]


@dataclass(frozen=True)
class Gone:
    """Prefect does not know the task any more."""


@dataclass(frozen=True)
class Reported:
    """A task that Prefect does not run is in this state: it was refused, or a Skalds node says so."""

    new: NewTask
    state: StateType
    at: datetime
    message: str | None = None
    node: NodeId | None = None


@dataclass(frozen=True)
class Concluded:
    """The task ended, and this is what it made, in short."""

    result: dict[str, Any] | None


class Relation(Enum):
    """How a hint's state stands to what is known."""

    REPEAT = auto()
    """Journaled last, or held already."""
    PROOF = auto()
    """It follows the held state, which is thereby proven."""
    NEXT = auto()
    """It follows the last journaled state, or is a new task's first."""
    UNCLEAR = auto()
    """States may lie between them, or it is an old one, or one of two that claim the same place."""


def relation(hint: StateHint, last: JournalRecord | None, held: StateHint | None) -> Relation:
    if held is not None:
        if hint.state.id == held.state.id:
            return Relation.REPEAT
        return Relation.PROOF if hint.follows == held.state.id else Relation.UNCLEAR
    if last is None:
        return Relation.NEXT if hint.first else Relation.UNCLEAR
    if hint.state.id == last.id:
        return Relation.REPEAT
    return Relation.NEXT if hint.follows == last.id else Relation.UNCLEAR
