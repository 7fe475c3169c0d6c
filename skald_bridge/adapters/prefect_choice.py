"""Which deployment serves a class name: read from Prefect, decided in ``domain.choice``."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any, NamedTuple

from skald_bridge.adapters.prefect_api import PrefectApi
from skald_bridge.adapters.prefect_mapping import node_of
from skald_bridge.adapters.prefect_reading import POOL_TYPE, TaskReader
from skald_bridge.domain.choice import Offer, chosen, named, unserved
from skald_bridge.domain.errors import NotFound, Rejected
from skald_bridge.domain.facts import Node

_KNOWN_FOR, _CHOSEN_FOR = 120.0, 5.0
"""Seconds for which a deployment is not asked for again, unless an event tells that one has changed: where it is the
class's only one, and where it was chosen by the nodes that were online."""


class Served(NamedTuple):
    """A deployment as Prefect's JSON. ``alone``: the class has no other; ``refusal``: why no node could take it."""

    deployment: Mapping[str, Any]
    alone: bool
    refusal: Rejected | None = None


class DeploymentChoice:
    """The deployment of a new task."""

    def __init__(
        self, api: PrefectApi, reader: TaskReader, clock: Callable[[], float] = time.monotonic
    ) -> None:
        """``clock`` gives seconds."""
        self._api = api
        self._reader = reader
        self._clock = clock
        self._served: dict[str, tuple[float, Mapping[str, Any]]] = {}
        self._asking = asyncio.Lock()

    async def serving(self, class_name: str) -> Mapping[str, Any]:
        """``deployment_for``, not asked for each task; Prefect itself checks the parameters."""
        async with self._asking:
            now = self._clock()
            until, known = self._served.get(class_name, (0.0, {}))
            if not known or now > until:
                known, alone, _ = await self.deployment_for(class_name)
                self._served[class_name] = (now + (_KNOWN_FOR if alone else _CHOSEN_FOR), known)
            return known

    def forget(self, class_name: str | None = None) -> None:
        """A deployment of this class, or of any, may have changed."""
        if class_name is None:
            self._served.clear()
        else:
            self._served.pop(class_name, None)

    async def deployment_for(
        self,
        class_name: str,
        *,
        deployment: str | None = None,
        pool: str | None = None,
        variables: Mapping[str, Any] | None = None,
        only_if_served: bool = False,
    ) -> Served:
        """One request where the class has one deployment, and nothing else is asked.

        ``only_if_served``: find out whether no node could ever take a task of it, too.

        Raises:
            NotFound: no deployment has that flow, name or pool; the message lists those there are.
        """
        rows = await self._api.pages(
            "/deployments/filter", {"flows": {"name": {"any_": [class_name]}}, "sort": "CREATED_DESC"}
        )
        if not rows:
            known = ", ".join(await self._reader.class_names()) or "none"
            raise NotFound(
                f"className: no task type {class_name!r} is deployed; deployed are: {known}",
                remedy="Write it as one of these, or deploy the flow: `prefect deploy`.",
            )
        offers = [_offer(row) for row in rows]
        able = named(class_name, offers, deployment=deployment, pool=pool)
        by_id = {row["id"]: row for row in rows}
        if len(able) == 1 and not only_if_served:
            return Served(by_id[able[0].id], alone=len(rows) == 1)
        offers, nodes = await self._surroundings(offers)
        able = [offer for offer in offers if offer.id in {each.id for each in able}]
        best = chosen(class_name, able, nodes, variables or {})
        refusal = None
        now = datetime.now(UTC)
        if only_if_served and (why := unserved(class_name, best, offers, nodes, variables or {}, now)):
            remedy = f"{why.remedy}. To have it wait all the same: --queue-anyway"
            refusal = Rejected(why.reason, remedy=remedy)
        return Served(by_id[best.id], len(rows) == 1, refusal)

    async def _surroundings(self, offers: Sequence[Offer]) -> tuple[list[Offer], list[Node]]:
        """The offers with the types of their pools, and the nodes of these."""
        names = sorted({offer.pool for offer in offers if offer.pool is not None})
        if not names:
            return list(offers), []
        pools = await self._api.pages("/work_pools/filter", {"work_pools": {"name": {"any_": names}}})
        types = {pool["name"]: pool["type"] for pool in pools}
        ours = [name for name, kind in types.items() if kind == POOL_TYPE]
        announced = await self._reader.announcements() if ours else {}
        nodes = [
            node_of(worker, name, announced.get(name, {}))
            for name in ours
            for worker in await self._api.pages(f"/work_pools/{name}/workers/filter", {})
        ]
        return [replace(offer, pool_type=types.get(offer.pool or "")) for offer in offers], nodes


def _offer(row: Mapping[str, Any]) -> Offer:
    return Offer(
        row["id"],
        row["name"],
        row.get("work_pool_name"),
        paused=bool(row.get("paused")),
        updated=row.get("updated") or "",
        variables=row.get("job_variables") or {},
    )
