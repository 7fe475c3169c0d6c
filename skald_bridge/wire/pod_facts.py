"""Kubernetes' Jobs and pods of Prefect's runs as facts; pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any

from skald_bridge.domain.pods import UNSCHEDULABLE, WAITING, Job, Pod, Trouble

RUN_LABEL = "prefect.io/flow-run-id"
_NO_TROUBLE = ("ContainerCreating", "PodInitializing", "")
"""Reasons for which a container waits while all is well."""
_JOB_LABEL = "batch.kubernetes.io/job-name"
_OLD_JOB_LABEL = "job-name"
_MOST = 1000


def jobs_by_run(jobs: Iterable[Mapping[str, Any]], pods: Iterable[Mapping[str, Any]]) -> dict[str, list[Job]]:
    """Facts of those Jobs that belong to a run, by its id, oldest first; with each its pods, oldest first."""
    by_job: dict[str, list[Mapping[str, Any]]] = {}
    for pod in sorted(pods, key=_created):
        labels = pod["metadata"].get("labels") or {}
        by_job.setdefault(labels.get(_JOB_LABEL) or labels.get(_OLD_JOB_LABEL, ""), []).append(pod)
    found: dict[str, list[Job]] = {}
    for job in sorted(jobs, key=_created):
        metadata = job["metadata"]
        if run := (metadata.get("labels") or {}).get(RUN_LABEL):
            fact = Job(
                name=metadata["name"],
                run=run,
                created=datetime.fromisoformat(metadata["creationTimestamp"]),
                ended=_ended(job),
                leaving="deletionTimestamp" in metadata,
                pods=tuple(map(pod_fact, by_job.get(metadata["name"], ()))),
            )
            found.setdefault(run, []).append(fact)
    return found


def pod_fact(pod: Mapping[str, Any]) -> Pod:
    status = pod.get("status") or {}
    containers = [*(status.get("initContainerStatuses") or ()), *(status.get("containerStatuses") or ())]
    states = [
        state for each in containers for state in (each.get("state") or {}, each.get("lastState") or {})
    ]
    phase = status.get("phase")
    return Pod(
        name=pod["metadata"]["name"],
        started=phase in ("Running", "Succeeded", "Failed")
        or any("running" in state or "terminated" in state for state in states),
        leaving="deletionTimestamp" in pod["metadata"],
        trouble=_trouble(status, containers) if phase == "Pending" else None,
        killed=_killed(pod, containers),
    )


def _trouble(status: Mapping[str, Any], containers: Iterable[Mapping[str, Any]]) -> Trouble | None:
    for condition in status.get("conditions") or ():
        if (condition["type"], condition["status"]) == ("PodScheduled", "False"):
            said = _line(condition.get("message")) or condition.get("reason") or "no node is found for it"
            return Trouble(UNSCHEDULABLE, f"it cannot be scheduled: {said}")
    for each in containers:
        waiting = (each.get("state") or {}).get("waiting") or {}
        reason = waiting.get("reason") or ""
        if reason not in _NO_TROUBLE:
            said = _line(waiting.get("message"))
            about = f"image {each['image']}: " if "Image" in reason and each.get("image") else ""
            return Trouble(WAITING, f"{about}{reason}{f': {said}' if said else ''}")
    return None


def _killed(pod: Mapping[str, Any], containers: Iterable[Mapping[str, Any]]) -> str | None:
    limits = {
        each["name"]: ((each.get("resources") or {}).get("limits") or {}).get("memory")
        for each in (pod.get("spec") or {}).get("containers") or ()
    }
    for each in containers:
        for state in (each.get("state") or {}, each.get("lastState") or {}):
            if (state.get("terminated") or {}).get("reason") == "OOMKilled":
                limit = limits.get(each["name"])
                beyond = f"it needed more than its limit of {limit}" if limit else "the node had none left"
                return f"out of memory (OOMKilled): {beyond}"
    return None


def _ended(job: Mapping[str, Any]) -> bool:
    conditions = (job.get("status") or {}).get("conditions") or ()
    return any(each["type"] in ("Complete", "Failed") and each["status"] == "True" for each in conditions)


def _created(item: Mapping[str, Any]) -> str:
    return str(item["metadata"]["creationTimestamp"])


def _line(text: object) -> str:
    return " ".join(str(text or "").split())[:_MOST]
