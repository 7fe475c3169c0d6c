"""What a log tells of a failure."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from skald_bridge.domain.failure import LINES, failure_of
from skald_bridge.domain.log_entries import LogEntry

AT = datetime(2026, 1, 1, 12, tzinfo=UTC)
FRAMES = (
    'Traceback (most recent call last):\n  File "job.py", line 3, in job\n    raise ValueError("a\\nb")\n'
)
RAISED = FRAMES + "ValueError: lens cap\nis on"


def logged(message: str, level: int = 40, name: str = "prefect.flow_runs", seconds: float = 0) -> LogEntry:
    return LogEntry("", AT + timedelta(seconds=seconds), level, name, message)


def printed(text: str) -> list[LogEntry]:
    return [logged(line, 20, "stderr") for line in text.splitlines()]


@pytest.mark.parametrize(
    ("log", "cause", "details"),
    [
        ([logged("Encountered an exception\n" + RAISED), logged("Finished in state Failed()")],
         "ValueError: lens cap", "Encountered an exception\n" + RAISED),
        (printed("loading\n" + RAISED), "ValueError: lens cap", RAISED),
        ([*printed(RAISED), logged("Finished in state Failed()")], "ValueError: lens cap", RAISED),
        ([logged("no such codec")], "no such codec", "no such codec"),
        (printed("one\ntwo"), "two", "one\ntwo"),
        ([logged("The process exited with code 1", name="skald.node"), *printed("bad\n")], "bad", "bad"),
        (printed(FRAMES + "During handling of the above:\n" + FRAMES + "KeyError: 'x'"), "KeyError: 'x'",
         FRAMES + "KeyError: 'x'"),
        (printed("Traceback (most recent call last):"), "Traceback (most recent call last):", None),
    ],
)  # fmt: skip
def test_the_last_thing_that_went_wrong(log: list[LogEntry], cause: str, details: str | None) -> None:
    found = failure_of(log)
    assert found is not None
    assert found.cause == cause
    assert details is None or found.details == details


def test_nothing_told_is_no_failure() -> None:
    assert failure_of([]) is None
    assert failure_of([logged("fine", 20), logged("crashed", name="skald.node"), *printed(" ")]) is None


def test_earlier_attempts_do_not_count() -> None:
    log = [logged("old", seconds=-60), logged("new", seconds=1)]
    found = failure_of(log, AT)
    assert found is not None and found.cause == "new"
    assert failure_of(log[:1], AT) is None


def test_long_details_keep_their_end() -> None:
    found = failure_of([logged("\n".join(str(n) for n in range(500)))])
    assert found is not None
    assert len(found.details.splitlines()) == LINES
    assert found.cause == "499"
