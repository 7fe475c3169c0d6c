"""Deployments as task types: which one serves a class name, and how attachments become parameters; pure."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from typing import Any

from skald_bridge.adapters.prefect_connection import Refused
from skald_bridge.domain.errors import InvalidInput
from skald_bridge.domain.hints import unknown_field

_SAID = 500
COMPARE = "Compare with the deployment's parameters in the Prefect UI."


def chosen(deployments: Sequence[Mapping[str, Any]], skald_pools: set[str]) -> Mapping[str, Any]:
    """Of several deployments of one flow: on a skald pool, not paused, changed last."""
    return max(
        deployments,
        key=lambda row: (
            row.get("work_pool_name") in skald_pools,
            not row.get("paused"),
            row.get("updated") or "",
        ),
    )


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


def check_names(parameters: Mapping[str, Any], schema: Mapping[str, Any] | None) -> None:
    """Raise ``InvalidInput`` naming a parameter, or a field of the attachments, that the flow does not have.

    Prefect's own message about such a field names other fields.
    """
    taken = schema or {}
    _known_only(parameters, taken)
    name = attachments_parameter(schema)
    if name is not None and isinstance(given := parameters.get(name), Mapping):
        kind = taken["properties"][name]
        reference = kind.get("$ref") or next((part.get("$ref", "") for part in kind.get("allOf", ())), "")
        _known_only(given, taken.get("definitions", {}).get(reference.rpartition("/")[2], kind))


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


def _known_only(given: Mapping[str, Any], schema: Mapping[str, Any]) -> None:
    if schema.get("additionalProperties") is not False:
        return
    known = list(schema.get("properties") or ())
    for key in given:
        if key not in known and not any(
            re.search(each, key) for each in schema.get("patternProperties") or ()
        ):
            raise InvalidInput(unknown_field(key, known), remedy="Write one of the fields of this task type.")


def check(parameters: Mapping[str, Any], schema: Mapping[str, Any] | None) -> None:
    """Raise ``InvalidInput`` naming the field when the deployment's schema does not take the parameters."""
    if not schema:
        return
    check_names(parameters, schema)
    from prefect.utilities.schema_tools.validation import ValidationError, validate

    try:
        validate(dict(parameters), dict(schema), raise_on_error=True)
    except ValidationError as error:
        raise InvalidInput(str(error), remedy=COMPARE) from error
