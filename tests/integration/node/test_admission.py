"""What a node takes, what it leaves to others, and what it says of it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.conftest import required
from tests.integration.node.harness import Bench, Node, appears, gone
from tests.services.nvml_stub import GIB, NvmlStub, available
from tests.services.poll import until

pytestmark = pytest.mark.server


def attachments(marks: Path, **more: Any) -> dict[str, Any]:
    return {"parameters": {"attachments": {"folder": str(marks), **more}}}


def test_a_run_that_never_fits_is_left_scheduled_and_told_why_once(
    bench: Bench, node: Node, marks: Path
) -> None:
    run = bench.run(bench.deploy("demanding"), **attachments(marks))
    said = bench.says(run, f"node {node.name}: needs 9 gpus, has none")
    for _ in range(3):
        bench.reaches(bench.run(bench.deploy("quick"), bench.marks()), "Completed")
    assert bench.logs(run).count("needs 9 gpus") == said.count("needs 9 gpus") == 1
    assert bench.names(run) == ["Scheduled"]


def test_job_variables_override_what_a_flow_declares(bench: Bench, node: Node, marks: Path) -> None:
    deployment = bench.deploy("demanding", job_variables={"gpus": 7})
    bench.says(bench.run(deployment, **attachments(marks)), f"node {node.name}: needs 7 gpus")
    own = bench.run(deployment, **attachments(marks), job_variables={"gpus": 0, "memory": "64MB"})
    bench.reaches(own, "Completed")


def test_a_wrong_job_variable_is_named(bench: Bench, node: Node, marks: Path) -> None:
    run = bench.run(bench.deploy("quick"), marks, job_variables={"memory": "a lot"})
    assert "'a lot' is not a size; write bytes or a number with a unit" in bench.says(
        run, "job variables: memory"
    )
    assert bench.names(run) == ["Scheduled"]


def test_limit_and_queue_priority(lonely: Bench) -> None:
    """One at a time; the runs of the queue that comes first go first."""
    pool = lonely.pool
    for name, priority in (("urgent", 1), ("later", 2)):
        lonely.api("POST", f"/work_pools/{pool}/queues", {"name": name, "priority": priority})
    order = lonely.marks()
    deployments = {name: lonely.deploy("quick", work_queue_name=name) for name in ("later", "urgent")}
    folders = {name: [order / f"{name}{index}" for index in range(2)] for name in deployments}
    runs = []
    for name, deployment in deployments.items():
        for folder in folders[name]:
            folder.mkdir()
            runs.append(lonely.run(deployment, folder))
    with lonely.node("--limit", "1"):
        for run in runs:
            lonely.reaches(run, "Completed")
    began = {run: next(s["timestamp"] for s in lonely.states(run) if s["type"] == "RUNNING") for run in runs}
    assert max(began[run] for run in runs[2:]) < min(began[run] for run in runs[:2])


def test_a_pool_limit_holds(lonely: Bench) -> None:
    marks = lonely.marks()
    lonely.api("PATCH", f"/work_pools/{lonely.pool}", {"concurrency_limit": 1})
    deployment = lonely.deploy("stepwise")
    try:
        with lonely.node():
            first = lonely.run(deployment, marks)
            appears(marks / "steps")
            later = lonely.marks()
            second = lonely.run(deployment, later)
            third = lonely.run(lonely.deploy("quick"), lonely.marks())
            until(lambda: len((marks / "steps").read_text()) > 8, 60, "some steps")
            assert lonely.names(second) == lonely.names(third) == ["Scheduled"]
            for folder in (marks, later):
                (folder / "enough").touch()
            for run in (first, second, third):
                lonely.reaches(run, "Completed")
    finally:
        lonely.api("PATCH", f"/work_pools/{lonely.pool}", {"concurrency_limit": None})


def test_a_run_due_later_starts_then(bench: Bench, node: Node, marks: Path) -> None:
    from datetime import UTC, datetime, timedelta

    due = datetime.now(UTC) + timedelta(seconds=4)
    state = {"type": "SCHEDULED", "state_details": {"scheduled_time": due.isoformat()}}
    run = bench.run(bench.deploy("quick"), marks, state=state)
    bench.reaches(run, "Completed")
    pending = next(s["timestamp"] for s in bench.states(run) if s["type"] == "PENDING")
    assert datetime.fromisoformat(pending) >= due


@pytest.fixture
def gpus(tmp_path: Path) -> NvmlStub:
    if not available():
        required("gcc, to build a stub of NVML")
    return NvmlStub(tmp_path)


def test_gpus_are_leased_by_uuid_until_nvml_agrees_that_they_are_free(lonely: Bench, gpus: NvmlStub) -> None:
    deployment = lonely.deploy("rendering")
    with lonely.node(**gpus.env) as node:
        first, second, third = (lonely.marks() for _ in range(3))
        one = lonely.run(deployment, **attachments(first))
        two = lonely.run(deployment, **attachments(second))
        leased = {appears(first / "devices"), appears(second / "devices")}
        assert leased == {gpu.uuid for gpu in gpus.gpus}
        three = lonely.run(deployment, **attachments(third))
        lonely.says(three, f"node {node.name}: needs 1 gpus, 0 free")
        held = next(gpu for gpu in gpus.gpus if gpu.uuid == appears(first / "devices"))
        held.used = 4 * GIB
        gpus.write()
        (first / "enough").touch()
        lonely.reaches(one, "Completed")
        gone(int(lonely.read(one)["infrastructure_pid"]))
        lonely.reaches(lonely.run(lonely.deploy("quick"), lonely.marks()), "Completed")
        assert lonely.names(three) == ["Scheduled"], "its memory is still in use"
        held.used = 0
        gpus.write()
        assert appears(third / "devices") == held.uuid
        for folder, run in ((second, two), (third, three)):
            (folder / "enough").touch()
            lonely.reaches(run, "Completed")


@pytest.mark.parametrize("policy", ["warn", "kill"])
def test_who_uses_more_than_a_share_is_told_so_and_killed_by_policy(
    lonely: Bench, gpus: NvmlStub, policy: str
) -> None:
    marks = lonely.marks()
    with lonely.node(**gpus.env, SKALD_GPU_OVERUSE=policy):
        run = lonely.run(lonely.deploy("sharing"), **attachments(marks))
        assert appears(marks / "share") == f"{4 * GIB} 0.2500"
        pid = int(until(lambda: lonely.read(run)["infrastructure_pid"], 30, "the id of its process"))
        for gpu in gpus.gpus:
            gpu.used, gpu.processes = 6 * GIB, {pid: 6 * GIB}
        gpus.write()
        said = lonely.says(run, "it uses 6.0 GiB of GPU")
        assert "its share is 4.0 GiB" in said
        if policy == "kill":
            ended = lonely.reaches(run, "Crashed")
            assert "it uses 6.0 GiB of GPU" in ended["state"]["message"]
            gone(pid)
        else:
            (marks / "enough").touch()
            lonely.reaches(run, "Completed")


def test_a_task_without_gpus_sees_none_on_a_gpu_node(lonely: Bench, gpus: NvmlStub) -> None:
    marks = lonely.marks()
    with lonely.node(**gpus.env):
        lonely.reaches(lonely.run(lonely.deploy("quick"), marks), "Completed")
        _, devices, _ = appears(marks / "quick").split(" ")
        assert devices == ""
