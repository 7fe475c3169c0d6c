"""What states say about nodes."""

from __future__ import annotations

from skald_bridge.domain.facts import State
from skald_bridge.domain.ids import NodeId
from skald_bridge.domain.lifecycle import StateType
from skald_work_pools.messages import claimant


def claimed_by(state: State) -> NodeId | None:
    """The node that claimed the task with this state, where the state is such a claim."""
    node = claimant(state.message) if state.type is StateType.PENDING else None
    return NodeId(node) if node else None
