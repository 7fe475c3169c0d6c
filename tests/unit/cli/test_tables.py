"""Tables at any width: columns go first, then words, and no word is broken."""

from __future__ import annotations

import io
from dataclasses import replace
from datetime import UTC, datetime
from itertools import pairwise

import pytest
from rich.cells import cell_len
from rich.console import Console
from rich.text import Text

from skald_bridge.cli.output import table
from skald_bridge.cli.tables import Column, FittedTable, fit, shorten
from skald_bridge.cli.tasks import COLUMNS, tasks_table
from skald_bridge.domain.facts import Progress
from tests.unit.bridge.facts import task

NOW = datetime(2026, 1, 1, tzinfo=UTC)


def printed(shown: FittedTable, width: int) -> list[str]:
    out = io.StringIO()
    Console(file=out, width=width, color_system=None).print(shown)
    return out.getvalue().splitlines()


@pytest.fixture
def listed() -> FittedTable:
    one = replace(task(None), name="scarlet-otter", class_name="transcode", node="gpu-machine-17")  # type: ignore[arg-type]
    other = replace(one, name="short", class_name="analyze")
    return tasks_table([one, other], {one.id: Progress(0.25, "12 of 48 parts encoded on all nodes")}, NOW)


@pytest.mark.parametrize("width", [10, 20, 40, 60, 80, 120, 200])
def test_no_line_is_wider_and_each_task_is_one_line(listed: FittedTable, width: int) -> None:
    lines = printed(listed, width)
    assert len(lines) == 3
    assert all(cell_len(line) <= width for line in lines), lines


def test_the_narrower_the_fewer_columns_and_the_id_stays_whole(listed: FittedTable) -> None:
    heads = [set(printed(listed, width)[0].split()) for width in (200, 120, 80, 60, 40)]
    assert heads[0] == {column.name for column in COLUMNS}
    assert all(narrow <= wide for wide, narrow in pairwise(heads))
    assert len(heads[-1]) < len(heads[0]) and {"ID", "STATE"} <= heads[-1]
    whole = printed(listed, 200)[1].split()[0]
    assert all(printed(listed, width)[1].split()[0] == whole for width in (40, 60, 80, 120))


@pytest.mark.parametrize("width", [40, 60, 80, 120])
def test_words_are_whole(listed: FittedTable, width: int) -> None:
    known = set(" ".join(printed(listed, 300)).split())
    for word in " ".join(printed(listed, width)).split():
        assert word.removesuffix("…") in known, word


def test_columns_go_by_rank_and_only_then_values_are_shortened() -> None:
    columns = [Column("A"), Column("B", rank=2, enough=5), Column("C", rank=1, enough=5)]
    assert fit(columns, [4, 10, 10], 30) == [(0, 4), (1, 10), (2, 10)]
    assert fit(columns, [4, 10, 10], 20) == [(0, 4), (1, 6), (2, 6)]
    assert fit(columns, [4, 10, 10], 17) == [(0, 4), (2, 10)]
    assert fit(columns, [4, 10, 10], 12) == [(0, 4), (2, 6)]
    assert fit(columns, [4, 10, 10], 8) == [(0, 4)]
    assert fit(columns, [4, 10, 10], 2) == [(0, 2)]


@pytest.mark.parametrize(
    ("text", "width", "expected"),
    [
        ("fits", 4, "fits"),
        ("two words", 8, "two…"),
        ("12 of 48 parts", 9, "12 of 48…"),
        ("unbreakable", 5, "unbr…"),
        ("日本語の字", 5, "日本…"),
        ("a", 1, "a"),
        ("ab", 1, "…"),
    ],
)
def test_values_end_between_words(text: str, width: int, expected: str) -> None:
    assert shorten(Text(text), width).plain == expected


def test_a_message_goes_on_in_the_next_line_between_words() -> None:
    shown = table(["CHECK", "FOUND"], [["disk", "there is hardly any room left on it"]])
    lines = printed(shown, 24)
    assert [line.split() for line in lines[1:]] == [
        ["disk", "there", "is", "hardly"],
        ["any", "room", "left", "on"],
        ["it"],
    ]
