"""What states say about nodes."""

from __future__ import annotations

from skald_bridge.domain.facts import State
from skald_bridge.domain.ids import NodeId
from skald_bridge.domain.lifecycle import StateType
from work_pools.messages import TAKEN_BY


def claimed_by(state: State) -> NodeId | None:
    """The node that claimed the task with this state, where the state is such a claim."""
    if state.type is StateType.PENDING and state.message and state.message.startswith(TAKEN_BY):
        return NodeId(state.message.removeprefix(TAKEN_BY).rstrip(". "))
    return None
