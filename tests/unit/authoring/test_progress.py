from __future__ import annotations

import logging

import pytest

from skald_bridge.authoring import progress
from skald_bridge.authoring.progress import Report, report


@pytest.mark.parametrize(
    ("done", "total", "message", "expected"),
    [
        (30, 120, "frames", Report(25, "30 of 120: frames")),
        (0.5, 1, "", Report(50, "0.5 of 1")),
        (7, None, "segments", Report(0, "7: segments")),
        (0, 0, "nothing to do", Report(0, "0: nothing to do")),
        (130, 120, "frames", Report(100, "130 of 120: frames")),
        (-1, 120, "frames", Report(0, "-1 of 120: frames")),
    ],
)
def test_what_is_shown(done: float, total: float | None, message: str, expected: Report) -> None:
    assert report(done, total, message) == expected


def test_outside_a_run_it_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO, "skald.progress"):
        progress(1, 2, "halves")
    assert caplog.messages == ["1 of 2: halves"]
