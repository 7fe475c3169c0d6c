"""The file that probes look at."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from skald_bridge.domain.errors import InvalidInput
from skald_bridge.modes import alive
from tests.services.poll import until


def test_it_is_there_touched_and_gone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(alive, "PERIOD", 0.01)
    file = tmp_path / "alive"
    with alive.alive_file(file):
        assert file.read_text() == f"{os.getpid()}\n"
        os.utime(file, (0, 0))
        until(lambda: file.stat().st_mtime > 0, 10, "the file touched")
    assert not file.exists()
    with alive.alive_file(None):
        pass


def test_one_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    with (
        pytest.raises(InvalidInput, match="alive cannot be written") as refused,
        alive.alive_file(tmp_path / "none" / "alive"),
    ):
        pass
    assert "SKALD_ALIVE_FILE" in (refused.value.remedy or "")
