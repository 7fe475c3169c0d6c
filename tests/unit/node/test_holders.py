from __future__ import annotations

from typing import Any
from uuid import uuid4

import pytest
from prefect.client.schemas.objects import FlowRun, FlowRunPolicy, State, StateType
from prefect.states import (
    AwaitingRetry,
    Cancelling,
    Completed,
    Paused,
    Pending,
    Running,
    Scheduled,
    Suspended,
)

from skald_work_pools.messages import NODE_LABEL, claim_message
from skald_work_pools.node.reconcile.holders import (
    REMEMBERED,
    Judgement,
    holder,
    look_at,
    may_be_of,
    needs_process,
)


def run(state: State[Any] | None, node: str | None = None, count: int = 1, **more: Any) -> FlowRun:
    labels = {NODE_LABEL: node} if node else {}
    return FlowRun(id=uuid4(), flow_id=uuid4(), name="n", state=state, labels=labels, run_count=count, **more)


CLAIM = Pending(message=claim_message("b"))


def test_a_claim_is_newer_than_a_label() -> None:
    assert holder(run(CLAIM, "a")) == "b"
    assert holder(run(Running(), "a")) == "a"
    assert holder(run(Running())) is None


@pytest.mark.parametrize(
    ("found", "node", "expected"),
    [
        (run(CLAIM, "a"), "a", False),
        (run(CLAIM, "a"), "b", True),
        (run(Running(), "a"), "a", True),
        (run(Running(), "b"), "a", False),
        (run(Running(), "b", count=2), "a", True),
        (run(Running()), "a", True),
    ],
)
def test_whose_a_run_may_be(found: FlowRun, node: str, expected: bool) -> None:
    assert may_be_of(found, {node}) is expected


@pytest.mark.parametrize(
    ("state", "expected"),
    [
        (Pending(), True),
        (Running(), True),
        (Paused(), True),
        (Cancelling(), True),
        (State(type=StateType.PAUSED, name="Suspended"), False),
        (Suspended(), False),
        (AwaitingRetry(), False),
        (Scheduled(), False),
        (Completed(), False),
        (None, False),
    ],
)
def test_which_states_only_a_process_leads_out_of(state: State[Any] | None, expected: bool) -> None:
    assert needs_process(run(state)) is expected


def test_a_retry_in_its_process_needs_that_process() -> None:
    assert needs_process(run(AwaitingRetry(), empirical_policy=FlowRunPolicy(retry_type="in_process")))


@pytest.mark.parametrize(
    ("found", "seconds", "expected"),
    [
        (run(Running(), "me"), 1, Judgement.ASK),
        (run(Running(), "me"), 10 * REMEMBERED, Judgement.ASK),
        (run(Running(), "other"), 1, Judgement.FORGET),
        (run(Running(), "other", count=2), 1, Judgement.ASK),
        (run(Suspended(), "me"), 10 * REMEMBERED, Judgement.KEEP),
        (run(AwaitingRetry(), "me"), 1, Judgement.KEEP),
        (run(AwaitingRetry(), "me"), REMEMBERED, Judgement.FORGET),
        (None, 1, Judgement.KEEP),
        (None, REMEMBERED, Judgement.FORGET),
    ],
)
def test_an_ended_run_is_looked_at_while_a_late_request_may_bring_it_back(
    found: FlowRun | None, seconds: float, expected: Judgement
) -> None:
    assert look_at(found, "me", seconds) is expected
