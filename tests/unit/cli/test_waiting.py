"""What is told while somebody waits."""

from __future__ import annotations

import pytest

from skald_bridge.cli.waiting import changed


@pytest.mark.parametrize(
    ("last", "found", "expected"),
    [
        ([], ["It waits for room."], True),
        (["It waits for room."], ["It waits for room."], False),
        (["It waits for room."], ["It waits for room.", "node n1: needs 9 gpus, has none"], True),
        (["It is to start at 12:00, in 90 s."], ["It is to start at 12:00, in 88 s."], False),
        (["It is to start at 12:00, in 90 s."], ["It is to start at 12:01, in 88 s."], True),
        (["It waits for room."], [], True),
    ],
)
def test_only_what_is_new_is_told_again(last: list[str], found: list[str], expected: bool) -> None:
    assert changed(last, found) is expected
