"""What Prefect, Kafka, MongoDB, Redis and the tasks themselves say, compared; pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

_ENDS = {"COMPLETED": "Finished", "FAILED": "Failed", "CRASHED": "Failed", "CANCELLED": "Cancelled"}
"""Skalds' status for each of Prefect's terminal state types."""
_STILL_AT_WORK = ("RUNNING", "PAUSED")


@dataclass(frozen=True)
class State:
    """Prefect's, of one task."""

    id: str
    type: str
    name: str


@dataclass(frozen=True)
class Run:
    """A task as Prefect has it; ``states`` oldest first, ``key`` its idempotency key."""

    key: str
    states: tuple[State, ...]
    attachments: Mapping[str, Any] = field(default_factory=dict)
    revision: int = 1

    @property
    def last(self) -> State:
        return self.states[-1]

    @property
    def over(self) -> bool:
        return bool(self.states) and self.last.type in _ENDS

    @property
    def attempts(self) -> int:
        """How often it began to run; going on after a pause is no beginning."""
        before = ["", *(state.type for state in self.states)]
        return sum(
            state.type == "RUNNING" and previous not in _STILL_AT_WORK
            for previous, state in zip(before, self.states, strict=False)
        )


@dataclass(frozen=True)
class Record:
    """One of Kafka's ``task.state``: the state's id, and its number among the task's states."""

    state: str
    sequence: int


@dataclass(frozen=True)
class Document:
    """A task as MongoDB has it."""

    status: str
    state: str
    attachments: Mapping[str, Any] = field(default_factory=dict)
    revision: int = 1


@dataclass(frozen=True)
class Evidence:
    """``begun``: how often user code of a task began, by its own account. Each mapping is by task.

    ``wanted`` are the keys of the tasks that were asked for, ``answered`` the newest revision that a sender
    of updates was told is applied or stored. The last four say of each finding what it is.
    """

    wanted: frozenset[str]
    runs: Mapping[str, Run]
    begun: Mapping[str, int]
    records: Mapping[str, Sequence[Record]]
    documents: Mapping[str, Document]
    answered: Mapping[str, int] = field(default_factory=dict)
    immortal_keys: Sequence[str] = ()
    orphans: Sequence[str] = ()
    leaked_leases: Sequence[str] = ()
    unanswered: Sequence[str] = ()


@dataclass(frozen=True)
class Findings:
    """One sentence for each violation, by its kind."""

    lost: list[str]
    doubled: list[str]
    states_missing: list[str]
    states_out_of_order: list[str]
    states_untrue: list[str]
    archive_mismatch: list[str]
    updates_lost: list[str]
    keys_without_ttl: list[str]
    orphans: list[str]
    leaked_leases: list[str]
    poison_unanswered: list[str]

    def counts(self) -> dict[str, int]:
        return {kind: len(found) for kind, found in vars(self).items()}

    @property
    def clean(self) -> bool:
        return not any(self.counts().values())

    def sentences(self) -> list[str]:
        return [f"{kind}: {sentence}" for kind, found in vars(self).items() for sentence in found]


def judge(evidence: Evidence) -> Findings:
    """Every violation of what the bridge and its nodes promise."""
    runs = evidence.runs
    return Findings(
        lost=list(_lost(evidence)),
        doubled=[
            f"{task} began {begun} times, Prefect has {attempts} attempts: {_story(runs.get(task))}"
            for task, begun in evidence.begun.items()
            if begun > (attempts := runs[task].attempts if task in runs else 0)
        ],
        states_missing=[
            f"{task}: {state.name} ({state.id}) of {_story(run)}"
            for task, run in runs.items()
            for state in _missing(run, evidence.records.get(task, ()))
        ],
        states_out_of_order=[
            f"{task}: {problem}"
            for task, run in runs.items()
            if (problem := _disorder(run, evidence.records.get(task, ())))
        ],
        states_untrue=list(_untrue(evidence)),
        archive_mismatch=[
            f"{task}: {problem}"
            for task, run in runs.items()
            if (problem := _mismatch(run, evidence.documents.get(task)))
        ],
        updates_lost=[
            f"{task}: revision {revision} was answered, Prefect has {runs[task].revision}"
            for task, revision in evidence.answered.items()
            if task in runs and runs[task].revision < revision
        ],
        keys_without_ttl=list(evidence.immortal_keys),
        orphans=list(evidence.orphans),
        leaked_leases=list(evidence.leaked_leases),
        poison_unanswered=list(evidence.unanswered),
    )


def _lost(evidence: Evidence) -> Iterator[str]:
    for key in sorted(evidence.wanted - {run.key for run in evidence.runs.values()}):
        yield f"{key} is not in Prefect"
    for task, run in evidence.runs.items():
        if not run.over:
            yield f"{task} has not ended: {_story(run)}"
        elif run.last.type == "COMPLETED" and not evidence.begun.get(task):
            yield f"{task} is Completed and never began"


def _missing(run: Run, records: Sequence[Record]) -> list[State]:
    told = {record.state for record in records}
    return [state for state in run.states if state.id not in told]


def _disorder(run: Run, records: Sequence[Record]) -> str:
    """Of the first record of each state; those that Prefect does not have are another matter."""
    places = {state.id: place for place, state in enumerate(run.states, 1)}
    first = {record.state: record.sequence for record in reversed(records)}
    told = list(dict.fromkeys(record.state for record in records if record.state in places))
    if told != sorted(told, key=lambda state: places[state]):
        return f"states {[places[state] for state in told]} in this order"
    if wrong := [state for state in told if first[state] != places[state]]:
        return f"state {places[wrong[0]]} of {len(run.states)} has the number {first[wrong[0]]}"
    return ""


def _untrue(evidence: Evidence) -> Iterator[str]:
    for task, records in evidence.records.items():
        run = evidence.runs.get(task)
        known = {state.id for state in run.states} if run else set()
        for state in dict.fromkeys(record.state for record in records if record.state not in known):
            yield f"{task}: Prefect has no state {state}"


def _mismatch(run: Run, document: Document | None) -> str:
    if document is None:
        return "no document"
    if not run.states:
        return ""
    wanted = Document(_ENDS.get(run.last.type, document.status), run.last.id, run.attachments, run.revision)
    differing = [
        f"{name} is {getattr(document, name)!r}, in Prefect {value!r}"
        for name, value in vars(wanted).items()
        if getattr(document, name) != value
    ]
    return "; ".join(differing)


def _story(run: Run | None) -> str:
    return " ".join(state.name for state in run.states) if run else "not in Prefect"
