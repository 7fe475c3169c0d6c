"""Nodes that stop, die, share a name, and share a pool."""

from __future__ import annotations

import os
import signal
import socket

import pytest

from skald_work_pools.node.reconcile.pool_lead import LEAD_FOR, lead_variable
from tests.integration.node.harness import Bench, Node, appears, gone
from tests.services.crowd import age_variable
from tests.services.poll import until

pytestmark = pytest.mark.server


def test_sigterm_hands_tasks_back_and_another_node_takes_them(lonely: Bench) -> None:
    marks = lonely.marks()
    with lonely.node(SKALD_GRACE="0.5") as first:
        run = lonely.run(lonely.deploy("patient"), marks)
        pid = appears(marks / "started")
        first.process.send_signal(signal.SIGTERM)
        assert first.process.wait(30) == 0, first.log.read_text()[-2000:]
    gone(pid)
    assert (marks / "released").exists()
    assert lonely.names(run)[-1] == "Rescheduled"
    assert lonely.read(run)["infrastructure_pid"] is None
    (marks / "started").unlink()
    with lonely.node() as second:
        assert appears(marks / "started") != pid
        lonely.reaches(run, "Running")
        until(
            lambda: lonely.read(run)["labels"].get("skald.node") == second.name, 20, "the second node's label"
        )


def test_a_task_that_ends_within_the_grace_is_waited_for(lonely: Bench) -> None:
    marks = lonely.marks()
    with lonely.node(SKALD_GRACE="60") as node:
        run = lonely.run(lonely.deploy("stepwise"), marks)
        appears(marks / "started")
        node.process.send_signal(signal.SIGTERM)
        until(lambda: "Stopping" in node.log.read_text(), 20, "it says that it stops")
        (marks / "enough").touch()
        assert node.process.wait(40) == 0
    assert lonely.names(run) == ["Scheduled", "Pending", "Running", "Completed"]


def test_nothing_survives_a_killed_node(lonely: Bench) -> None:
    marks = lonely.marks()
    with lonely.node() as node:
        lonely.run(lonely.deploy("patient"), parameters={"folder": str(marks), "own_session": True})
        pid, helper = appears(marks / "started"), appears(marks / "helper")
        everything = [process.pid for process in node.descendants()]
        os.kill(node.process.pid, signal.SIGKILL)
        for process in (pid, helper, *everything):
            gone(process)
    assert not (marks / "released").exists()


def test_a_killed_node_ends_what_it_left_when_it_is_back(lonely: Bench) -> None:
    once, again = lonely.marks(), lonely.marks()
    deployment = lonely.deploy("patient")
    with lonely.node(name="phoenix") as node:
        lost = lonely.run(deployment, once)
        retried = lonely.run(deployment, again, empirical_policy={"retries": 1})
        first = [appears(marks / "started") for marks in (once, again)]
        for run in (lost, retried):
            lonely.reaches(run, "Running")
        os.kill(node.process.pid, signal.SIGKILL)
        node.process.wait(10)
        (again / "started").unlink()
        node.start()
        found = lonely.reaches(lost, "Crashed")
        assert found["state"]["message"] == "Node phoenix ended, and the task's process with it."
        assert appears(again / "started") not in first
        lonely.reaches(retried, "Running")
        ended = ["Scheduled", "Pending", "Running", "Crashed"]
        assert lonely.names(lost) == ended
        assert lonely.names(retried) == [*ended, "AwaitingRetry", "Pending", "Running"]
        assert (once / "started").read_text() == first[0]


@pytest.mark.slow
@pytest.mark.timeout(240)
def test_a_killed_node_that_stays_away_loses_its_tasks_to_another(lonely: Bench) -> None:
    marks = lonely.marks()
    deployment = lonely.deploy("patient")
    quick = {"PREFECT_WORKER_HEARTBEAT_SECONDS": "1"}
    with lonely.node(name="gone", **quick) as node:
        run = lonely.run(deployment, marks, empirical_policy={"retries": 1})
        first = appears(marks / "started")
        lonely.reaches(run, "Running")
        with lonely.node(name="heir", **quick):
            os.kill(node.process.pid, signal.SIGKILL)
            (marks / "started").unlink()
            # It led the pool, and would for a minute.
            age_variable(lonely.server, lead_variable(lonely.pool), LEAD_FOR)
            assert appears(marks / "started", 150) != first
            lonely.reaches(run, "Running")
            crashed = next(state for state in lonely.states(run) if state["name"] == "Crashed")
            assert crashed["message"] == "Node gone ended, and the task's process with it."


def test_a_killed_zygote_is_a_crash_of_its_runs_and_is_replaced(lonely: Bench) -> None:
    marks = lonely.marks()
    deployment = lonely.deploy("patient")
    with lonely.node() as node:
        run = lonely.run(deployment, marks)
        pid, helper = int(appears(marks / "started")), appears(marks / "helper")
        zygote = next(p.ppid() for p in node.descendants() if p.pid == pid)
        os.kill(zygote, signal.SIGKILL)
        lonely.reaches(run, "Crashed")
        gone(pid)
        gone(helper)
        again = lonely.marks()
        lonely.reaches(lonely.run(lonely.deploy("quick"), again), "Completed")


def test_a_second_node_of_the_same_name_is_refused(lonely: Bench) -> None:
    with lonely.node(name="twin"):
        second = Node(lonely, "twin", (), {})
        second.log = lonely.folder / "node-second.log"
        second.launch()
        assert second.process.wait(60) != 0
        said = second.log.read_text()
        assert "A node named 'twin' already runs here" in said and "--name" in said


def test_it_announces_itself_and_takes_the_announcement_back(lonely: Bench) -> None:
    lonely.deploy("adjustable")
    with lonely.node("--limit", "3", SKALD_TAGS="rtsp-lan, cuda-12") as node:

        def announced() -> dict[str, object] | None:
            for found in lonely.api("POST", "/variables/filter", {"limit": 200}):
                value = found["value"]
                if found["name"].startswith("skald_node_") and value["name"] == node.name:
                    return value if "adjustable" in value["task_types"] else None
            return None

        told = until(announced, 30, "the announcement")
        assert told is not None
        assert told["pool"] == lonely.pool and told["host"] == socket.gethostname()
        assert told["tags"] == ["cuda-12", "rtsp-lan"] and told["limit"] == 3
        node.process.send_signal(signal.SIGTERM)
        assert node.process.wait(30) == 0
        assert announced() is None


def test_another_major_version_of_the_server_is_refused(lonely: Bench) -> None:
    from tests.integration.node.old_server import old_server

    with old_server() as url:
        node = Node(lonely, "modern", (), {"PREFECT_API_URL": url, "PREFECT_CLIENT_MAX_RETRIES": "0"})
        node.launch()
        assert node.process.wait(60) != 0
        said = node.log.read_text()
        assert "is version 2.20.0, this node has Prefect 3." in said
