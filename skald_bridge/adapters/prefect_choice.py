"""Which deployment serves a class name: read from Prefect, decided in ``domain.choice``."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any, NamedTuple

from skald_bridge.adapters.prefect_mapping import node_of
from skald_bridge.adapters.prefect_reading import POOL_TYPE, Reading
from skald_bridge.domain.choice import Offer, chosen, named, unserved
from skald_bridge.domain.errors import NotFound, Rejected
from skald_bridge.domain.facts import Node


class Served(NamedTuple):
    """A deployment as Prefect's JSON. ``alone``: the class has no other; ``refusal``: why no node could take it."""

    deployment: Mapping[str, Any]
    alone: bool
    refusal: Rejected | None = None


class Choice(Reading):
    """The deployment of a new task."""

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
        rows = await self.pages(
            "/deployments/filter", {"flows": {"name": {"any_": [class_name]}}, "sort": "CREATED_DESC"}
        )
        if not rows:
            known = ", ".join(await self.class_names()) or "none"
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
        pools = await self.pages("/work_pools/filter", {"work_pools": {"name": {"any_": names}}})
        types = {pool["name"]: pool["type"] for pool in pools}
        ours = [name for name, kind in types.items() if kind == POOL_TYPE]
        announced = await self._announcements() if ours else {}
        nodes = [
            node_of(worker, name, announced.get(name, {}))
            for name in ours
            for worker in await self.pages(f"/work_pools/{name}/workers/filter", {})
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
