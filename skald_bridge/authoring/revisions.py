"""Pure parts of hot updates: candidates, and one field given in two spellings."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from pydantic import BaseModel, ValidationError

from skald_work_pools.messages import Update

T = TypeVar("T", bound=BaseModel)


@dataclass(frozen=True)
class Candidate(Generic[T]):
    """An update with its validated value."""

    update: Update
    value: T


def pick_spelling(
    model: type[BaseModel], attachments: Mapping[str, Any], newest: BaseModel
) -> dict[str, Any]:
    """``attachments`` with every field spelled once.

    A field can arrive as ``fixFrame`` (stored) and ``fix_frame`` (the change); the one that differs from the
    newest value is meant, and pydantic alone would take the stored one.
    """
    chosen = dict(attachments)
    for name, field in model.model_fields.items():
        alias = field.alias or name
        if alias != name and alias in chosen and name in chosen:
            without = {key: value for key, value in chosen.items() if key != name}
            chosen.pop(alias if _unchanged(model, without, newest, name) else name)
    return chosen


def _unchanged(model: type[BaseModel], attachments: dict[str, Any], newest: BaseModel, name: str) -> bool:
    try:
        return bool(getattr(model.model_validate(attachments), name) == getattr(newest, name))
    except ValidationError:
        return False
