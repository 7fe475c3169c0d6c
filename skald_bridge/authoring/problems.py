"""What is wrong with attachments, in one line that names the fields."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, ValidationError

from skald_bridge.domain.suggestions import unknown_field


def describe(error: ValidationError, model: type[BaseModel]) -> str:
    """``fixFrame: Input should be a valid integer (got 'x'); unknown field 'foo', known are: …``."""
    return "; ".join(_line(found, model) for found in error.errors(include_url=False))


def spellings(model: type[BaseModel]) -> list[str]:
    """The names under which the model's fields are written."""
    return [field.alias or name for name, field in model.model_fields.items()]


def _line(found: Any, model: type[BaseModel]) -> str:
    where = ".".join(str(part) for part in found["loc"])
    if found["type"] == "extra_forbidden":
        if len(found["loc"]) > 1:
            return f"unknown field {where!r}"
        return unknown_field(where, spellings(model))
    if found["type"] == "missing":
        return f"{where}: required, but not given"
    got = "" if found["type"] == "value_error" else f" (got {found['input']!r:.80})"
    return f"{where}: {found['msg']}{got}" if where else f"{found['msg']}{got}"
