"""Skalds' own nodes as further capacity: who gets a task, and what its heartbeat says; pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from skald_bridge.domain.ids import NodeId, TaskId
from skald_bridge.domain.lifecycle import StateType
from skald_bridge.domain.pulse import NodeMode, Vitals

ONLINE_FOR = timedelta(seconds=10)
"""As long as a Skalds System Controller believes in a node after its last activity."""
PATIENCE = timedelta(seconds=15)
"""For a node to begin with a task before it is told once more: it may have been starting."""
SILENCE = timedelta(seconds=3)
"""After a heartbeat has expired: a busy machine's beat may come one period late."""
_ENDS = {200: StateType.COMPLETED, -1: StateType.FAILED, -2: StateType.CANCELLED}


@dataclass(frozen=True)
class SkaldsNode:
    """A Skalds node. ``tasks`` are those it says it has."""

    id: NodeId
    mode: NodeMode
    seen: datetime
    task_types: tuple[str, ...] = ()
    tasks: frozenset[TaskId] = frozenset()

    def online(self, now: datetime) -> bool:
        return now - self.seen <= ONLINE_FOR

    def takes_work(self, now: datetime) -> bool:
        """An edge takes none from others."""
        return self.mode is NodeMode.NODE and self.online(now)


@dataclass(frozen=True)
class Lent:
    """A task that a Skalds node was given. ``told`` is when; ``heard``: when its heart was heard last."""

    task: TaskId
    node: NodeId
    told: datetime
    heard: datetime | None = None


@dataclass(frozen=True)
class Heard:
    """The task's state, by its heartbeat."""

    state: StateType
    message: str | None = None


@dataclass(frozen=True)
class TellAgain:
    """The node seems not to have heard of the task."""


def choose(
    class_name: str, guests: Iterable[SkaldsNode], lent: Mapping[NodeId, int], now: datetime
) -> NodeId | None:
    """The online node that runs this task type and has the fewest tasks."""
    fits = [guest for guest in guests if guest.takes_work(now) and class_name in guest.task_types]
    if not fits:
        return None
    return min(fits, key=lambda guest: (max(len(guest.tasks), lent.get(guest.id, 0)), guest.id)).id


def judge(lent: Lent, vitals: Vitals, guest: SkaldsNode | None, now: datetime) -> Heard | TellAgain | None:
    """``None``: nothing new to say.

    A heart that has stopped without a last word is a task lost: its node is gone, or its process was killed.
    """
    beat = vitals.heartbeat
    if beat is not None and (end := _ENDS.get(beat)) is not None:
        return Heard(end, vitals.exception if end is StateType.FAILED else None)
    if beat is not None:
        return None if lent.heard is not None else Heard(StateType.RUNNING)
    if lent.heard is not None:
        if now - lent.heard < SILENCE:
            return None
        return Heard(StateType.FAILED, f"its heartbeat on Skalds node {lent.node} stopped")
    if now - lent.told <= PATIENCE:
        return None
    if guest is None or not guest.online(now):
        return Heard(StateType.FAILED, f"Skalds node {lent.node} went away before it began")
    return None if lent.task in guest.tasks else TellAgain()
