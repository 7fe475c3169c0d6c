"""What is to be done about the Jobs and pods of runs that Prefect's Kubernetes worker started; pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from skald_bridge.domain.facts import Task
from skald_bridge.domain.ids import NodeId
from skald_bridge.domain.lifecycle import StateType

EXECUTOR = "k8s/"
"""Prefix of the executor that a task in a pod has; namespace and pod follow."""
UNSCHEDULABLE, WAITING = "Unschedulable", "WaitingForPod"
"""Names of the Pending states by which a run says that its pod has no node, or does not get its image or the like."""


@dataclass(frozen=True)
class Trouble:
    """What keeps a pod from starting. ``state`` names the run's Pending state that says so."""

    state: str
    text: str


@dataclass(frozen=True)
class Pod:
    """``started``: a container of it has run; ``leaving``: it was asked to end; ``killed``: it was out of memory."""

    name: str
    started: bool = False
    leaving: bool = False
    trouble: Trouble | None = None
    killed: str | None = None


@dataclass(frozen=True)
class Job:
    """``ended``: complete or failed, no pod of it is at work; ``leaving``: its deletion is on the way."""

    name: str
    run: str
    created: datetime
    ended: bool = False
    leaving: bool = False
    pods: tuple[Pod, ...] = ()

    @property
    def started(self) -> bool:
        return any(pod.started for pod in self.pods)


@dataclass(frozen=True)
class Patience:
    """How long what goes by itself is waited for.

    ``cancel``: from a run's cancellation to its pod's end; the runner in the pod takes 4 s to hear of it, and gives the
    flow 30 s. ``hooks``: from a run's other ends, for hooks that run after them. ``claim``: from a worker's claim to a
    Job. ``report``: from the end of a cancelled run's pod, which may have just said so, to ours.
    """

    cancel: timedelta = timedelta(seconds=45)
    hooks: timedelta = timedelta(minutes=10)
    claim: timedelta = timedelta(seconds=60)
    report: timedelta = timedelta(seconds=5)


@dataclass(frozen=True)
class Delete:
    """Delete the Job, and its pods with it."""

    job: str
    reason: str


@dataclass(frozen=True)
class Cancelled:
    """Nothing is left of the run: it is Cancelled."""

    reason: str


@dataclass(frozen=True)
class Reschedule:
    """No Job was made for the run: the next worker shall."""

    reason: str


@dataclass(frozen=True)
class Say:
    """Say this on the run; as its Pending state too, where ``state`` names one."""

    text: str
    state: str | None = None


@dataclass(frozen=True)
class Place:
    """The run is in this pod."""

    executor: NodeId


Action = Delete | Cancelled | Reschedule | Say | Place


def decide(
    task: Task, jobs: Sequence[Job], namespace: str, now: datetime, patience: Patience | None = None
) -> list[Action]:
    """What is to be done about one run. ``jobs`` are all that carry its id, listed before ``task`` was read."""
    state, patience = task.state, patience or Patience()
    if state is None:
        return []
    since = now - state.at
    match state.type:
        case StateType.CANCELLING:
            done = _cancelling(jobs, since, patience)
        case StateType.CANCELLED:
            done = _cancelled(jobs, since, patience)
        case StateType.COMPLETED | StateType.FAILED:
            done = _over(jobs, state.name, since, patience.hooks)
        case StateType.PENDING:
            done = _pending(jobs, since, patience.claim)
        case _:
            done = []
    return [*_placed(task, jobs, namespace), *_killed(state.type, jobs), *done]


def executor(namespace: str, pod: str) -> NodeId:
    return NodeId(f"{EXECUTOR}{namespace}/{pod}")


def in_pod(node: str | None) -> bool:
    return node is not None and node.startswith(EXECUTOR)


def _cancelling(jobs: Sequence[Job], since: timedelta, patience: Patience) -> list[Action]:
    """The run is Cancelled before its pod is deleted: a runner that is told to end reschedules a run that is not."""
    if not jobs:
        return [Cancelled("Cancelled: it has no pod.")]
    if all(job.ended and not job.leaving for job in jobs):
        return [Cancelled("Cancelled: its pod has ended.")] if since >= patience.report else []
    live = _live(jobs)
    if not live:
        return []
    if not any(job.started for job in live):
        said, why = "its pod had not started", "its run is cancelled, and no pod of it has started"
    elif since >= patience.cancel:
        waited = f"{patience.cancel.total_seconds():g} s"
        said = f"its pod did not end by itself in {waited}, and is deleted"
        why = f"its run is cancelled, and its pod has not ended by itself in {waited}"
    else:
        return []
    return [Cancelled(f"Cancelled: {said}."), *(Delete(job.name, why) for job in live)]


def _cancelled(jobs: Sequence[Job], since: timedelta, patience: Patience) -> list[Action]:
    gone = [
        job for job in jobs if not job.leaving and (job.ended or not job.started or since >= patience.cancel)
    ]
    return [Delete(job.name, "its run is cancelled") for job in gone]


def _over(jobs: Sequence[Job], name: str, since: timedelta, patience: timedelta) -> list[Action]:
    if since < patience:
        return []
    waited = f"{patience.total_seconds():g} s"
    return [
        Delete(job.name, f"its run has been {name} for {waited}, and its pod goes on") for job in _live(jobs)
    ]


def _pending(jobs: Sequence[Job], since: timedelta, patience: timedelta) -> list[Action]:
    if not jobs:
        late = since >= patience
        waited = f"{patience.total_seconds():g} s"
        return [Reschedule(f"A worker took it, and made no Job in {waited}.")] if late else []
    return [
        Say(f"Pod {pod.name}: {pod.trouble.text}", pod.trouble.state)
        for job in _live(jobs)
        for pod in job.pods
        if pod.trouble is not None and not pod.started and not pod.leaving
    ]


def _killed(type_: StateType, jobs: Sequence[Job]) -> list[Action]:
    if type_ is StateType.COMPLETED:
        return []
    return [Say(f"Pod {pod.name}: {pod.killed}") for job in jobs for pod in job.pods if pod.killed]


def _placed(task: Task, jobs: Sequence[Job], namespace: str) -> list[Action]:
    at_work = [job for job in jobs if not job.leaving and any(pod.started for pod in job.pods)]
    if not at_work:
        return []
    newest = max(at_work, key=lambda job: job.created)
    pod = next(pod for pod in reversed(newest.pods) if pod.started)
    wanted = executor(namespace, pod.name)
    return [Place(wanted)] if task.node != wanted else []


def _live(jobs: Sequence[Job]) -> list[Job]:
    return [job for job in jobs if not job.ended and not job.leaving]
