"""Which of a class's deployments a task is made of, and whether a node could ever take it; pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from difflib import get_close_matches
from typing import Any

from pydantic import ValidationError

from skald_bridge.domain.errors import NotFound
from skald_bridge.domain.facts import Node
from skald_bridge.domain.fitting import lacks
from skald_bridge.domain.why import NODE_POOL_TYPE
from skald_work_pools.needs import Needs

RESTART = timedelta(seconds=60)
"""How long a node that is not online any more may be starting again."""


@dataclass(frozen=True)
class Offer:
    """A deployment of a class. ``variables`` are its job variables, ``updated`` is in ISO 8601.

    ``pool_type`` is ``None`` where it has no work pool, or one that is gone.
    """

    id: str
    name: str
    pool: str | None = None
    pool_type: str | None = None
    paused: bool = False
    updated: str = ""
    variables: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Unserved:
    """Why no node could ever take a task, and what would help."""

    reason: str
    remedy: str


def named(
    class_name: str, offers: Sequence[Offer], *, deployment: str | None = None, pool: str | None = None
) -> list[Offer]:
    """Those of this name (or ``class/name``, or id) and on this pool.

    Raises:
        NotFound: there is none; the message lists those there are.
    """
    names = (deployment, (deployment or "").removeprefix(f"{class_name}/"))
    found = [
        offer
        for offer in offers
        if (deployment is None or offer.name in names or offer.id == deployment)
        and pool in (None, offer.pool)
    ]
    if found:
        return found
    what = " ".join(
        [
            *([f"named {deployment!r}"] if deployment else []),
            *([f"on the work pool {pool!r}"] if pool else []),
        ]
    )
    near = get_close_matches(deployment or "", [offer.name for offer in offers], 1)
    hint = f"Did you mean {near[0]!r}? " if near else ""
    raise NotFound(
        f"{class_name} has no deployment {what}; it has: {', '.join(map(_shown, offers))}.",
        remedy=f"{hint}Name one of these, or deploy another: `prefect deploy`.",
    )


def chosen(
    class_name: str, offers: Sequence[Offer], nodes: Sequence[Node], variables: Mapping[str, Any]
) -> Offer:
    """One that an online node could take comes first, then a node's pool, then not paused, then changed last."""
    return max(
        offers,
        key=lambda offer: (
            _is_served(class_name, offer, nodes, variables),
            offer.pool_type == NODE_POOL_TYPE,
            not offer.paused,
            offer.updated,
        ),
    )


def unserved(
    class_name: str,
    offer: Offer,
    others: Sequence[Offer],
    nodes: Sequence[Node],
    variables: Mapping[str, Any],
    now: datetime,
) -> Unserved | None:
    """Why a task of ``offer`` could never start as things are; ``None`` where a node could take it once it is idle.

    Pools of other types have other workers, of whom nothing is known: ``None``; so it is of a pool with a node
    that was there a moment ago, and may be restarting. ``variables`` are the task's own.
    """
    refusals = _refusals(class_name, offer, nodes, variables)
    if refusals is None or any(_may_return(node, offer, now) for node in nodes):
        return None
    better = [other for other in others if _is_served(class_name, other, nodes, variables)]
    instead = f"Choose one that can: --deployment {better[0].name}. " if better else ""
    if not refusals:
        return Unserved(
            f"No node of the pool {offer.pool} is online, where the deployment {offer.name} of {class_name} runs.",
            f"{instead}Start one: skald node --pool {offer.pool}",
        )
    return Unserved(
        f"No node of the pool {offer.pool} could ever take {class_name} ({offer.name}): {'; '.join(refusals)}.",
        f"{instead}Start a node that has it, or ask for less: --needs KEY=VALUE",
    )


def _is_served(class_name: str, offer: Offer, nodes: Sequence[Node], variables: Mapping[str, Any]) -> bool:
    return offer.pool_type == NODE_POOL_TYPE and _refusals(class_name, offer, nodes, variables) is None


def _refusals(
    class_name: str, offer: Offer, nodes: Sequence[Node], variables: Mapping[str, Any]
) -> list[str] | None:
    """What each online node of the pool lacks; ``None`` where one of them lacks nothing, or nothing is known."""
    if offer.pool_type != NODE_POOL_TYPE:
        return None
    needs = _needs(class_name, offer, nodes, variables)
    found = []
    for node in nodes:
        if node.pool != offer.pool or not node.online:
            continue
        if (lack := lacks(node, needs)) is None:
            return None
        found.append(f"node {node.id}: {lack}")
    return found


def _needs(class_name: str, offer: Offer, nodes: Sequence[Node], variables: Mapping[str, Any]) -> Needs:
    """What the flow declares, as a node that has loaded it tells, under the job variables."""
    told = [
        (node.pool == offer.pool, found[class_name])
        for node in nodes
        if isinstance(found := node.capacity.get("needs"), Mapping) and class_name in found
    ]
    declared = max(told, key=lambda each: each[0])[1] if told else {}
    try:
        return Needs.model_validate(declared).overridden_by({**offer.variables, **variables})
    except ValidationError:
        return Needs()  # the node names the field that is wrong


def _may_return(node: Node, offer: Offer, now: datetime) -> bool:
    seen = node.last_seen
    return node.pool == offer.pool and not node.online and seen is not None and now - seen < RESTART


def _shown(offer: Offer) -> str:
    return f"{offer.name} (pool {offer.pool})" if offer.pool else f"{offer.name} (no pool)"
