"""A sound schema is checked once by the embedded server; an unsound one is refused each time."""

from __future__ import annotations

from typing import Any

import pytest
from prefect.utilities.schema_tools import validation

from skald_bridge.installation import embedded_schemas


def test_prefect_checks_with_the_class_that_is_changed(monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[Any] = []

    check = validation._VALIDATOR.check_schema

    def counting(_cls: Any, schema: Any, *args: Any, **options: Any) -> None:
        calls.append(schema)
        check(schema, *args, **options)

    monkeypatch.setattr(validation._VALIDATOR, "check_schema", classmethod(counting))
    embedded_schemas.install()
    sound = {"type": "object", "properties": {"a": {"type": "integer"}}}
    for value in (1, 2, 3):
        validation.is_valid_schema(sound)
        validation.validate({"a": value}, sound, raise_on_error=True)
    once = len(calls)
    assert once < 3
    with pytest.raises(validation.ValidationError):
        validation.validate({"a": "text"}, sound, raise_on_error=True)
    for _ in range(2):
        with pytest.raises(ValueError, match="Invalid schema"):
            validation.is_valid_schema({"type": "nonsense"})
    assert len(calls) == once + 2


def test_the_oldest_is_forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[Any] = []

    class Checks:
        @classmethod
        def check_schema(cls, schema: Any) -> None:
            calls.append(schema)

    monkeypatch.setattr(embedded_schemas, "REMEMBERED", 2)
    embedded_schemas.install(Checks)
    for name in ("a", "b", "a", "c", "a", "b"):
        Checks.check_schema({"title": name})
    assert [schema["title"] for schema in calls] == ["a", "b", "c", "b"]
