"""Attachments from words and files; states in any words."""

from __future__ import annotations

from pathlib import Path

import pytest

from skald_bridge.cli.output import size, span, styled
from skald_bridge.cli.states import state_filter
from skald_bridge.cli.values import attachments
from skald_bridge.domain.errors import InvalidInput


def test_values_are_json_else_text(tmp_path: Path) -> None:
    words = [
        "fps=30",
        "rate=1.5",
        "on=true",
        'names=["a","b"]',
        "url=rtsp://h/1?a=b",
        "none=null",
        'text="30"',
        "e=",
    ]
    assert attachments(words, None) == {
        "fps": 30,
        "rate": 1.5,
        "on": True,
        "names": ["a", "b"],
        "url": "rtsp://h/1?a=b",
        "none": None,
        "text": "30",
        "e": "",
    }


def test_words_win_over_the_file(tmp_path: Path) -> None:
    file = tmp_path / "a.json"
    file.write_text('{"fps": 1, "url": "x"}')
    assert attachments(["fps=2"], file) == {"fps": 2, "url": "x"}


@pytest.mark.parametrize("words", [["fps"], ["=3"], ["a=1", "a=2"]])
def test_words_that_say_nothing_or_too_much(words: list[str]) -> None:
    with pytest.raises(InvalidInput):
        attachments(words, None)


@pytest.mark.parametrize("text", ["[1]", "{", "3"])
def test_files_that_hold_no_object(tmp_path: Path, text: str) -> None:
    file = tmp_path / "a.json"
    file.write_text(text)
    with pytest.raises(InvalidInput, match="--file"):
        attachments([], file)


def test_states_in_skalds_words_in_prefects_and_by_name() -> None:
    assert state_filter(["Created"]) == ["SCHEDULED"]
    assert state_filter(["failed"]) == ["FAILED"]
    assert state_filter(["running,FINISHED"]) == ["RUNNING", "COMPLETED"] or state_filter(
        ["running,FINISHED"]
    ) == ["RUNNING", "CANCELLING", "COMPLETED"]
    assert state_filter(["awaitingretry", "Late"]) == ["AwaitingRetry", "Late"]
    assert state_filter([]) == []


@pytest.mark.parametrize("words", [["asleep"], ["Running", "Late"]])
def test_states_that_are_none_or_mixed(words: list[str]) -> None:
    with pytest.raises(InvalidInput, match="--state"):
        state_filter(words)


def test_spans_sizes_and_colours() -> None:
    assert [span(s) for s in (0, 3.21, 250, 7500, 266400)] == ["0.0s", "3.2s", "4m10s", "2h05m", "3d02h"]
    assert [size(n) for n in (12, 24_000_000_000, 3e15)] == ["12 B", "24.0 GB", "3000.0 TB"]
    assert styled("Failed") == "[bold red]Failed[/]"
    assert styled("else", "[x]") == r"\[x]"
