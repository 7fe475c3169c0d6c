"""What a run's state becomes when its process has ended. Pure: facts in, an outcome out."""

from __future__ import annotations

import signal
from dataclasses import dataclass

from prefect.client.schemas.objects import TERMINAL_STATES, StateType

from skald_work_pools.node.forked.processes import Exit
from skald_work_pools.node.forked.shared_flags import Intent

_LONGEST = 500


@dataclass(frozen=True)
class Facts:
    """``ours``: the state in Prefect was set by this attempt or its node; ``retried``: how often the run was.

    ``broke``: the exception that ended the process, as it told; ``last_words``: its last line of error output.
    """

    end: Exit
    state: StateType
    state_name: str
    ours: bool
    intent: Intent | None = None
    forced: bool = False
    fenced: bool = False
    out_of_memory: bool = False
    retried: int = 0
    retries: int = 0
    broke: str = ""
    last_words: str = ""


@dataclass(frozen=True)
class Ended:
    """``end`` is ``None`` when the run never got a process here; ``why`` says why."""

    end: Exit | None = None
    why: str = ""
    state: str = ""


@dataclass(frozen=True)
class Settled:
    """Nothing is left to set."""


@dataclass(frozen=True)
class Cancel:
    message: str


@dataclass(frozen=True)
class Reschedule:
    message: str


@dataclass(frozen=True)
class Suspend:
    """The task was paused: it shall wait for its resume, not run on elsewhere."""

    message: str


@dataclass(frozen=True)
class Crash:
    """``retry`` is whether the task's retries allow another attempt."""

    message: str
    retry: bool


Outcome = Settled | Cancel | Reschedule | Suspend | Crash


def conclude(facts: Facts, node: str) -> Outcome:
    """The outcome; ``node`` is named in messages."""
    if facts.fenced or facts.state in TERMINAL_STATES:
        return Settled()
    if facts.state is StateType.PAUSED and facts.state_name == "Suspended":
        return Settled()
    if not facts.ours and facts.state in (StateType.SCHEDULED, StateType.PENDING):
        return Settled()
    if facts.intent == "cancel" or facts.state is StateType.CANCELLING:
        how = "it did not end in time and was killed" if facts.forced else "its process ended"
        return Cancel(f"Cancelled on node {node}: {how}.")
    if facts.intent == "reschedule" and facts.state is StateType.PAUSED:
        return Suspend(f"Node {node} was stopped while the task was paused.")
    if facts.intent == "reschedule":
        return Reschedule(f"Node {node} was stopped.")
    return Crash(_cause(facts, node), facts.retried < facts.retries)


def abandoned(
    state: StateType,
    state_name: str,
    node: str,
    *,
    cancelled: bool,
    in_process: bool,
    retried: int,
    retries: int,
) -> Outcome:
    """The outcome of a run that has no process any more, and a state as if it had.

    ``cancelled``: it was, since its node claimed it. ``in_process``: its process was to retry it.
    """
    if state is StateType.CANCELLING or (cancelled and state in (StateType.PENDING, StateType.RUNNING)):
        return Cancel(f"Cancelled: its process on node {node} had ended.")
    if state is StateType.PENDING or (state is StateType.SCHEDULED and in_process):
        return Reschedule(f"Node {node} ended before the task began.")
    if state is StateType.RUNNING:
        return Crash(f"Node {node} ended, and the task's process with it.", retried < retries)
    if state is StateType.PAUSED and state_name != "Suspended":
        return Suspend(f"Node {node} ended while the task was paused.")
    return Settled()


def _cause(facts: Facts, node: str) -> str:
    if facts.end.clean:
        return f"The task's process on node {node} ended before the task did."
    why = _why(facts)
    return f"The task's process on node {node} {facts.end}{f': {why}' if why else ''}."


def _why(facts: Facts) -> str:
    if facts.out_of_memory:
        return "the machine or its cgroup ran out of memory (OOM)"
    if facts.broke:
        return facts.broke.rstrip(".")
    # What a process that was killed had printed before is not why.
    if facts.last_words and facts.end.signal in (None, signal.SIGABRT):
        return f"its last line of error output is {facts.last_words[:_LONGEST]!r}"
    return ""
