"""Tasks as objects of a Kubernetes cluster: what would change, changing it, waiting for it, ending it."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from skald_bridge.domain.errors import Denied, NotFound, SkaldError, Unavailable
from skald_bridge.ports import Cluster
from skald_bridge.wire.manifests import (
    MANAGED_BY,
    MANAGER,
    Workload,
    config_map_name,
    resource_name,
    workload_name,
)
from skald_bridge.wire.pods import Json
from skald_bridge.wire.rollout import RolloutProgress, Row, difference, progress, row, waits_for

_PERIOD = 0.5
_WORKLOADS = ("Deployment", "Job", "CronJob")
_BESIDE = ("PodDisruptionBudget", *_WORKLOADS)


@dataclass(frozen=True)
class WorkloadChange:
    """``action`` is created, changed, unchanged or removed; ``diff`` is empty for the last two."""

    kind: str
    name: str
    action: str
    diff: str = ""


def plan(cluster: Cluster, workload: Workload, *, force: bool = False) -> list[WorkloadChange]:
    """What ``apply`` would do, by the cluster's own word; nothing is changed.

    Raises:
        Denied, Unavailable: the cluster does not let us, or does not answer.
        InvalidInput, Rejected: it does not take an object as it is.
    """
    made: list[WorkloadChange] = []
    for manifest in workload.manifests:
        kind, name = manifest["kind"], manifest["metadata"]["name"]
        live = cluster.get(kind, name)
        diff = difference(live, cluster.apply(manifest, dry_run=True, force=force))
        action = "created" if live is None else "changed" if diff else "unchanged"
        made.append(WorkloadChange(kind, name, action, diff))
    return [*made, *(WorkloadChange(kind, name, "removed") for kind, name in _left_over(cluster, workload))]


def apply(
    cluster: Cluster,
    workload: Workload,
    changes: Sequence[WorkloadChange],
    seconds: float,
    *,
    force: bool = False,
) -> None:
    """Make it so: what is to be removed goes first, with its pods, so that a task is never at work twice.

    Raises:
        SkaldError: those pods were not gone after ``seconds``; nothing else has been done then.
        Denied, Unavailable, InvalidInput, Rejected: as ``plan``.
    """
    removed = [change for change in changes if change.action == "removed"]
    for change in removed:
        cluster.delete(change.kind, change.name)
    if removed and not _ended(cluster, removed, workload.name, seconds):
        raise SkaldError(
            f"The earlier pod of {workload.task} was not gone after {seconds:g} s.",
            remedy="Wait for its release, then apply again; or give it longer with --timeout.",
        )
    for manifest in workload.manifests:
        cluster.apply(manifest, force=force)


def wait(
    cluster: Cluster, workload: Workload, seconds: float, report: Callable[[str], None] = lambda _: None
) -> RolloutProgress:
    """Until the task's pod is ready, or cannot become so; ``report`` hears each new state.

    A ``RolloutProgress`` that is neither done nor failed says where it stood after ``seconds``; a cluster that does not
    answer meanwhile is waited for too.

    Raises:
        Denied: the cluster does not let us.
    """
    deadline, said = time.monotonic() + seconds, ""
    while True:
        now = _seen(cluster, workload)
        if now.text != said:
            report(now.text)
            said = now.text
        if now.done or now.failed or time.monotonic() > deadline:
            return now
        time.sleep(_PERIOD)


def _seen(cluster: Cluster, workload: Workload) -> RolloutProgress:
    name = workload_name(workload.name)
    try:
        live = cluster.get(workload.kind, name)
        if live is None:
            return RolloutProgress("removed meanwhile", failed=True, remedy="Apply it again.")
        return progress(workload.name, live, cluster.list("Pod", f"app={name}"))
    except Denied:
        raise
    except Unavailable as error:
        return RolloutProgress(error.message)


def listed(cluster: Cluster) -> list[Row]:
    """The namespace's tasks, also those whose objects somebody wrote by hand as Skalds' guide shows, by name."""
    found = [
        live
        for kind in _WORKLOADS
        for live in cluster.list(kind)
        if live["metadata"]["name"].startswith(workload_name("")) and not _owned(live)
    ]
    pods = cluster.list("Pod") if found else []
    rows = [row(live, [pod for pod in pods if _app(pod) == live["metadata"]["name"]]) for live in found]
    return sorted(rows, key=lambda each: (each.name, each.kind))


def delete(cluster: Cluster, task: str, seconds: float) -> tuple[list[WorkloadChange], bool]:
    """Remove what there is of a task; whether its pods are gone within ``seconds``.

    Raises:
        NotFound: there is nothing of it.
    """
    name = resource_name(task)
    whole = [*((kind, workload_name(name)) for kind in _BESIDE), ("ConfigMap", config_map_name(name))]
    removed = [WorkloadChange(kind, each, "removed") for kind, each in whole if cluster.delete(kind, each)]
    if not removed:
        raise NotFound(
            f"There is no task {task} in the namespace {cluster.namespace}.",
            remedy="`skald k8s list` lists them.",
        )
    return removed, _ended(cluster, removed, name, seconds)


def newest_pod(cluster: Cluster, task: str) -> tuple[str, str]:
    """The name of a task's youngest pod, and what it waits for. Raises ``NotFound``."""
    pods = cluster.list("Pod", f"app={workload_name(resource_name(task))}")
    if not pods:
        raise NotFound(
            f"There is no pod of {task} in the namespace {cluster.namespace}.",
            remedy="`skald k8s list` says where its tasks stand.",
        )
    youngest = max(pods, key=lambda pod: pod["metadata"]["creationTimestamp"])
    return youngest["metadata"]["name"], waits_for(youngest)


def _left_over(cluster: Cluster, workload: Workload) -> list[tuple[str, str]]:
    """Ours of this name from when the entry was persistent, or was not."""
    name = workload_name(workload.name)
    kinds = {manifest["kind"] for manifest in workload.manifests}
    found = ((kind, cluster.get(kind, name)) for kind in _BESIDE if kind not in kinds)
    return [(kind, name) for kind, live in found if live is not None and _ours(live)]


def _ended(cluster: Cluster, removed: Sequence[WorkloadChange], name: str, seconds: float) -> bool:
    deadline = time.monotonic() + seconds
    while not (gone := _gone(cluster, removed, workload_name(name))) and time.monotonic() < deadline:
        time.sleep(_PERIOD)
    return gone


def _gone(cluster: Cluster, removed: Sequence[WorkloadChange], app: str) -> bool:
    return not cluster.list("Pod", f"app={app}") and not any(
        cluster.get(each.kind, each.name) for each in removed
    )


def _ours(live: Json) -> bool:
    return (live["metadata"].get("labels") or {}).get(MANAGED_BY) == MANAGER


def _owned(live: Json) -> bool:
    """A CronJob's Jobs are told of by their CronJob."""
    return bool(live["metadata"].get("ownerReferences"))


def _app(pod: Json) -> str | None:
    return (pod["metadata"].get("labels") or {}).get("app")
