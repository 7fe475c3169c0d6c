"""What a process is handed, and what Prefect is told of a flow's retries."""

from __future__ import annotations

import pytest
from prefect.client.schemas.objects import FlowRunPolicy
from prefect.states import Running

from skald_work_pools.node.forked.loading import Loaded
from skald_work_pools.node.processes.launch_plan import LaunchPlan
from skald_work_pools.node.runs.run_request import run_request, state_fields, stored_policy

PLAN = LaunchPlan("flow.py:main", None, "its pull steps clone", None, frozenset())


def test_a_flow_without_retries_stores_no_policy() -> None:
    assert stored_policy(FlowRunPolicy(), None) is None
    assert stored_policy(FlowRunPolicy(), Loaded(retries=0)) is None


@pytest.mark.parametrize(
    ("own", "of_flow", "stored"),
    [
        ((None, None), (3, 10.0), (3, 10)),
        ((1, None), (3, 10.0), (1, 10)),
        ((None, 5), (3, 10.0), (3, 5)),
        ((2, 7), (None, None), (2, 7)),
        ((0, None), (3, 10.0), None),
    ],
)
def test_the_runs_own_policy_comes_before_the_flows(
    own: tuple[int | None, int | None],
    of_flow: tuple[int | None, float | None],
    stored: tuple[int, int] | None,
) -> None:
    policy = FlowRunPolicy(retries=own[0], retry_delay=own[1])
    made = stored_policy(policy, Loaded(retries=of_flow[0], retry_delay=of_flow[1]))
    assert (made and (made["retries"], made["retry_delay"])) == stored


def test_an_unloaded_flow_stores_version_and_policy_itself() -> None:
    asked = run_request({"id": "x"}, PLAN, None, 2, {"CUDA_VISIBLE_DEVICES": "GPU-1"}, None)
    assert (asked.entrypoint, asked.path, asked.revision, asked.books) == ("flow.py:main", "", 2, False)
    assert asked.env == {"CUDA_VISIBLE_DEVICES": "GPU-1"}
    assert not run_request({}, PLAN, Loaded(problem="no module"), 1, {}, None).books


def test_a_loaded_flow_is_named_to_its_process() -> None:
    asked = run_request({}, PLAN, Loaded(name="record"), 1, {}, "block")
    assert asked.env == {"PREFECT__FLOW_NAME": "record"}
    assert (asked.books, asked.result_storage) == (True, "block")


def test_fields_of_a_run_tell_one_state() -> None:
    state = Running()
    told = state_fields(state)
    assert told["state_id"] == told["state"]["id"] == str(state.id)
    assert (told["state_type"], told["state_name"]) == ("RUNNING", "Running")
