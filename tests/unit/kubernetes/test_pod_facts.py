"""Kubernetes' JSON of Jobs and pods as facts."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from skald_bridge.domain.pods import UNSCHEDULABLE, WAITING, Trouble
from skald_bridge.wire.pod_facts import RUN_LABEL, jobs_by_run, pod_fact

TIME = "2026-01-01T12:00:00Z"


def job(name: str, run: str | None = "r", **rest: Any) -> dict[str, Any]:
    labels = {RUN_LABEL: run} if run else {}
    return {
        "metadata": {"name": name, "labels": labels, "creationTimestamp": TIME} | rest.pop("meta", {}),
        **rest,
    }


def pod(name: str = "p", of: str = "j", meta: dict[str, Any] | None = None, **status: Any) -> dict[str, Any]:
    metadata = {"name": name, "labels": {"batch.kubernetes.io/job-name": of}, "creationTimestamp": TIME}
    limits = {"containers": [{"name": "c", "resources": {"limits": {"memory": "1Gi"}}}]}
    return {"metadata": metadata | (meta or {}), "spec": limits, "status": {"phase": "Pending", **status}}


def container(**state: Any) -> list[dict[str, Any]]:
    return [{"name": "c", "image": "x:1", "state": state}]


def test_jobs_have_their_pods_and_those_of_no_run_are_none() -> None:
    ended = {"conditions": [{"type": "Failed", "status": "True"}]}
    found = jobs_by_run(
        [
            job("j", meta={"creationTimestamp": "2026-01-01T12:00:01Z"}),
            job("i", status=ended),
            job("other", run=None),
            job("k", "s", meta={"deletionTimestamp": TIME}, status={"conditions": []}),
        ],
        [pod("p"), pod("q", of="k", meta={"labels": {"job-name": "k"}}), pod("stray", of="?")],
    )
    assert [each.name for each in found["r"]] == ["i", "j"]
    assert [each.ended for each in found["r"]] == [True, False]
    assert [each.name for each in found["r"][1].pods] == ["p"]
    assert found["r"][0].created == datetime(2026, 1, 1, 12, tzinfo=UTC)
    (leaving,) = found["s"]
    assert (leaving.leaving, leaving.ended, leaving.pods[0].name) == (True, False, "q")


@pytest.mark.parametrize(
    ("given", "started"),
    [
        (pod(), False),
        (pod(containerStatuses=container(waiting={"reason": "ContainerCreating"})), False),
        (pod(phase="Running", containerStatuses=container(running={})), True),
        (pod(phase="Succeeded"), True),
        (pod(initContainerStatuses=container(running={})), True),
        (pod(containerStatuses=container(terminated={"exitCode": 1})), True),
        ({"metadata": {"name": "p"}}, False),
    ],
)
def test_whether_a_pod_has_started(given: dict[str, Any], started: bool) -> None:
    assert pod_fact(given).started is started
    assert not pod_fact(given).leaving


def test_a_pod_that_no_node_can_have_says_the_schedulers_words() -> None:
    words = "0/2 nodes are available:\n 2 Insufficient nvidia.com/gpu."
    condition = {"type": "PodScheduled", "status": "False", "reason": "Unschedulable", "message": words}
    said = "it cannot be scheduled: 0/2 nodes are available: 2 Insufficient nvidia.com/gpu."
    assert pod_fact(pod(conditions=[condition])).trouble == Trouble(UNSCHEDULABLE, said)
    assert pod_fact(pod(conditions=[condition], phase="Running")).trouble is None


@pytest.mark.parametrize(
    ("waiting", "text"),
    [
        (
            {"reason": "ErrImageNeverPull", "message": "not present"},
            "image x:1: ErrImageNeverPull: not present",
        ),
        ({"reason": "ImagePullBackOff"}, "image x:1: ImagePullBackOff"),
        (
            {"reason": "CreateContainerConfigError", "message": 'secret "mongo" not found'},
            'CreateContainerConfigError: secret "mongo" not found',
        ),
    ],
)
def test_why_a_container_does_not_start(waiting: dict[str, str], text: str) -> None:
    assert pod_fact(pod(containerStatuses=container(waiting=waiting))).trouble == Trouble(WAITING, text)


@pytest.mark.parametrize("reason", ["ContainerCreating", "PodInitializing", ""])
def test_a_container_that_is_being_made_is_in_no_trouble(reason: str) -> None:
    assert pod_fact(pod(containerStatuses=container(waiting={"reason": reason}))).trouble is None


@pytest.mark.parametrize("where", ["state", "lastState"])
def test_out_of_memory(where: str) -> None:
    status = [{"name": "c", where: {"terminated": {"reason": "OOMKilled", "exitCode": 137}}}]
    found = pod_fact(pod(phase="Failed", containerStatuses=status))
    assert found.killed == "out of memory (OOMKilled): it needed more than its limit of 1Gi"
    bare = pod(phase="Failed", containerStatuses=status) | {"spec": {"containers": [{"name": "c"}]}}
    assert pod_fact(bare).killed == "out of memory (OOMKilled): the node had none left"
    other = [{"name": "c", where: {"terminated": {"reason": "Error", "exitCode": 137}}}]
    assert pod_fact(pod(phase="Failed", containerStatuses=other)).killed is None
