"""What Kubernetes says of a task's objects: how far they are, what keeps them, what a change would change; pure."""

from __future__ import annotations

import copy
import difflib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from skald_bridge.wire.manifests import CLASS_ANNOTATION, TASK_ANNOTATION, dump, workload_name
from skald_bridge.wire.pods import CONTAINER, Json

_HOPELESS = {
    "ErrImageNeverPull": "Load the image onto the nodes, or name another with --image.",
    "ImagePullBackOff": "Name an image that the nodes can pull with --image.",
    "InvalidImageName": "Name an image as REGISTRY/NAME:TAG with --image.",
    "CrashLoopBackOff": "Read why it ends: skald k8s logs {task} --previous",
    "CreateContainerConfigError": "Create what the message names, then apply again.",
    "CreateContainerError": "Read what its node says: kubectl describe pod {pod}",
    "RunContainerError": "Read what its node says: kubectl describe pod {pod}",
}
"""Reasons that do not go away by waiting, and their remedies."""
_SERVERS_OWN = ("managedFields", "resourceVersion", "generation", "uid", "creationTimestamp", "selfLink")


@dataclass(frozen=True)
class RolloutProgress:
    """``text`` says where it stands, on one line; ``remedy`` is there when it has failed."""

    text: str
    done: bool = False
    failed: bool = False
    remedy: str | None = None


@dataclass(frozen=True)
class Row:
    """A task on a cluster, as a list shows it. ``task`` and ``class_name`` are missing on foreign objects."""

    name: str
    kind: str
    task: str | None
    class_name: str | None
    image: str
    progress: RolloutProgress
    created: str


def progress(task: str, live: Json, pods: Sequence[Json]) -> RolloutProgress:
    """Where a Deployment, Job or CronJob stands, by itself and its pods."""
    pods = [pod for pod in pods if not pod["metadata"].get("deletionTimestamp")]
    match live["kind"]:
        case "Deployment":
            return _deployment(task, live, pods)
        case "Job":
            return _job(task, live, pods)
        case _:
            spec = live["spec"]
            last = live.get("status", {}).get("lastScheduleTime")
            shown = "suspended" if spec.get("suspend") else f"scheduled {spec['schedule']}"
            return RolloutProgress(f"{shown}, last {last}" if last else shown, done=True)


def row(live: Json, pods: Sequence[Json]) -> Row:
    metadata = live["metadata"]
    notes = metadata.get("annotations") or {}
    name = metadata["name"].removeprefix(workload_name(""))
    return Row(
        name,
        live["kind"],
        notes.get(TASK_ANNOTATION),
        notes.get(CLASS_ANNOTATION),
        _image(live),
        progress(name, live, pods),
        metadata["creationTimestamp"],
    )


def difference(live: Json | None, wanted: Json) -> str:
    """A unified diff of what a person may write, empty where nothing changes; ``live`` is what is there."""
    before = dump(_written(live)) if live is not None else ""
    name = f"{wanted['kind']}/{wanted['metadata']['name']}"
    lines = difflib.unified_diff(
        before.splitlines(),
        dump(_written(wanted)).splitlines(),
        f"{name} (live)",
        f"{name} (new)",
        lineterm="",
    )
    return "\n".join(lines)


def _written(manifest: Json) -> Json:
    kept = {key: copy.deepcopy(value) for key, value in manifest.items() if key != "status"}
    kept["metadata"] = {k: v for k, v in kept["metadata"].items() if k not in _SERVERS_OWN}
    return kept


def _deployment(task: str, live: Json, pods: Sequence[Json]) -> RolloutProgress:
    status = live.get("status") or {}
    wanted = live["spec"].get("replicas", 1)
    if status.get("observedGeneration", 0) < live["metadata"]["generation"]:
        return RolloutProgress("waiting for the cluster to take notice")
    updated, available = status.get("updatedReplicas", 0), status.get("availableReplicas", 0)
    counted = f"{available} of {wanted} ready"
    if updated == available == status.get("replicas", 0) == wanted:
        return RolloutProgress(counted, done=True)
    # Until there are updated pods, those seen are the old ones; theirs is no trouble of the new ones.
    if updated and (stuck := _stuck(task, pods)):
        return stuck
    for condition in status.get("conditions") or ():
        if (condition["type"], condition["status"]) == ("ReplicaFailure", "True"):
            return RolloutProgress(
                f"no pod can be made: {condition.get('message', condition.get('reason'))}",
                failed=True,
                remedy="The cluster's message says what does not fit; change it, then apply again.",
            )
        if condition.get("reason") == "ProgressDeadlineExceeded":
            return RolloutProgress(
                _waiting(pods) or counted,
                failed=True,
                remedy=f"See skald k8s logs {task} and kubectl describe pods.",
            )
    return RolloutProgress(f"{counted}; {waiting}" if (waiting := _waiting(pods)) else counted)


def _job(task: str, live: Json, pods: Sequence[Json]) -> RolloutProgress:
    status = live.get("status") or {}
    for condition in status.get("conditions") or ():
        if condition["status"] != "True":
            continue
        if condition["type"] == "Complete":
            return RolloutProgress("completed", done=True)
        if condition["type"] == "Failed":
            return RolloutProgress(
                f"failed: {condition.get('message', condition.get('reason'))}",
                failed=True,
                remedy=f"Read why: skald k8s logs {task}",
            )
    if stuck := _stuck(task, pods):
        return stuck
    if status.get("ready"):
        return RolloutProgress("running", done=True)
    return RolloutProgress(_waiting(pods) or "waiting for a pod")


def _stuck(task: str, pods: Sequence[Json]) -> RolloutProgress | None:
    for pod in pods:
        name = pod["metadata"]["name"]
        for reason, message in _waits(pod):
            if reason in _HOPELESS:
                remedy = _HOPELESS[reason].format(task=task, pod=name)
                text = f"{reason}: {message}" if message else reason
                return RolloutProgress(f"pod {name}: {text}", failed=True, remedy=remedy)
    return None


def _waiting(pods: Sequence[Json]) -> str:
    return next(filter(None, map(waits_for, pods)), "")


def waits_for(pod: Json) -> str:
    """Why a pod does not run yet, in the cluster's words; empty for one that does, or has ended."""
    status = pod.get("status") or {}
    for condition in status.get("conditions") or ():
        if (condition["type"], condition["status"]) == ("PodScheduled", "False"):
            return f"{condition.get('reason', 'not scheduled')}: {condition.get('message', '')}".rstrip(": ")
    for reason, message in _waits(pod):
        return f"{reason}: {message}" if message else reason
    return "the pod is pending" if status.get("phase") == "Pending" else ""


def _waits(pod: Json) -> Iterator[tuple[str, str]]:
    for status in (pod.get("status") or {}).get("containerStatuses") or ():
        if waiting := (status.get("state") or {}).get("waiting"):
            message = " ".join(str(waiting.get("message") or "").split())
            yield waiting.get("reason", "waiting"), message


def _image(live: Json) -> str:
    spec = live["spec"]["jobTemplate"]["spec"] if live["kind"] == "CronJob" else live["spec"]
    containers = spec["template"]["spec"]["containers"]
    chosen = next((each for each in containers if each["name"] == CONTAINER), containers[0])
    return str(chosen["image"])
