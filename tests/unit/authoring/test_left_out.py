"""Runs that are given no attachments: Prefect's own way from a run's parameters to the function."""

from __future__ import annotations

import inspect
from typing import Any
from uuid import uuid4

import pytest
from prefect import Flow
from prefect.exceptions import ParameterTypeError
from prefect.utilities.callables import get_call_parameters, parameter_schema
from pydantic import BaseModel, Field

from skald_bridge.authoring import Attachments, task_type


class Inner(Attachments):
    name: str = "a"


class Whole(Attachments):
    frame_rate: int = 25
    labels: list[str] = Field(default_factory=lambda: ["family"])
    inner: Inner = Inner()
    seed: int | None = None
    mark: str = Field(default_factory=lambda: uuid4().hex)


class Asks(Attachments):
    input: str
    frame_rate: int = 25


class Plain(BaseModel):
    count: int = 3


@task_type
def whole(attachments: Whole) -> Whole:
    return attachments


@task_type
def asks(attachments: Asks) -> Asks:
    return attachments


@task_type
async def plain(settings: Plain) -> Plain:
    return settings


def taken(flow: Flow[..., Any], given: dict[str, Any]) -> Any:
    """What the function gets, as Prefect's engine finds it from a run's parameters."""
    (value,) = flow.validate_parameters(get_call_parameters(flow.fn, (), given)).values()
    return value


def test_a_run_without_attachments_gets_defaults_made_for_it_alone() -> None:
    first, second = taken(whole, {}), taken(whole, {})
    assert isinstance(first, Whole)
    assert (first.frame_rate, first.labels, first.seed) == (25, ["family"], None)
    first.labels.append("changed")
    first.inner.name = "changed"
    third = taken(whole, {})
    assert (second.labels, third.labels, third.inner.name) == (["family"], ["family"], "a")
    assert len({first.mark, second.mark, third.mark}) == 3
    assert taken(plain, {}) == Plain()
    assert first.model_fields_set == taken(whole, {"attachments": {}}).model_fields_set == set()


def test_a_missing_field_fails_in_the_engine_and_is_named() -> None:
    with pytest.raises(ParameterTypeError, match=r"attachments\.input: Field required"):
        taken(asks, {})
    assert taken(asks, {"attachments": {"input": "a.mp4"}}).input == "a.mp4"


@pytest.mark.parametrize("kept", [False, True])
def test_forms_show_the_defaults_and_the_server_asks_for_what_has_none(kept: bool) -> None:
    def schema(flow: Flow[..., Any]) -> dict[str, Any]:
        found = flow.parameters if kept else parameter_schema(flow)
        return found.model_dump_for_openapi()

    found = schema(whole)
    assert "required" not in found or found["required"] == []
    shown = found["properties"]["attachments"]
    assert shown["default"] == {"frameRate": 25, "labels": ["family"], "inner": {"name": "a"}}
    assert "attachments" in schema(asks)["required"]
    assert "default" not in schema(asks)["properties"]["attachments"]


def test_the_function_itself_is_called_as_it_is_written() -> None:
    with pytest.raises(TypeError, match="missing 1 required positional argument: 'attachments'"):
        whole.fn()  # type: ignore[call-arg]
    assert whole.fn.__defaults__ is None
    assert inspect.iscoroutinefunction(plain.fn)


def test_other_options_of_the_flow_keep_it() -> None:
    assert taken(whole.with_options(name="other", retries=2), {}).labels == ["family"]
    with pytest.raises(ParameterTypeError, match="Field required"):
        taken(asks.with_options(retries=0), {})
