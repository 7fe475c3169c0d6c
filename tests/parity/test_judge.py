"""The comparison itself: what must not pass does not."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.parity.case import CASES, found, read
from tests.parity.judge import Seen, differences, unexpected


def side(*runs: dict[str, Any]) -> list[Seen]:
    return [Seen(f"run {number}", fields, bool(fields)) for number, fields in enumerate(runs, 1)]


def names(
    stock: list[Seen], node: list[Seen], *, same: tuple[str, ...] = (), differs: tuple[str, ...] = ()
) -> Any:
    made = differences(stock, node, identities=frozenset(same), differs=frozenset(differs))
    return [(each.run, each.name) for each in made]


def test_equal_sides_are_equal() -> None:
    assert names(side({"a": 1}, {"a": 2}), side({"a": 1}, {"a": 2})) == []


def test_a_field_that_only_one_side_has_is_a_difference() -> None:
    assert names(side({"a": 1, "b": None}), side({"a": 1})) == [("run 1", "b")]
    assert names(side({"a": 1}), side({"a": 1, "b": None})) == [("run 1", "b")]


def test_sides_that_saw_nothing_are_not_equal() -> None:
    nothing = [Seen("run 1", {"state": "Failed"})]
    assert names(nothing, nothing) == [("all runs", "what the flows reported")]


def test_of_identities_only_counts_which_runs_share_them() -> None:
    fresh, shared = side({"id": 1}, {"id": 2}, {"id": 1}), side({"id": 7}, {"id": 7}, {"id": 7})
    assert names(fresh, side({"id": 8}, {"id": 9}, {"id": 8}), same=("id",)) == []
    assert names(fresh, shared, same=("id",)) == [("run 2", "id")]


def test_runs_of_the_node_alone_go_on_as_the_stock_side() -> None:
    stock = side({"id": 1, "a": 1}, {"id": 2, "a": 1})
    assert names(stock, side({"id": 5, "a": 1}, {"id": 6, "a": 1}, {"id": 7, "a": 1}), same=("id",)) == []
    again = side({"id": 5, "a": 1}, {"id": 6, "a": 1}, {"id": 6, "a": 2})
    assert names(stock, again, same=("id",)) == [("run 3", "a"), ("run 3", "id")]


def test_a_side_with_fewer_runs_differs() -> None:
    assert names(side({"a": 1}, {"a": 1}), side({"a": 1})) == [("all runs", "how many")]


def test_what_is_said_to_differ_must() -> None:
    assert names(side({"a": 1}), side({"a": 2}), differs=("a",)) == []
    assert names(side({"a": 1}), side({"a": 1}), differs=("a",)) == [("all runs", "a")]


def test_what_is_expected_of_a_node_is_asked_of_every_run() -> None:
    assert unexpected(side({"a": 1}, {"a": 1, "b": 2}), {"a": 1}) == []
    assert [each.run for each in unexpected(side({"a": 1}, {"b": 2}), {"a": 1})] == ["run 2"]
    assert unexpected([Seen("run 1", {"a": 1})], {"a": 1})
    assert unexpected([], {"a": 1})


def test_every_case_can_be_read_and_says_what_it_is_about() -> None:
    cases = found()
    assert len({case.name for case in cases}) == len(cases) > 0
    assert [case.name for case in cases if not case.about] == []


@pytest.mark.parametrize(
    "text",
    [
        "colour = 1",
        "[[steps]]\nrun = 'main'\nsh = 'ls'",
        "[[steps]]\nwrite = 'a'\nvalue = 1",
        "compare = ['all']",
    ],
)
def test_a_case_with_a_mistake_is_refused(tmp_path: Path, text: str) -> None:
    (tmp_path / "case.toml").write_text(text)
    with pytest.raises(ValueError, match=tmp_path.name):
        read(tmp_path)
    assert not tmp_path.is_relative_to(CASES)
