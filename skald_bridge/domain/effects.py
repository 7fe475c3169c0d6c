"""What the mirror decides to do."""

from __future__ import annotations

from dataclasses import dataclass

from skald_bridge.domain.facts import StateHint
from skald_bridge.domain.ids import TaskId
from skald_bridge.domain.records import JournalRecord, TaskDocument


@dataclass(frozen=True)
class Append:
    """To the journal."""

    record: JournalRecord


@dataclass(frozen=True)
class EndPulse:
    """The task's last heartbeat: 200 finished, -1 failed, -2 cancelled."""

    task: TaskId
    value: int
    exception: str | None


@dataclass(frozen=True)
class Put:
    """To the archive."""

    document: TaskDocument


@dataclass(frozen=True)
class Hold:
    """Remember the hint and look whether Prefect has its state.

    Prefect sends the event before it commits the state: a server that dies in between has told of a state
    that never was.
    """

    hint: StateHint


@dataclass(frozen=True)
class Fetch:
    """Ask Prefect for the task and all its states; what was heard of it does not say enough."""

    task: TaskId


Effect = Append | EndPulse | Put | Hold | Fetch
