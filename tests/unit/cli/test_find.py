"""Which task a person means."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from skald_bridge.cli.find import matching, meant
from skald_bridge.domain.errors import InvalidInput, NotFound
from skald_bridge.domain.facts import Task
from skald_bridge.domain.ids import TaskId, short

BORN = datetime(2026, 1, 1, tzinfo=UTC)
FIRST = "01a220cc-7d3b-7000-8a10-5f21c3d4e5f6"
SECOND = "01a220cc-7d3b-7001-9b20-0c9d8e7f6a5b"


def task(id_: str, name: str, age: int = 0, entry: str | None = None) -> Task:
    labels = {} if entry is None else {"skald.task-id": entry}
    return Task(TaskId(id_), name, "X", None, BORN - timedelta(hours=age), labels=labels)


TASKS = [task(FIRST, "quick-fox"), task(SECOND, "01a2"), task("job 7", "named")]


@pytest.mark.parametrize(
    ("text", "names"),
    [
        (FIRST[:22], ["quick-fox"]),
        ("c3d4e5f6", ["quick-fox"]),
        ("C3D4E5F6", ["quick-fox"]),
        ("e5f6", ["quick-fox"]),
        ("6", ["quick-fox"]),
        ("quick-fox", ["quick-fox"]),
        ("01a2", ["01a2"]),
        ("01a220cc", ["quick-fox", "01a2"]),
        ("job 7", ["named"]),
        ("fox", []),
        ("", []),
    ],
)
def test_a_name_or_else_the_beginning_or_the_end_of_an_id(text: str, names: list[str]) -> None:
    assert [found.name for found in matching(TASKS, text)] == names


def test_what_tables_show_tells_ids_of_one_moment_apart() -> None:
    assert [short(TaskId(each)) for each in (FIRST, SECOND, "job 7")] == ["c3d4e5f6", "8e7f6a5b", "job 7"]
    assert meant(TASKS, short(TaskId(FIRST))).id == FIRST


def test_several_are_named_by_ids_that_tell_them_apart() -> None:
    with pytest.raises(InvalidInput, match=r"means 2 tasks: c3d4e5f6 \(quick-fox\), 8e7f6a5b") as raised:
        meant(TASKS, "01a220cc")
    assert raised.value.remedy == "Write one of these ids."
    with pytest.raises(NotFound, match="begins or ends with"):
        meant(TASKS, "zzz")


def test_the_name_of_an_entry_means_its_newest_life() -> None:
    lives = [task(FIRST, "camera", 2, "camera"), task(SECOND, "camera", 1, "camera")]
    assert meant(lives, "camera").id == SECOND
    with pytest.raises(InvalidInput, match="means 3 tasks"):
        meant([*lives, task("other", "camera")], "camera")
