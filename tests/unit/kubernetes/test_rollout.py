"""What a cluster's objects say of a task: where it stands, and what to do about it."""

from __future__ import annotations

from typing import Any

import pytest

from skald_bridge.wire.rollout import difference, progress, row


def deployment(generation: int = 1, observed: int = 1, **status: Any) -> dict[str, Any]:
    return {
        "kind": "Deployment",
        "metadata": {
            "name": "skald-single-worker-cam",
            "generation": generation,
            "creationTimestamp": "2026-01-01T00:00:00+00:00",
        },
        "spec": {
            "replicas": 1,
            "template": {
                "spec": {"containers": [{"name": "sidecar", "image": "s"}, {"name": "worker", "image": "w"}]}
            },
        },
        "status": {"observedGeneration": observed, **status},
    }


def job(**status: Any) -> dict[str, Any]:
    return {"kind": "Job", "metadata": {"name": "skald-single-worker-n"}, "spec": {}, "status": status}


def pod(
    waiting: tuple[str, str] | None = None, unschedulable: str | None = None, deleted: bool = False
) -> dict[str, Any]:
    conditions = []
    if unschedulable:
        conditions = [
            {"type": "PodScheduled", "status": "False", "reason": "Unschedulable", "message": unschedulable}
        ]
    states = [{"state": {"waiting": {"reason": waiting[0], "message": waiting[1]}}}] if waiting else []
    metadata = {"name": "cam-1", **({"deletionTimestamp": "2026-01-01T00:00:00Z"} if deleted else {})}
    status = {"phase": "Pending", "conditions": conditions, "containerStatuses": states}
    return {"metadata": metadata, "status": status}


READY = {"replicas": 1, "updatedReplicas": 1, "availableReplicas": 1}
STARTING = {"replicas": 1, "updatedReplicas": 1}


def test_a_deployment_is_ready_when_its_newest_pod_is() -> None:
    assert progress("cam", deployment(**READY), []).done
    assert not progress("cam", deployment(2, 1, **READY), []).done
    assert not progress("cam", deployment(**{**READY, "replicas": 2}), []).done
    assert progress("cam", deployment(**STARTING), []).text == "0 of 1 ready"


@pytest.mark.parametrize(
    "reason",
    ["ErrImageNeverPull", "ImagePullBackOff", "InvalidImageName", "CrashLoopBackOff", "CreateContainerError"],
)
@pytest.mark.parametrize("live", [deployment(**STARTING), job(active=1)])
def test_what_waiting_does_not_mend_ends_it_with_a_remedy(live: dict[str, Any], reason: str) -> None:
    said = progress("cam", live, [pod((reason, "the\nnode's words"))])
    assert said.failed
    assert said.text == f"pod cam-1: {reason}: the node's words"
    assert said.remedy
    assert "{" not in said.remedy


def test_what_may_mend_itself_is_waited_for_in_the_clusters_words() -> None:
    said = progress(
        "cam", deployment(**STARTING), [pod(unschedulable="0/3 nodes: Insufficient nvidia.com/gpu.")]
    )
    assert not said.failed
    assert said.text == "0 of 1 ready; Unschedulable: 0/3 nodes: Insufficient nvidia.com/gpu."
    assert not progress("cam", job(active=1), [pod(("ErrImagePull", "timeout"))]).failed
    assert progress("cam", job(), []).text == "waiting for a pod"


def test_old_pods_trouble_is_not_the_new_ones() -> None:
    broken = pod(("ImagePullBackOff", "no such image"))
    assert not progress("cam", deployment(replicas=1), [broken]).failed
    leaving = pod(("ImagePullBackOff", "no such image"), deleted=True)
    assert not progress("cam", deployment(**STARTING), [leaving]).failed


def test_no_pod_at_all_is_said() -> None:
    quota = {"type": "ReplicaFailure", "status": "True", "message": "exceeded quota"}
    said = progress("cam", deployment(conditions=[quota]), [])
    assert (said.failed, said.text) == (True, "no pod can be made: exceeded quota")


def test_a_job_runs_completes_or_fails() -> None:
    assert progress("n", job(active=1, ready=1), []).text == "running"
    assert progress("n", job(active=1, ready=1), []).done
    complete = progress("n", job(conditions=[{"type": "Complete", "status": "True"}]), [])
    assert (complete.done, complete.text) == (True, "completed")
    failed = {"type": "Failed", "status": "True", "message": "BackoffLimitExceeded"}
    said = progress("n", job(conditions=[failed]), [])
    assert (said.done, said.failed, said.text) == (False, True, "failed: BackoffLimitExceeded")
    assert not progress("n", job(conditions=[{**failed, "status": "False"}]), []).failed


def test_a_row_shows_the_workers_image_and_foreign_objects_too() -> None:
    made = row(deployment(**READY), [])
    assert (made.name, made.image, made.task, made.progress.done) == ("cam", "w", None, True)


def test_a_difference_leaves_out_what_the_server_writes() -> None:
    live = deployment(**READY)
    live["metadata"] |= {"uid": "1", "resourceVersion": "5", "managedFields": []}
    assert difference(live, deployment(7)) == ""
    wanted = deployment()
    wanted["spec"]["replicas"] = 2
    lines = difference(live, wanted).splitlines()
    assert lines[0] == "--- Deployment/skald-single-worker-cam (live)"
    assert [line for line in lines[2:] if line[0] in "+-"] == ["-  replicas: 1", "+  replicas: 2"]
    assert difference(None, wanted).count("\n+") > 5
