from __future__ import annotations

import os
import signal
from dataclasses import replace

import pytest
from prefect.client.schemas.objects import StateType

from skald_work_pools.node.forked.processes import Exit
from skald_work_pools.node.runs.outcomes import (
    Cancel,
    Crash,
    Facts,
    Outcome,
    Reschedule,
    Settled,
    Suspend,
    abandoned,
    conclude,
)

RUNNING = Facts(end=Exit(code=0), state=StateType.RUNNING, state_name="Running", ours=True)
KILLED = replace(RUNNING, end=Exit(signal=signal.SIGKILL))


@pytest.mark.parametrize(
    "state", [StateType.COMPLETED, StateType.FAILED, StateType.CANCELLED, StateType.CRASHED]
)
def test_an_ended_run_is_left_alone(state: StateType) -> None:
    assert conclude(replace(KILLED, state=state), "n") == Settled()


def test_a_fenced_run_is_left_alone() -> None:
    assert conclude(replace(KILLED, fenced=True), "n") == Settled()


def test_a_suspended_run_is_left_alone_but_a_paused_one_lost_its_process() -> None:
    paused = replace(RUNNING, state=StateType.PAUSED)
    assert conclude(replace(paused, state_name="Suspended"), "n") == Settled()
    assert isinstance(conclude(replace(paused, state_name="Paused"), "n"), Crash)


@pytest.mark.parametrize("state", [StateType.SCHEDULED, StateType.PENDING])
def test_a_run_that_somebody_scheduled_again_is_theirs(state: StateType) -> None:
    assert conclude(replace(KILLED, state=state, ours=False), "n") == Settled()
    assert isinstance(conclude(replace(KILLED, state=state), "n"), Crash)


def test_a_cancelled_run_says_how_it_ended() -> None:
    cancelled = replace(KILLED, intent="cancel")
    assert conclude(replace(cancelled, forced=True), "n") == Cancel(
        "Cancelled on node n: it did not end in time and was killed."
    )
    assert conclude(cancelled, "n") == Cancel("Cancelled on node n: its process ended.")
    assert isinstance(conclude(replace(KILLED, state=StateType.CANCELLING), "n"), Cancel)


def test_a_stopped_node_reschedules() -> None:
    assert conclude(replace(RUNNING, intent="reschedule"), "n") == Reschedule("Node n was stopped.")


def test_a_crash_names_signal_and_memory_and_is_retried_while_retries_last() -> None:
    crash = conclude(replace(KILLED, out_of_memory=True, retried=0, retries=1), "n")
    assert crash == Crash(
        "The task's process on node n was killed by signal SIGKILL: the machine or its cgroup ran out of memory (OOM).",
        retry=True,
    )
    assert conclude(replace(KILLED, retried=1, retries=1), "n") == Crash(
        "The task's process on node n was killed by signal SIGKILL.", retry=False
    )


def test_a_crash_says_what_the_process_told_before_what_it_printed() -> None:
    ended = replace(RUNNING, end=Exit(code=1), last_words="urllib3 is old")
    assert conclude(replace(ended, broke="ValueError: no such camera."), "n") == Crash(
        "The task's process on node n exited with code 1: ValueError: no such camera.", retry=False
    )
    assert conclude(ended, "n") == Crash(
        "The task's process on node n exited with code 1: its last line of error output is 'urllib3 is old'.",
        retry=False,
    )
    assert conclude(replace(ended, last_words=""), "n") == Crash(
        "The task's process on node n exited with code 1.", retry=False
    )
    killed = conclude(replace(ended, end=Exit(signal=signal.SIGKILL)), "n")
    assert isinstance(killed, Crash) and "urllib3" not in killed.message


def test_an_end_without_a_final_state_is_a_crash() -> None:
    crash = conclude(RUNNING, "n")
    assert isinstance(crash, Crash) and "ended before the task did" in crash.message


def test_exit_of_a_wait_status() -> None:
    pid = os.fork()
    if pid == 0:
        os.kill(os.getpid(), signal.SIGTERM)
    assert str(Exit.of(os.waitpid(pid, 0)[1])) == "was killed by signal SIGTERM"
    pid = os.fork()
    if pid == 0:
        os._exit(3)
    end = Exit.of(os.waitpid(pid, 0)[1])
    assert (end.code, end.clean, str(end)) == (3, False, "exited with code 3")


@pytest.mark.parametrize(
    ("state", "name", "in_process", "outcome"),
    [
        (StateType.PENDING, "Pending", False, Reschedule),
        (StateType.SCHEDULED, "AwaitingRetry", True, Reschedule),
        (StateType.SCHEDULED, "AwaitingRetry", False, Settled),
        (StateType.PAUSED, "Paused", False, Suspend),
        (StateType.PAUSED, "Suspended", False, Settled),
        (StateType.COMPLETED, "Completed", False, Settled),
    ],
)
def test_what_a_dead_nodes_run_becomes(
    state: StateType, name: str, in_process: bool, outcome: type[Outcome]
) -> None:
    found = abandoned(state, name, "n", cancelled=False, in_process=in_process, retried=0, retries=0)
    assert isinstance(found, outcome)


@pytest.mark.parametrize(("retried", "retries", "again"), [(0, 0, False), (0, 1, True), (1, 1, False)])
def test_a_task_whose_node_died_is_crashed_and_retried_as_its_retries_allow(
    retried: int, retries: int, again: bool
) -> None:
    found = abandoned(
        StateType.RUNNING, "Running", "n", cancelled=False, in_process=False, retried=retried, retries=retries
    )
    assert found == Crash("Node n ended, and the task's process with it.", again)


@pytest.mark.parametrize("state", [StateType.PENDING, StateType.RUNNING])
def test_a_task_that_was_cancelled_is_not_retried_because_a_request_came_late(state: StateType) -> None:
    found = abandoned(state, "", "n", cancelled=True, in_process=False, retried=0, retries=3)
    assert isinstance(found, Cancel)
