"""What a node's events are related to."""

from __future__ import annotations

from collections.abc import Iterable

from prefect.events import RelatedResource


def related(role: str, resource_id: str) -> RelatedResource:
    return RelatedResource({"prefect.resource.id": resource_id, "prefect.resource.role": role})


def tags_related(tags: Iterable[str]) -> list[RelatedResource]:
    """A run's tags, as Prefect's own events carry them; a bridge knows a task of Skalds' by one."""
    return [related("tag", f"prefect.tag.{tag}") for tag in sorted(tags)]
