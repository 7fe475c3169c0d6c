from __future__ import annotations

from typing import Any
from unittest.mock import MagicMock
from uuid import uuid4

import pytest
from prefect.client.schemas.objects import FlowRun
from prefect.events import Event, Resource

from skald_work_pools.attachments import next_revision, update_id_of
from skald_work_pools.messages import (
    DEPLOYMENT_CREATED,
    DEPLOYMENT_RESOURCE,
    RESOURCE_ID,
    RUN_HEARTBEAT,
    RUN_RESOURCE,
    STATE_NAME,
    STATE_TYPE,
    UPDATE_REQUESTED,
    UpdateApplied,
    UpdateRejected,
    claim_message,
    claimant,
)
from skald_work_pools.node.reconcile.attachment_updates import answer_payload
from skald_work_pools.node.reconcile.event_router import EventRouter
from skald_work_pools.node.reconcile.run_heartbeats import heartbeat
from skald_work_pools.node.reconcile.stopped_processes import AGAIN, to_tell
from skald_work_pools.node.reconcile.stuck_cancellations import is_nobodys


@pytest.mark.parametrize("node", ["a", "rack 7. ", "Taken by node x", "ü.example.org."])
def test_a_claim_names_its_node_whatever_its_name_is(node: str) -> None:
    assert claimant(claim_message(node)) == node


@pytest.mark.parametrize("message", [None, "", "Rescheduled", "taken by node a"])
def test_other_messages_name_none(message: str | None) -> None:
    assert claimant(message) is None


def test_a_stillness_is_told_at_once_and_again_while_it_lasts() -> None:
    told, stand, move = to_tell({}, ["a", "b"], 100.0)
    assert (stand, move) == (["a", "b"], [])
    told, stand, move = to_tell(told, ["a", "b"], 100.0 + AGAIN / 2)
    assert (stand, move) == ([], [])
    told, stand, move = to_tell(told, ["a"], 100.0 + AGAIN)
    assert (stand, move) == (["a"], ["b"])
    assert to_tell(told, [], 200.0) == ({}, [], ["a"])


@pytest.mark.parametrize(
    ("has_it", "expected"), [(None, True), ("me", True), ("gone", True), ("alive", False)]
)
def test_whose_cancel_nobody_hears(has_it: str | None, expected: bool) -> None:
    assert is_nobodys(has_it, "me", {"me", "alive"}) is expected


def test_a_heartbeat_names_run_flow_deployment_and_tags() -> None:
    run = FlowRun(id=uuid4(), flow_id=uuid4(), deployment_id=uuid4(), name="n", tags=["b", "a"])
    event = heartbeat(run)
    assert event.event == RUN_HEARTBEAT and event.resource.id == f"{RUN_RESOURCE}{run.id}"
    ids = [related.id for related in event.related]
    expected = [f"prefect.flow.{run.flow_id}", f"prefect.deployment.{run.deployment_id}"]
    assert ids == [*expected, "prefect.tag.a", "prefect.tag.b"]
    assert [related.role for related in heartbeat(FlowRun(flow_id=uuid4(), name="n")).related] == ["flow"]


@pytest.mark.parametrize(
    ("payload", "expected"),
    [
        ({"update_id": "u", "changes": {}}, "u"),
        ({"update_id": "u", "attachments": {"a": 1}}, "u"),
        ({"update_id": "u"}, None),
        ({"update_id": 7, "changes": {}}, None),
        ({"changes": {}}, None),
        ({"update_id": "u", "changes": [1]}, None),
    ],
)
def test_which_update_requests_are_complete(payload: dict[str, Any], expected: str | None) -> None:
    assert update_id_of(payload) == expected


def test_changes_are_merged_into_the_newest_revision_and_attachments_replace_it() -> None:
    newest = (4, {"a": 1, "fixFrame": 2})
    assert next_revision(newest, {"changes": {"fix_frame": 3}}) == (5, {"a": 1, "fixFrame": 3})
    assert next_revision(newest, {"attachments": {"b": 1}, "changes": {"a": 9}}) == (5, {"b": 1})
    assert newest == (4, {"a": 1, "fixFrame": 2})


def test_an_answer_tells_what_was_applied_or_why_not() -> None:
    common = {"update_id": "u", "revision": 2, "node": "n"}
    assert answer_payload(UpdateApplied("u", 2, {"a": 1}), "n") == {**common, "attachments": {"a": 1}}
    assert answer_payload(UpdateRejected("u", 2, "no"), "n") == {**common, "reason": "no"}


def router() -> tuple[EventRouter, MagicMock]:
    parts = MagicMock(name="parts")
    made = EventRouter(
        parts.context,
        parts.deployments,
        parts.reconciler,
        parts.cancellations,
        parts.updates,
        wake=parts.wake,
        preload=parts.preload,
        has=lambda run: run == "r-here",
    )
    return made, parts


def event(name: str, run: str = "r-1", **said: str) -> Event:
    return Event(event=name, resource=Resource({RESOURCE_ID: f"{RUN_RESOURCE}{run}", **said}))


def test_a_scheduled_run_wakes_the_node() -> None:
    made, parts = router()
    made.hear(event(f"{RUN_RESOURCE}Scheduled", **{STATE_TYPE: "SCHEDULED"}))
    assert parts.wake.called and not parts.reconciler.hear.called


@pytest.mark.parametrize(
    ("run", "name", "wakes"),
    [("r-1", "Scheduled", True), ("r-here", "Scheduled", False), ("r-here", "AwaitingRetry", True)],
)
def test_a_run_that_was_offered_before_its_event_wakes_nobody(run: str, name: str, wakes: bool) -> None:
    made, parts = router()
    made.hear(event(f"{RUN_RESOURCE}{name}", run, **{STATE_TYPE: "SCHEDULED", STATE_NAME: name}))
    assert parts.wake.called is wakes


@pytest.mark.parametrize(("here", "looks"), [(True, False), (False, True)])
def test_the_cancel_of_a_run_that_is_not_here_may_be_nobodys(here: bool, looks: bool) -> None:
    made, parts = router()
    parts.reconciler.hear.return_value = here
    made.hear(event(f"{RUN_RESOURCE}Cancelling", **{STATE_TYPE: "CANCELLING"}))
    assert parts.cancellations.look.called is looks
    if looks:
        parts.cancellations.look.assert_called_once_with("r-1")


def test_other_states_of_runs_elsewhere_are_nobodys_business() -> None:
    made, parts = router()
    parts.reconciler.hear.return_value = False
    made.hear(event(f"{RUN_RESOURCE}Running", **{STATE_TYPE: "RUNNING"}))
    assert not parts.cancellations.look.called and not parts.wake.called


def test_a_new_deployment_is_loaded_and_a_deleted_one_forgotten() -> None:
    made, parts = router()
    made.hear(event(DEPLOYMENT_CREATED))
    assert parts.deployments.forget.called and parts.preload.called
    made, parts = router()
    made.hear(event(f"{DEPLOYMENT_RESOURCE}deleted"))
    assert parts.deployments.forget.called and not parts.preload.called


def test_updates_and_changes_of_the_pool_go_where_they_belong() -> None:
    made, parts = router()
    made.hear(event(UPDATE_REQUESTED))
    assert parts.updates.hear.called and not parts.wake.called
    made.hear(event("prefect.work-queue.ready"))
    assert parts.wake.called


def test_after_a_gap_everything_is_asked_for() -> None:
    made, parts = router()
    made.connected()
    assert parts.deployments.forget.called and parts.wake.called and parts.reconciler.sweep.called
