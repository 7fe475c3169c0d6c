"""Task types as they are deployed: their fields, what they need, where they run; pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

CAN_CHANGE = "canChangeWhileRunning"
"""In the schema of a field: whether a running task takes a new value."""
NEEDS = "needs"
"""In the schema of the attachments' parameter: what the flow's code declares."""
_MOST_CHOICES = 12
_LIMITS = {"minimum": "≥ ", "exclusiveMinimum": "> ", "maximum": "≤ ", "exclusiveMaximum": "< "}


@dataclass(frozen=True)
class Field:
    """One field of the attachments, or a parameter of a flow that has others.

    ``can_change`` is ``None`` where the task type does not say; ``default`` counts unless it is ``required``.
    """

    name: str
    type: str
    required: bool
    default: Any = None
    description: str = ""
    can_change: bool | None = None


@dataclass(frozen=True)
class Deployed:
    """One deployment of a task type. ``needs``: what its job variables put in place of the code's."""

    name: str
    pool: str | None
    queue: str | None
    paused: bool
    needs: dict[str, Any] = field(default_factory=dict)
    defaults: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class DeployedType:
    """A flow that has at least one deployment; fields are those of the deployment that was changed last."""

    name: str
    description: str
    fields: tuple[Field, ...]
    needs: dict[str, Any]
    deployments: tuple[Deployed, ...]


def deployed_type(name: str, deployments: Sequence[Mapping[str, Any]], needs: Sequence[str]) -> DeployedType:
    """From Prefect's JSON of the deployments of one flow; ``needs`` are the job variables that are needs."""
    newest = max(deployments, key=lambda row: str(row.get("updated") or ""))
    schema = _object(newest.get("parameter_openapi_schema"))
    parameter = attachments_schema(schema)
    made = [_deployed(row, needs, parameter) for row in deployments]
    return DeployedType(
        name=name,
        description=str(newest.get("description") or ""),
        fields=tuple(fields_of(schema)),
        needs=_declared(schema, parameter),
        deployments=tuple(sorted(made, key=lambda one: one.name)),
    )


def attachments_schema(schema: Mapping[str, Any]) -> str | None:
    """Name of the single object parameter; ``None`` for a flow with other parameters."""
    properties = _object(schema.get("properties"))
    if len(properties) != 1:
        return None
    ((name, kind),) = properties.items()
    return name if _object(_resolved(kind, schema)).get("type") == "object" else None


def fields_of(schema: Mapping[str, Any]) -> list[Field]:
    """The attachments' fields, or all parameters of a flow that has others."""
    name = attachments_schema(schema)
    owner = _resolved(_object(schema.get("properties"))[name], schema) if name is not None else schema
    properties = _object(owner.get("properties"))
    required = _required(owner)
    told = any(CAN_CHANGE in _object(kind) for kind in properties.values())
    return [
        Field(
            name=each,
            type=type_text(_object(kind), schema),
            required=each in required,
            default=_object(kind).get("default"),
            description=str(_object(kind).get("description") or ""),
            can_change=bool(_object(kind).get(CAN_CHANGE)) if told else None,
        )
        for each, kind in properties.items()
    ]


def type_text(kind: Mapping[str, Any], schema: Mapping[str, Any]) -> str:
    """``integer, 10…45``, ``list of string``, ``"none" or "grey"``, ``number or null``."""
    kind = _resolved(kind, schema)
    if "const" in kind:
        return _quoted(kind["const"])
    if isinstance(choices := kind.get("enum"), list):
        more = " …" if len(choices) > _MOST_CHOICES else ""
        return " or ".join(map(_quoted, choices[:_MOST_CHOICES])) + more
    for word in ("anyOf", "oneOf"):
        if isinstance(parts := kind.get(word), list):
            return " or ".join(dict.fromkeys(type_text(_object(part), schema) for part in parts))
    found = kind.get("type")
    if found == "array":
        inner = type_text(_object(kind.get("items")), schema)
        return f"list of {inner}" if inner != "anything" else "list"
    if found == "object":
        return str(kind.get("title") or "object")
    if not isinstance(found, str):
        return "anything"
    return found + _limits(kind)


def _limits(kind: Mapping[str, Any]) -> str:
    if "minimum" in kind and "maximum" in kind:
        return f", {kind['minimum']:g}…{kind['maximum']:g}"
    return "".join(f", {sign}{kind[word]:g}" for word, sign in _LIMITS.items() if word in kind)


def _declared(schema: Mapping[str, Any], parameter: str | None) -> dict[str, Any]:
    if parameter is None:
        return {}
    return dict(_object(_object(_object(schema.get("properties")).get(parameter)).get(NEEDS)))


def _deployed(row: Mapping[str, Any], needs: Sequence[str], parameter: str | None) -> Deployed:
    given = _object(row.get("job_variables"))
    parameters = _object(row.get("parameters"))
    return Deployed(
        name=str(row.get("name")),
        pool=row.get("work_pool_name"),
        queue=row.get("work_queue_name"),
        paused=bool(row.get("paused")),
        needs={name: given[name] for name in needs if given.get(name) is not None},
        defaults=dict(_object(parameters.get(parameter)) if parameter is not None else parameters),
    )


def _required(owner: Mapping[str, Any]) -> set[str]:
    """Also those of which either spelling will do: a chain of conditions, each for one field."""
    found = set(owner.get("required") or ())
    chain: Mapping[str, Any] = owner
    while "else" in chain:
        found.update(_object(chain["else"]).get("required") or ())
        chain = _object(chain.get("then"))
    return found


def _resolved(kind: Any, schema: Mapping[str, Any]) -> Mapping[str, Any]:
    """The definition that it refers to, with what is said beside the reference over it."""
    own = _object(kind)
    for part in (own, *(_object(each) for each in own.get("allOf") or ())):
        reference = str(part.get("$ref") or "").rpartition("/")[2]
        if reference:
            return {**_object(_object(schema.get("definitions")).get(reference)), **_without_reference(own)}
    return own


def _without_reference(kind: Mapping[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in kind.items() if key not in ("$ref", "allOf", "title")}


def _object(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}


def _quoted(value: Any) -> str:
    return f'"{value}"' if isinstance(value, str) else "null" if value is None else str(value)
