from __future__ import annotations

import inspect
from typing import Any

import pytest
from prefect import Flow
from pydantic import BaseModel

from skald_bridge.authoring import Attachments, Needs, task_type
from skald_work_pools.task_type import TaskType, declared


class Settings(Attachments):
    frame_rate: int = 25


class Plain(BaseModel):
    frames: int = 1


def test_a_function_becomes_a_flow_that_declares_its_needs() -> None:
    @task_type(
        name="encode",
        needs=Needs(cpus=2, gpus=1),
        retries=3,
        retry_delay_seconds=5,
        persistent=True,
        log_prints=True,
    )
    def encode_it(attachments: Settings) -> int:
        """Encodes."""
        return attachments.frame_rate

    assert isinstance(encode_it, Flow)
    assert (encode_it.name, encode_it.retries, encode_it.retry_delay_seconds) == ("encode", 3, 5)
    assert encode_it.description == "Encodes."
    assert encode_it.log_prints is True
    said = TaskType("encode", Needs(cpus=2, gpus=1), "attachments", persistent=True)
    assert declared(encode_it) == said
    assert declared(encode_it.with_options(retries=0, name="other")) == said
    assert encode_it.fn(Settings(frame_rate=5)) == 5


def test_name_and_needs_have_defaults() -> None:
    @task_type()
    def encode_it(settings: Settings) -> None: ...

    assert encode_it.name == "encode_it"
    assert declared(encode_it) == TaskType("encode_it", Needs(), "settings")


def test_the_decorator_needs_no_parentheses() -> None:
    @task_type
    def encode_it(settings: Settings) -> int:
        return settings.frame_rate

    assert isinstance(encode_it, Flow)
    assert declared(encode_it) == TaskType("encode_it", Needs(), "settings")
    assert encode_it.fn(Settings(frame_rate=3)) == 3


async def test_an_async_function_stays_async() -> None:
    @task_type(name="waits")
    async def waits(attachments: Settings) -> int:
        return attachments.frame_rate

    assert waits.isasync
    assert inspect.iscoroutinefunction(waits.fn)
    assert await waits.fn(Settings()) == 25


def test_any_pydantic_model_will_do() -> None:
    @task_type(name="plain")
    def plain(attachments: Plain) -> int:
        return attachments.frames

    assert plain.validate_parameters({"attachments": {"frames": "3"}})["attachments"].frames == 3


def none() -> None: ...
def two(a: Settings, b: Settings) -> None: ...
def untyped(a) -> None: ...  # type: ignore[no-untyped-def]
def not_a_model(a: int) -> None: ...
def stars(*a: Settings) -> None: ...
def unknown(a: Nowhere) -> None: ...  # type: ignore[name-defined]  # noqa: F821


@pytest.mark.parametrize(
    ("function", "said"),
    [
        (none, "task type none must have exactly one parameter, its attachments model; it has none"),
        (two, "it has a, b"),
        (untyped, "parameter a has no type"),
        (not_a_model, "not a pydantic model"),
        (stars, "without stars"),
        (unknown, "'Nowhere' of parameter a is unknown in the function's module"),
    ],
)
def test_wrong_parameters_are_refused_at_decoration(function: Any, said: str) -> None:
    with pytest.raises(TypeError, match=said):
        task_type(name="wrong")(function)


def test_an_unknown_option_is_refused_at_decoration() -> None:
    with pytest.raises(TypeError, match="colour"):
        task_type(name="wrong", colour="red")(none_but_one)  # type: ignore[call-arg]


def none_but_one(attachments: Settings) -> None: ...


def test_how_tasks_start_is_declared_and_checked() -> None:
    @task_type(start="imported")
    def first(attachments: Settings) -> None: ...

    found = declared(first)
    assert found is not None and found.start == "imported"
    with pytest.raises(ValueError, match="start is 'warm'; write one of forked, imported, late, cold"):
        task_type(start="warm")
