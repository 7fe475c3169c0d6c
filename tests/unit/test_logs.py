"""Log files: rotation by size with several writers, retention, one file per worker, JSON lines."""

from __future__ import annotations

import json
import logging
import os
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from skald_bridge.domain.errors import Unavailable
from skald_bridge.logs import (
    LIBRARIES,
    OURS,
    JsonLines,
    LineFormatter,
    RotatingFile,
    Rotation,
    configure,
    tail,
)

NAMES = (*OURS, *LIBRARIES, "prefect", "")


@pytest.fixture(autouse=True)
def restored() -> Iterator[None]:
    loggers = [logging.getLogger(name) for name in NAMES]
    before = [(logger, logger.handlers[:], logger.level, logger.propagate) for logger in loggers]
    yield
    for logger, handlers, level, propagate in before:
        for handler in set(logger.handlers) - set(handlers):
            handler.close()
        logger.handlers, logger.propagate = handlers, propagate
        logger.setLevel(level)


def test_levels_and_one_file_per_worker(tmp_path: Path) -> None:
    assert configure(level="WARNING", folder=tmp_path) == tmp_path / "skald.log"
    path = configure(level="WARNING", folder=tmp_path, worker_id="cam/1 é")
    assert path is not None
    assert path.parent == tmp_path
    assert path.name.startswith("skald-cam-1-")
    logging.getLogger("skald_bridge.x").info("quiet")
    logging.getLogger("skald_bridge.x").warning("loud")
    logging.getLogger("prefect.y").error("theirs")
    text = path.read_text()
    assert "quiet" not in text
    assert "WARNING skald_bridge.x: loud" in text
    assert "theirs" in text
    assert not (tmp_path / "skald.log").exists()


def test_skalds_further_levels(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    configure(level="TRACE")
    logging.getLogger("skald").log(5, "fine")
    logging.getLogger("skald").log(25, "done")
    err = capsys.readouterr().err
    assert "TRACE" in err
    assert "SUCCESS" in err


def test_json_lines(capsys: pytest.CaptureFixture[str]) -> None:
    configure(json_lines=True)
    try:
        raise ValueError("no camera")
    except ValueError:
        logging.getLogger("skald").exception("failed %s", "twice")
    entry = json.loads(capsys.readouterr().err)
    assert entry["message"] == "failed twice"
    assert (entry["level"], entry["logger"], entry["pid"]) == ("ERROR", "skald", os.getpid())
    assert "no camera" in entry["error"]


FORGED = "x\n2026-01-01 00:00:00,000 ERROR   skald: all is lost"
EVIL = [FORGED, FORGED.replace("\n", "\r"), FORGED.replace("\n", "\x85"), FORGED.replace("\n", "\u2028"),
        "\x1b[2J\x1b[H", "\x9b31m", "\x00\x07\x7f", "\u202egpj"]  # fmt: skip


@pytest.mark.parametrize("text", EVIL)
@pytest.mark.parametrize("as_json", [False, True])
def test_a_record_is_one_line_whatever_is_in_it(
    text: str, as_json: bool, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = configure(folder=tmp_path, json_lines=as_json)
    assert path is not None
    for name in ("skald", "uvicorn.error"):
        logging.getLogger(name).warning("task %s ended", text)
        logging.getLogger(name).warning(f"task {text} ended")
    for lines in (path.read_text().split("\n"), capsys.readouterr().err.split("\n")):
        told = [line for line in lines if "task" in line]
        assert len(told) >= 4 and len([line for line in lines if line]) == len(told)
        for line in told:
            assert len(line.splitlines()) == 1 and line.isprintable(), line
            if as_json:
                assert json.loads(line)["message"] == f"task {text} ended"
            else:
                assert " WARNING " in line and line.endswith(" ended")


@pytest.mark.parametrize("text", EVIL)
def test_no_line_of_a_traceback_looks_like_a_record(
    text: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    configure()
    try:
        raise ValueError(text)
    except ValueError:
        logging.getLogger("skald").exception("failed", stack_info=True)
    first, *others = capsys.readouterr().err.splitlines()
    assert " ERROR   skald: failed" in first
    assert others and all(line.startswith("    ") and line.isprintable() for line in others)
    assert any("ValueError" in line for line in others)


def test_a_remedy_is_on_the_line_of_its_error(capsys: pytest.CaptureFixture[str]) -> None:
    configure()
    error = Unavailable("Kafka is away.", remedy="Start Kafka.")
    logging.getLogger("skald").warning("%s: %s", "relay", error)
    logging.getLogger("skald").warning(error)
    lines = capsys.readouterr().err.splitlines()
    assert lines[0].endswith("skald: relay: Kafka is away. Remedy: Start Kafka.")
    assert lines[1].endswith("skald: Kafka is away. Remedy: Start Kafka.")


def test_a_full_file_is_put_aside_and_other_writers_follow(tmp_path: Path) -> None:
    path = tmp_path / "skald.log"
    rotation = Rotation(megabytes=0.0001, days=1)
    one, two = RotatingFile(path, rotation), RotatingFile(path, rotation)
    for number in range(60):
        record = logging.LogRecord("x", logging.INFO, "", 0, f"line {number}", None, None)
        (one if number % 2 else two).emit(record)
    one.close()
    two.close()
    files = [path, *tmp_path.glob("skald.log.2*")]
    assert len(files) > 2
    lines = sorted(int(line.split()[1]) for file in files for line in file.read_text().splitlines())
    assert lines == list(range(60))


def test_what_was_put_aside_is_deleted_after_its_retention(tmp_path: Path) -> None:
    old = tmp_path / "skald.log.20200101T000000000000"
    old.write_text("old")
    past = time.time() - 4 * 86400
    os.utime(old, (past, past))
    handler = RotatingFile(tmp_path / "skald.log", Rotation(megabytes=0.000001, days=3))
    for _ in range(2):
        handler.emit(logging.LogRecord("x", logging.INFO, "", 0, "new", None, None))
    handler.close()
    assert not old.exists()


def test_tail_of_a_file_and_of_none(tmp_path: Path) -> None:
    path = tmp_path / "log"
    path.write_text("a\n\nb\nc\n")
    assert tail(path, 2) == ["b", "c"]
    assert tail(tmp_path / "none", 2) == []


@pytest.mark.parametrize("made", [LineFormatter(), JsonLines()])
def test_half_a_surrogate_pair_can_be_written(made: logging.Formatter) -> None:
    record = logging.LogRecord("skald", logging.WARNING, __file__, 1, "task %s ended", ("\ud800",), None)
    assert made.format(record).encode()
