"""What a node's events are of, and what they are related to."""

from __future__ import annotations

from collections.abc import Iterable

from prefect.events import RelatedResource, Resource

from skald_work_pools.messages import RESOURCE_ID, RESOURCE_ROLE, RUN_RESOURCE, TAG_RESOURCE


def run_resource(run_id: str, **more: str) -> Resource:
    return Resource({RESOURCE_ID: RUN_RESOURCE + run_id, **more})


def related(role: str, resource_id: str) -> RelatedResource:
    return RelatedResource({RESOURCE_ID: resource_id, RESOURCE_ROLE: role})


def tags_related(tags: Iterable[str]) -> list[RelatedResource]:
    """A run's tags, as Prefect's own events carry them; a bridge knows a task of Skalds' by one."""
    return [related("tag", TAG_RESOURCE + tag) for tag in sorted(tags)]
