"""The supervisor with real processes: what is told of a part that waits, or does not stay up."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from skald_bridge.domain.errors import Unavailable
from skald_bridge.installation.restarts import RestartPolicy
from skald_bridge.installation.supervisor import Part, PartChange, Supervisor

HASTY = RestartPolicy(first=0.01, unready=3)
FULL_DISK = "import sys; print('sqlite3.OperationalError: database or disk is full'); sys.exit(1)"


def part(code: str, **more: object) -> Part:
    return Part("server", [sys.executable, "-c", code], ready=lambda: False, **more)  # type: ignore[arg-type]


def test_futile_starts_end_with_cause_log_and_remedy(tmp_path: Path) -> None:
    told: list[PartChange] = []
    with (
        pytest.raises(Unavailable) as caught,
        Supervisor([part(FULL_DISK)], tmp_path, tell=told.append, policy=HASTY),
    ):
        pass
    log = str(tmp_path / "server.log")
    assert "ended 3 times" in caught.value.message and "its disk is full" in caught.value.message
    assert log in caught.value.message and log in str(caught.value.remedy)
    ends = [change.detail for change in told if change.what == "ended"]
    assert ends == ["ended with exit code 1: its disk is full"] * 3
    assert all(log in change.detail for change in told if change.what == "restarting")


def test_an_exit_code_that_says_so_is_final(tmp_path: Path) -> None:
    code = "import sys; print('Error: The work pool w has the type process.', file=sys.stderr); sys.exit(5)"
    with (
        pytest.raises(
            Unavailable, match="ended once; the last time it ended with exit code 5: Error: The work pool w"
        ),
        Supervisor([part(code, final=frozenset({5}))], tmp_path, policy=HASTY),
    ):
        pass


def test_who_waits_is_told_what_for(tmp_path: Path) -> None:
    told: list[PartChange] = []
    slow = part("import time; time.sleep(60)", ready_within=3.0, waits_for="its API does not answer yet")
    with (
        pytest.raises(Unavailable),
        Supervisor([slow], tmp_path, tell=told.append, policy=RestartPolicy(first=0.01, unready=1)),
    ):
        pass
    assert [change.what for change in told] == ["started", "waiting", "ended"]
    assert told[1].detail == f"its API does not answer yet; log: {tmp_path / 'server.log'}"


def test_a_folder_for_logs_that_cannot_be_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(Unavailable, match="cannot be written"):
        Supervisor([part("")], tmp_path / "file" / "logs")
