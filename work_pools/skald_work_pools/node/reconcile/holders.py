"""Whose a run is, as far as the run itself tells, and whether it needs somebody to see to it. Pure."""

from __future__ import annotations

from collections.abc import Container, Mapping
from enum import Enum
from typing import Any

from prefect.client.schemas.objects import FlowRun, StateType

from skald_work_pools.messages import NODE_LABEL, claimant
from skald_work_pools.node.server.run_api import AWAITING_RETRY

REMEMBERED = 180.0
"""Seconds for which an ended run is looked at again: a late request of its process may be carried out."""
_IN_PROCESS = "in_process"
_SUSPENDED = "Suspended"
_WITH_PROCESS = frozenset({StateType.PENDING, StateType.RUNNING, StateType.PAUSED, StateType.CANCELLING})


def node_of(labels: Mapping[str, Any]) -> str | None:
    found = labels.get(NODE_LABEL)
    return found if isinstance(found, str) else None


def holder(run: FlowRun) -> str | None:
    """The node that has, or last had, the run: by its claim, else by its label, which follows a moment later."""
    return claimant(run.state.message if run.state else None) or node_of(run.labels)


def may_be_of(run: FlowRun, nodes: Container[str]) -> bool:
    """Whether one of the nodes may have claimed the run last; its states say for certain.

    A label is somebody else's for certain only on a run that was started once: on one that is started again the
    claim may be newer than the label.
    """
    if claim := claimant(run.state.message if run.state else None):
        return claim in nodes
    label = node_of(run.labels)
    return label is None or label in nodes or run.run_count > 1


def is_suspended(run: FlowRun) -> bool:
    return run.state is not None and run.state.name == _SUSPENDED


def is_in_process_retry(run: FlowRun) -> bool:
    return run.empirical_policy.retry_type == _IN_PROCESS


def needs_process(run: FlowRun) -> bool:
    """Whether its state is one that only a process leads out of."""
    state = run.state
    if state is None or is_suspended(run):
        return False
    return state.type in _WITH_PROCESS or (state.name == AWAITING_RETRY and is_in_process_retry(run))


class Judgement(Enum):
    """What is to be done with a run that ended on this node."""

    ASK = "its states say whether it is this node's still"
    KEEP = "look again"
    FORGET = "it is over, or somebody else's"


def look_at(run: FlowRun | None, node: str, seconds: float) -> Judgement:
    """``run``: ``None`` when its state is none of ``run_api.LIVE``; ``seconds``: since its end on this node."""
    if run is not None and not may_be_of(run, {node}):
        return Judgement.FORGET
    if run is not None and needs_process(run):
        return Judgement.ASK
    if run is not None and is_suspended(run):
        # A cancel of it waits for the node that had it.
        return Judgement.KEEP
    return Judgement.KEEP if seconds < REMEMBERED else Judgement.FORGET
