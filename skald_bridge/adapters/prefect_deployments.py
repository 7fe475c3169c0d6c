"""Deployments as task types: how attachments become parameters, and a priority a queue; pure."""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Collection, Mapping, Sequence
from typing import Any

from skald_bridge.adapters.prefect_connection import Refused
from skald_bridge.domain.errors import InvalidInput
from skald_bridge.domain.suggestions import unknown_field

_SAID = 500


def compare(class_name: str = "NAME") -> str:
    """The remedy for wrong fields."""
    return f"`skald types {shlex.quote(class_name)}` shows its fields."


COMPARE = compare()
"""Where the task type is not known."""


_QUEUE = "priority-"


def queue_name(priority: int) -> str:
    """The work queue of tasks of a priority 1…10."""
    return f"{_QUEUE}{priority}"


def place_of(priority: int, queues: Sequence[str]) -> int:
    """Where among a pool's queues that of ``priority`` belongs, 1 is served first: before all but higher ones."""
    found = (name.removeprefix(_QUEUE) for name in queues if name.startswith(_QUEUE))
    return 1 + sum(text.isdigit() and int(text) > priority for text in found)


def attachments_parameter(schema: Mapping[str, Any] | None) -> str | None:
    """Name of the single object parameter; ``None`` for a flow with other parameters."""
    properties: Mapping[str, Any] = (schema or {}).get("properties") or {}
    if len(properties) != 1:
        return None
    ((name, kind),) = properties.items()
    is_object = kind.get("type") == "object" or any(key in kind for key in ("$ref", "allOf"))
    return name if is_object else None


def parameters_of(
    deployment: Mapping[str, Any], attachments: Mapping[str, Any]
) -> tuple[str | None, dict[str, Any]]:
    """The attachments' parameter name, if any, and complete parameters: the deployment's own below them."""
    schema = deployment.get("parameter_openapi_schema")
    defaults: dict[str, Any] = dict(deployment.get("parameters") or {})
    name = attachments_parameter(schema)
    if name is None:
        return None, {**defaults, **attachments}
    own = defaults.get(name)
    return name, {name: {**(own if isinstance(own, dict) else {}), **attachments}}


def check_names(
    parameters: Mapping[str, Any], schema: Mapping[str, Any] | None, class_name: str = "NAME"
) -> None:
    """Raise ``InvalidInput`` naming a parameter, or a field of the attachments, that the flow does not have.

    Prefect's own message about such a field names other fields.
    """
    _known_only(parameters, schema or {}, class_name)
    name = attachments_parameter(schema)
    if name is not None and isinstance(given := parameters.get(name), Mapping):
        _known_only(given, _fields(schema), class_name)


def check_added(fields: Collection[str], schema: Mapping[str, Any] | None, class_name: str) -> None:
    """Raise ``InvalidInput`` naming a field that was added to the attachments and that their model does not have.

    Also where the model passes over such a field in silence; not where it says that it takes any.
    """
    model = _fields(schema)
    if model.get("properties") and not model.get("additionalProperties"):
        _known_only(dict.fromkeys(fields), {**model, "additionalProperties": False}, class_name)


def _fields(schema: Mapping[str, Any] | None) -> Mapping[str, Any]:
    """The schema of the attachments' model; of a flow with other parameters, that of these."""
    taken = schema or {}
    name = attachments_parameter(schema)
    if name is None:
        return taken
    kind: Mapping[str, Any] = taken["properties"][name]
    reference = kind.get("$ref") or next((part.get("$ref", "") for part in kind.get("allOf", ())), "")
    found: Mapping[str, Any] = taken.get("definitions", {}).get(reference.rpartition("/")[2], kind)
    return found


def refusal(error: Exception) -> InvalidInput | None:
    """Why Prefect does not take a request's parameters, such as their size; ``None`` where it says no more."""
    if not isinstance(error, Refused) or error.status != 422:
        return None
    try:
        first = json.loads(error.text)["exception_detail"][0]
        said = str(first["msg"]).removeprefix("Value error, ")[:_SAID]
        field = ".".join(str(part) for part in first["loc"] if part != "body")[:_SAID]
    except (ValueError, LookupError, TypeError):
        return None
    return InvalidInput(f"{field}: {said}", remedy=COMPARE)


def _known_only(given: Mapping[str, Any], schema: Mapping[str, Any], class_name: str) -> None:
    if schema.get("additionalProperties") is not False:
        return
    known = list(schema.get("properties") or ())
    for key in given:
        if key not in known and not any(
            re.search(each, key) for each in schema.get("patternProperties") or ()
        ):
            raise InvalidInput(unknown_field(key, known), remedy=compare(class_name))


def check(parameters: Mapping[str, Any], schema: Mapping[str, Any] | None, class_name: str = "NAME") -> None:
    """Raise ``InvalidInput`` naming the field when the deployment's schema does not take the parameters."""
    if not schema:
        return
    check_names(parameters, schema, class_name)
    from prefect.utilities.schema_tools.validation import ValidationError, validate

    try:
        validate(dict(parameters), dict(schema), raise_on_error=True)
    except ValidationError as error:
        raise InvalidInput(str(error), remedy=compare(class_name)) from error
