from __future__ import annotations

from typing import Any
from unittest.mock import AsyncMock, MagicMock
from uuid import uuid4

import pytest
from prefect.client.schemas.objects import State, StateType
from prefect.states import Cancelled, Cancelling, Completed, Paused, Pending, Running, Scheduled

from skald_work_pools.messages import claim_message
from skald_work_pools.node.reconcile import state_reconciler as module
from skald_work_pools.node.reconcile.state_reconciler import (
    Command,
    StateReconciler,
    command_of,
    command_of_event,
)

SUSPENDED: State[Any] = State(type=StateType.PAUSED, name="Suspended")


@pytest.mark.parametrize(
    ("state", "frozen", "mine", "claimed", "command"),
    [
        (Cancelling(), False, False, True, Command.CANCEL),
        (Cancelling(), False, False, False, Command.CANCEL),
        (SUSPENDED, False, False, True, Command.SUSPEND),
        (Paused(), False, False, True, Command.FREEZE),
        (Paused(pause_key="mine"), False, False, True, Command.NOTHING),
        (Running(), True, False, True, Command.THAW),
        (Running(), False, True, True, Command.NOTHING),
        (Running(), False, False, True, Command.DOUBT_ATTEMPT),
        (Running(), False, False, False, Command.NOTHING),
        (Completed(), False, False, True, Command.DOUBT_STATE),
        (Completed(), False, True, True, Command.NOTHING),
        (Scheduled(), False, False, True, Command.DOUBT_STATE),
        (Scheduled(), False, False, False, Command.NOTHING),
        (Pending(), False, False, True, Command.DOUBT_STATE),
        (Cancelled(), False, False, True, Command.DOUBT_STATE),
    ],
)
def test_what_a_state_means_to_the_node_that_has_the_process(
    state: State[Any], frozen: bool, mine: bool, claimed: bool, command: Command
) -> None:
    assert command_of(state, frozen=frozen, mine=mine, claimed=claimed) is command


@pytest.mark.parametrize(
    ("kind", "name", "frozen", "looking", "command"),
    [
        (StateType.CANCELLING, "Cancelling", False, False, Command.CANCEL),
        (StateType.PAUSED, "Suspended", False, False, Command.SUSPEND),
        (StateType.PAUSED, "Paused", False, False, Command.LOOK),
        (StateType.RUNNING, "Running", False, False, Command.NOTHING),
        (StateType.RUNNING, "Running", True, False, Command.LOOK),
        (StateType.RUNNING, "Running", False, True, Command.LOOK),
        (StateType.FAILED, "Failed", False, False, Command.LOOK_LATER),
        (StateType.SCHEDULED, "AwaitingRetry", False, False, Command.LOOK_LATER),
    ],
)
def test_what_an_event_means_to_it(
    kind: StateType, name: str, frozen: bool, looking: bool, command: Command
) -> None:
    assert command_of_event(kind, name, frozen=frozen, looking=looking) is command


@pytest.mark.parametrize("twin", [True, False])
async def test_a_run_that_was_claimed_anew_is_fenced_even_by_a_node_of_the_same_name(
    twin: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "CERTAIN_AFTER", 0.0)
    ours, theirs = (Pending(message=claim_message("n"), id=uuid4()) for _ in range(2))
    resumed = Running(id=uuid4())
    states = [ours, Running(id=uuid4()), *([theirs] if twin else []), resumed]
    supervisor = MagicMock(id=str(uuid4()), over=False, frozen=False, claimed=True)
    supervisor.mine = lambda state_id: state_id == str(ours.id)
    context = MagicMock(name="context")
    context.api.states = AsyncMock(return_value=states)
    works: list[Any] = []
    context.aside = works.append
    reconciler = StateReconciler(context, {supervisor.id: supervisor})
    reconciler._obey(supervisor, Command.DOUBT_ATTEMPT, str(resumed.id), "Running")
    for work in works:
        await work
    if twin:
        supervisor.fence.assert_called_once_with("node n runs it now")
    else:
        supervisor.adopt.assert_called_once_with(str(resumed.id))
        assert not supervisor.fence.called
