"""A pool's job variables: a task's needs, typed and described, and its environment."""

from __future__ import annotations

from typing import Any

from prefect.workers.base import BaseJobConfiguration, BaseVariables
from pydantic import Field

from skald_work_pools.needs import Needs
from skald_work_pools.task_type import STARTS, Start

_FIELDS = tuple(Needs.model_fields)
_ENVIRONMENT = "Environment variables of the task's process."

_START = (
    "How tasks start; chosen by what their code does when it is imported, unless set. forked: from an interpreter "
    "that has the code loaded. imported: in one that imported it by itself beforehand. late: it is imported once "
    "the run is known. cold: in a new interpreter, as Prefect's process worker does."
)


class SkaldJobConfiguration(BaseJobConfiguration):
    """Job variables, resolved; ``None`` is "not given": the flow's own declaration holds."""

    cpus: float | None = Field(None)
    memory: int | str | None = Field(None)
    gpus: int | None = Field(None)
    gpu_memory: int | str | None = Field(None)
    nvenc: int | None = Field(None)
    nvdec: int | None = Field(None)
    tags: list[str] | None = Field(None)
    start: Start | None = Field(None)

    def needs(self, declared: Needs) -> Needs:
        """The declared needs with what is given here in their place.

        Raises:
            pydantic.ValidationError: a value is of the wrong type; it names the field.
        """
        return declared.overridden_by({name: getattr(self, name) for name in _FIELDS})

    @classmethod
    def json_template(cls) -> dict[str, Any]:
        return {name: "{{ " + name + " }}" for name in ("env", "start", *_FIELDS)}


class SkaldVariables(BaseVariables):
    """What the UI's forms show; every field may be left empty."""

    cpus: float | None = None
    memory: int | str | None = None
    gpus: int | None = None
    gpu_memory: int | str | None = None
    nvenc: int | None = None
    nvdec: int | None = None
    tags: list[str] | None = None
    start: Start | None = None

    @classmethod
    def model_json_schema(cls, *args: Any, **kwargs: Any) -> dict[str, Any]:
        """The needs' own schema without defaults: a default would override what a flow declares."""
        needs = Needs.model_json_schema()["properties"]
        properties: dict[str, Any] = {name: _field(needs[name]) for name in _FIELDS}
        properties["env"] = {
            "title": "Environment Variables",
            "description": _ENVIRONMENT,
            "type": "object",
            "additionalProperties": {"anyOf": [{"type": "string"}, {"type": "null"}]},
        }
        properties["start"] = {
            "title": "Start",
            "description": _START,
            "type": "string",
            "enum": list(STARTS),
        }
        return {"type": "object", "properties": properties}


def _field(schema: dict[str, Any]) -> dict[str, Any]:
    field = {key: value for key, value in schema.items() if key not in ("default", "ge", "uniqueItems")}
    if field.get("title", "").lower().endswith("memory"):
        # Sizes are written 512MB or 2GiB as often as in bytes.
        field.pop("type")
        minimum = field.pop("minimum", 0)
        field["anyOf"] = [{"type": "string"}, {"type": "integer", "minimum": minimum}]
    return field
