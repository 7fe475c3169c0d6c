"""Which names a model would pass over in silence."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import AliasChoices, AliasPath, BaseModel, ConfigDict, Field, model_validator

from skald_bridge.authoring import Attachments
from skald_bridge.authoring.live import Live
from skald_bridge.authoring.revisions import ignored_fields
from skald_work_pools.messages import Update, UpdateApplied, UpdateRejected


class Plain(BaseModel):
    frame_rate: int = Field(1, alias="frameRate")
    name: str = ""


class Both(Plain):
    model_config = ConfigDict(populate_by_name=True)


class Choices(BaseModel):
    rate: int = Field(1, validation_alias=AliasChoices("fps", AliasPath("rates", 0)))


class Open(BaseModel):
    model_config = ConfigDict(extra="allow")


class Rewritten(BaseModel):
    @model_validator(mode="before")
    @classmethod
    def rename(cls, data: Any) -> Any:
        return data


class Ours(Attachments):
    name: str = ""


@pytest.mark.parametrize(
    ("model", "names", "ignored"),
    [
        (Plain, {"frameRate", "name"}, []),
        (Plain, {"frame_rate", "nam"}, ["frame_rate", "nam"]),
        (Both, {"frame_rate", "frameRate", "x"}, ["x"]),
        (Choices, {"fps", "rates", "rate"}, ["rate"]),
        (Open, {"x"}, []),
        (Rewritten, {"x"}, []),
        (Ours, {"x"}, []),
    ],
)
def test_names_that_a_model_passes_over(model: type[BaseModel], names: set[str], ignored: list[str]) -> None:
    assert ignored_fields(model, dict.fromkeys(names, 1), frozenset()) == ignored
    assert ignored_fields(model, dict.fromkeys(names, 1), frozenset(names)) == []


@pytest.mark.parametrize("given", [frozenset({"comment"}), None])
def test_what_the_task_was_made_with_is_no_mistake(given: frozenset[str] | None) -> None:
    answers: list[Any] = []
    live = Live(Plain(), answer=answers.append, given=given)
    live.offer(Update("u", 2, {"comment": "of a client", "name": "b"}))
    assert live.value.name == "b"
    assert isinstance(answers[0], UpdateApplied)


def test_a_name_that_came_later_is_named() -> None:
    answers: list[Any] = []
    Live(Plain(), answer=answers.append).offer(Update("u", 2, {"nam": "b"}))
    assert answers == [UpdateRejected("u", 2, "unknown field 'nam', did you mean 'name'?")]
