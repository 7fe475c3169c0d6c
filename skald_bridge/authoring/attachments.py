"""The base of attachments models: camelCase on the wire, snake_case in Python, both accepted."""

from __future__ import annotations

import re
from typing import Any

from pydantic import BaseModel, ConfigDict, GetJsonSchemaHandler
from pydantic.alias_generators import to_camel
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema, to_jsonable_python

from skald_bridge.domain.task_types import CAN_CHANGE as SCHEMA_KEY

CAN_CHANGE: dict[str, Any] = {SCHEMA_KEY: True}
"""``Field(…, json_schema_extra=CAN_CHANGE)``: running tasks take new values; those of other fields they refuse.

`skald types` shows it; the flow's own code decides.
"""


class Attachments(BaseModel):
    """Parameters of a task: ``fix_frame`` is read as that or as ``fixFrame``, and written as ``fixFrame``.

    Unknown fields are an error that names them. Models nested in it should derive from it as well.
    """

    model_config = ConfigDict(
        alias_generator=to_camel,
        field_title_generator=lambda name, _: name.replace("_", " ").title(),
        populate_by_name=True,
        serialize_by_alias=True,
        extra="forbid",
    )

    @classmethod
    def __get_pydantic_json_schema__(
        cls, core_schema: CoreSchema, handler: GetJsonSchemaHandler
    ) -> JsonSchemaValue:
        schema = handler(core_schema)
        _show_made_defaults(cls, handler.resolve_ref_schema(schema))
        _allow_both_spellings(cls, handler.resolve_ref_schema(schema))
        return schema


def _show_made_defaults(model: type[BaseModel], schema: dict[str, Any]) -> None:
    """Let forms show the lists and models that a ``default_factory`` makes; what differs each time is not shown."""
    for name, field in model.model_fields.items():
        shown = schema.get("properties", {}).get(field.alias or name)
        if shown is None or field.default_factory is None or field.default_factory_takes_validated_data:
            continue
        made, again = (field.get_default(call_default_factory=True) for _ in range(2))
        if made == again and isinstance(made, list | tuple | dict | set | frozenset | BaseModel):
            shown["default"] = to_jsonable_python(made, by_alias=True)


def _allow_both_spellings(model: type[BaseModel], schema: dict[str, Any]) -> None:
    """Let the schema, which Prefect's server checks runs against, accept the snake_case names too.

    Forms read ``properties`` and ``required`` only, so they show each field once, under its camelCase name.
    """
    properties = schema.get("properties", {})
    other = {
        alias: name
        for name, field in model.model_fields.items()
        if (alias := field.alias or name) != name and alias in properties
    }
    if not other:
        return
    schema["patternProperties"] = {
        f"^{re.escape(name)}$": {key: value for key, value in properties[alias].items() if key != "default"}
        for alias, name in other.items()
    }
    required: list[str] = schema.pop("required", [])
    if plain := [alias for alias in required if alias not in other]:
        schema["required"] = plain
    schema.update(_required_in_either([(alias, other[alias]) for alias in required if alias in other]))


def _required_in_either(pairs: list[tuple[str, str]]) -> dict[str, Any]:
    """A chain of conditions: the first field given in neither spelling is reported missing, by alias."""
    chain: dict[str, Any] = {}
    for alias, name in reversed(pairs):
        chain = {
            "if": {"anyOf": [{"required": [alias]}, {"required": [name]}]},
            "then": chain,
            "else": {"required": [alias]},
        }
    return chain
