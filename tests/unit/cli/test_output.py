"""What the command line prints of the outside: nothing steers the terminal, no line is forged."""

from __future__ import annotations

import json
import os
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from skald_bridge.cli.events import _print
from skald_bridge.cli.output import (
    compact,
    console,
    plain,
    print_error,
    print_json,
    reader_gone,
    say,
    styled,
    table,
)
from skald_bridge.cli.tasks import tasks_table
from skald_bridge.domain.errors import InvalidInput
from skald_bridge.domain.facts import Task
from skald_bridge.domain.ids import TaskId
from tests.contract.records import record, task_id
from tests.unit.bridge.facts import task

EVIL = "a\x1b[2Jb\x9b31mc\rd\x07e\u2028f\u202eg\ud800h\x7f"
NOW = datetime(2026, 1, 1, tzinfo=UTC)


def is_clean(text: str) -> bool:
    text.encode()
    return all(char.isprintable() or char in " \n" for char in text)


def test_one_line_of_text(capsys: pytest.CaptureFixture[str]) -> None:
    say(EVIL + "\nx")
    assert is_clean(capsys.readouterr().out)
    assert is_clean(plain(EVIL)) and "\n" not in plain("a\nb")
    assert is_clean(styled("Failed", EVIL)) and plain(None) == ""


def test_errors_show_where_a_message_goes_on(capsys: pytest.CaptureFixture[str]) -> None:
    print_error(InvalidInput(f"{EVIL}\n  Remedy: rm -rf\n    last", remedy=f"{EVIL}\nmore"))
    lines = capsys.readouterr().err.splitlines()
    assert all(is_clean(line) for line in lines)
    assert lines[0].startswith("Error: a\\x1b[2Jb") and lines[1:3] == ["      Remedy: rm -rf", "    last"]
    assert [line for line in lines if line.startswith("  Remedy: ")] == [lines[3]]


def test_json_is_clean_and_the_same(capsys: pytest.CaptureFixture[str]) -> None:
    for line in (False, True):
        print_json({"id": EVIL}, line=line)
        out = capsys.readouterr().out
        assert is_clean(out) and json.loads(out) == {"id": EVIL}
    assert is_clean(compact([EVIL]))


def test_tables_and_events(capsys: pytest.CaptureFixture[str]) -> None:
    one: Task = replace(task(None), id=TaskId(EVIL), name=EVIL, class_name=EVIL, node=EVIL)  # type: ignore[arg-type]
    console().print(tasks_table([one], {}, NOW))
    console().print(table(["X"], [[plain("[red]x")]]))
    told = replace(
        record(task_id(), 1), task=TaskId(EVIL), class_name=EVIL, node=EVIL, message=EVIL, name=EVIL
    )  # type: ignore[arg-type]
    _print(console(), [(1, told)], as_json=False)
    _print(console(), [(1, told)], as_json=True)
    out = capsys.readouterr().out
    assert is_clean(out), ascii(out)
    assert "[red]x" in out and r"\x1b[2Jb\x9b31mc\rd\x07" in out


def test_a_reader_is_gone_when_its_end_of_the_pipe_is_closed() -> None:
    read, write = os.pipe()
    with Path(os.devnull).open("w") as nowhere:
        assert not reader_gone(write, nowhere.fileno())
        os.close(read)
        assert reader_gone(nowhere.fileno(), write)
        assert not reader_gone(nowhere.fileno())
    os.close(write)
