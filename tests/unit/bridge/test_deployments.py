from __future__ import annotations

import pytest
from prefect import flow
from prefect.utilities.callables import parameter_schema

from skald_bridge.adapters.prefect_deployments import check_names, place_of, queue_name
from skald_bridge.authoring import Attachments
from skald_bridge.domain.errors import InvalidInput


class Cut(Attachments):
    input: str
    segment_seconds: float = 10


@flow
def cut(attachments: Cut) -> None: ...


@flow
def plain(speed: int, **more: int) -> None: ...


SCHEMA = parameter_schema(cut.fn).model_dump()


@pytest.mark.parametrize("name", ["segmentSeconds", "segment_seconds"])
def test_both_spellings_of_a_field_are_known(name: str) -> None:
    check_names({"attachments": {"input": "a.mp4", name: 3}}, SCHEMA)


def test_an_unknown_field_is_named_with_the_one_that_was_meant() -> None:
    with pytest.raises(InvalidInput, match="unknown field 'segmentSecond', did you mean 'segmentSeconds'"):
        check_names({"attachments": {"segmentSecond": 3}}, SCHEMA)
    with pytest.raises(InvalidInput, match="unknown field 'source', known are: input, segmentSeconds"):
        check_names({"attachments": {"source": "a.mp4"}}, SCHEMA)


def test_a_flow_that_takes_anything_is_left_to_judge_itself() -> None:
    check_names({"speed": 1, "colour": 2}, parameter_schema(plain.fn).model_dump())
    check_names({"anything": 1}, None)


def test_the_queue_of_a_priority_stands_before_all_but_those_of_higher_ones() -> None:
    order: list[str] = ["default", "gpu", "priority-high"]
    for priority in (3, 10, 1, 7, 9):
        order.insert(place_of(priority, order) - 1, queue_name(priority))
    assert order == [*(queue_name(n) for n in (10, 9, 7, 3, 1)), "default", "gpu", "priority-high"]
