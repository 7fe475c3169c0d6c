"""A pool's job variables: a task's needs, typed and described, and its environment."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from difflib import get_close_matches
from typing import Any

from prefect.workers.base import BaseJobConfiguration, BaseVariables
from pydantic import Field

from skald_work_pools.needs import Needs
from skald_work_pools.task_type import STARTS, Start

_FIELDS = tuple(Needs.model_fields)
_PLACEHOLDER = re.compile(r"{{\s*(\w+)\s*}}")
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


def pool_variables(template: Mapping[str, Any]) -> list[str]:
    """The job variables that a pool's base job template has, or refers to."""
    described = (template.get("variables") or {}).get("properties") or ()
    used = _PLACEHOLDER.findall(json.dumps(template.get("job_configuration") or {}, default=str))
    return list(dict.fromkeys([*described, *used]))


def ignored_variables(given: Mapping[str, Any], known: Iterable[str]) -> list[str]:
    """A sentence for each job variable that Prefect would drop without a word, with the right names."""
    names = sorted(known)
    return [_ignored(name, given[name], names) for name in given if name not in names]


def _ignored(name: str, value: object, names: list[str]) -> str:
    if name == "needs" and isinstance(value, Mapping):
        inner = ", ".join(f"{key}: {each}" for key, each in value.items())
        return f"job variable 'needs' is ignored: write its entries without it, job_variables: {{{inner}}}"
    near = get_close_matches(name, names, 1)
    hint = f"did you mean {near[0]!r}?" if near else f"this work pool has {', '.join(names) or 'none'}"
    return f"job variable {name!r} is ignored, {hint}"


def _field(schema: dict[str, Any]) -> dict[str, Any]:
    field = {key: value for key, value in schema.items() if key not in ("default", "ge", "uniqueItems")}
    if field.get("title", "").lower().endswith("memory"):
        # Sizes are written 512MB or 2GiB as often as in bytes.
        field.pop("type")
        minimum = field.pop("minimum", 0)
        field["anyOf"] = [{"type": "string"}, {"type": "integer", "minimum": minimum}]
    return field
