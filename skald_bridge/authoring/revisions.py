"""Pure parts of hot updates: candidates, and one field given in two spellings."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from pydantic import AliasChoices, AliasPath, BaseModel, ValidationError

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


def ignored_fields(
    model: type[BaseModel], attachments: Mapping[str, Any], given: frozenset[str]
) -> list[str]:
    """Names in ``attachments`` that the model would pass over in silence, without those that were ``given`` before.

    None of a model that takes, or refuses, unknown names itself, or that rewrites what it is given.
    """
    validators = model.__pydantic_decorators__.model_validators.values()
    rewrites = any(each.info.mode in ("before", "wrap") for each in validators)
    if rewrites or model.model_config.get("extra", "ignore") != "ignore":
        return []
    return sorted(attachments.keys() - _accepted(model) - given)


def _accepted(model: type[BaseModel]) -> set[str]:
    """The names under which the model reads its fields."""
    by_name = model.model_config.get("populate_by_name") or model.model_config.get("validate_by_name")
    found: set[str] = set()
    for name, field in model.model_fields.items():
        alias = field.validation_alias
        if alias is None or by_name:
            found.add(name)
        for each in alias.choices if isinstance(alias, AliasChoices) else [alias]:
            if isinstance(each, AliasPath):
                found.add(str(each.path[0]))
            elif each is not None:
                found.add(each)
    return found


def _unchanged(model: type[BaseModel], attachments: dict[str, Any], newest: BaseModel, name: str) -> bool:
    try:
        return bool(getattr(model.model_validate(attachments), name) == getattr(newest, name))
    except ValidationError:
        return False
