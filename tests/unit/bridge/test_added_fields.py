"""Fields that an update adds to what a task has."""

from __future__ import annotations

from typing import Any

import pytest

from skald_bridge.adapters.prefect_deployments import check_added
from skald_bridge.domain.errors import InvalidInput


def schema(**more: Any) -> dict[str, Any]:
    model = {"type": "object", "properties": {"frameRate": {}, "name": {}}, **more}
    return {"properties": {"attachments": {"$ref": "#/definitions/Job"}}, "definitions": {"Job": model}}


@pytest.mark.parametrize(
    ("fields", "kind"),
    [
        ({"frameRate", "name"}, schema()),
        (set(), schema()),
        ({"x"}, schema(additionalProperties=True)),
        ({"frame_rate"}, schema(patternProperties={"^frame_rate$": {}})),
        ({"x"}, {}),
        ({"x"}, None),
        ({"a"}, {"properties": {"a": {"type": "integer"}, "b": {"type": "integer"}}}),
    ],
)
def test_fields_that_a_task_may_get(fields: set[str], kind: dict[str, Any] | None) -> None:
    check_added(fields, kind, "Probe")


@pytest.mark.parametrize(
    "kind",
    [
        schema(),
        schema(additionalProperties=False),
        {"properties": {"name": {"type": "string"}, "b": {"type": "integer"}}},
    ],
)
def test_a_field_that_the_model_would_pass_over_is_named(kind: dict[str, Any]) -> None:
    with pytest.raises(InvalidInput, match="unknown field 'nam', did you mean 'name'"):
        check_added({"nam"}, kind, "Probe")
