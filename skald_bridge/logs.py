"""Logs: levels, rotation by size, retention by age; one file per worker and JSON lines where asked."""

from __future__ import annotations

import contextlib
import fcntl
import json
import logging
import os
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from skald_bridge.domain.errors import SkaldError
from skald_bridge.domain.plain_text import visible, visible_json

LEVELS = {
    "TRACE": 5,
    "DEBUG": logging.DEBUG,
    "INFO": logging.INFO,
    "SUCCESS": 25,
    "WARNING": logging.WARNING,
    "ERROR": logging.ERROR,
    "CRITICAL": logging.CRITICAL,
}
"""Skalds' level names; TRACE and SUCCESS are finer than the standard library's."""

OURS = ("skald", "skald_bridge", "skald_work_pools", "skald_blocks")
LIBRARIES = ("uvicorn", "asyncio")
"""Told from WARNING on; their lines look like ours."""
_FORMAT = "%(asctime)s %(levelname)-7s %(name)s: %(message)s"
_DAY = 86400.0


@dataclass(frozen=True)
class Rotation:
    """A file is put aside at ``megabytes``; files put aside are deleted after ``days``."""

    megabytes: float = 10
    days: float = 3

    @property
    def size(self) -> int:
        return int(self.megabytes * 1_000_000)


class LineFormatter(logging.Formatter):
    """One line a record, whatever is in it; a traceback follows indented, so none of it looks like a record."""

    def __init__(self) -> None:
        super().__init__(_FORMAT)

    def format(self, record: logging.LogRecord) -> str:
        record.message = _message(record)
        record.asctime = self.formatTime(record)
        lines = [visible(self.formatMessage(record))]
        if record.exc_info:
            lines += _indented(self.formatException(record.exc_info))
        if record.stack_info:
            lines += _indented(self.formatStack(record.stack_info))
        return "\n".join(lines)


class JsonLines(logging.Formatter):
    """One JSON object a line: at (ISO 8601, UTC), level, logger, message, pid and, if any, error."""

    def format(self, record: logging.LogRecord) -> str:
        entry = {
            "at": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname,
            "logger": record.name,
            "message": _message(record),
            "pid": record.process,
        }
        if record.exc_info:
            entry["error"] = self.formatException(record.exc_info)
        return visible_json(json.dumps(entry, ensure_ascii=False))


class RotatingFile(logging.FileHandler):
    """A log file that several processes may write, and any of them may put aside."""

    def __init__(self, path: Path, rotation: Rotation) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        super().__init__(path, encoding="utf-8", delay=True)
        self._path = path
        self._rotation = rotation

    def emit(self, record: logging.LogRecord) -> None:
        self._follow()
        super().emit(record)

    def _follow(self) -> None:
        """Reopen the file when it was put aside; put it aside when it is full."""
        if self.stream is None:
            return
        mine = os.fstat(self.stream.fileno())
        with contextlib.suppress(OSError):
            if mine.st_size >= self._rotation.size:
                with _locked(self._path):
                    if self._path.exists() and self._path.stat().st_ino == mine.st_ino:
                        self._path.rename(_aside(self._path, time.time()))
                    _expire(self._path, self._rotation, time.time())
        if not self._path.exists() or self._path.stat().st_ino != mine.st_ino:
            self.stream.close()
            self.stream = self._open()


def configure(
    *,
    level: str = "INFO",
    folder: Path | None = None,
    rotation: Rotation | None = None,
    worker_id: str | None = None,
    json_lines: bool = False,
) -> Path | None:
    """Log to stderr and, where ``folder`` is given, to skald.log in it, or to skald-WORKER_ID.log.

    Returns the file. What Prefect logs in this process goes to the file too.
    """
    for name in ("TRACE", "SUCCESS"):
        logging.addLevelName(LEVELS[name], name)
    formatter = JsonLines() if json_lines else LineFormatter()
    console = logging.StreamHandler(sys.stderr)
    console.setFormatter(formatter)
    for name in OURS:
        logger = logging.getLogger(name)
        logger.setLevel(LEVELS[level])
        logger.handlers = [console]
        logger.propagate = False
    for name in LIBRARIES:
        logger = logging.getLogger(name)
        logger.setLevel(max(LEVELS[level], logging.WARNING))
        logger.handlers = [console]
        logger.propagate = False
    if folder is None:
        return None
    path = folder / ("skald.log" if worker_id is None else f"skald-{_file_name(worker_id)}.log")
    to_file = RotatingFile(path, rotation or Rotation())
    to_file.setFormatter(formatter)
    for name in (*OURS, *LIBRARIES, "prefect", ""):
        logger = logging.getLogger(name)
        logger.handlers = [h for h in logger.handlers if not isinstance(h, RotatingFile)]
        logger.addHandler(to_file)
    return path


def rotate(path: Path, rotation: Rotation, now: float) -> None:
    """Put a file aside that another process holds open for appending: a copy is made, the file is emptied."""
    with contextlib.suppress(FileNotFoundError):
        if path.stat().st_size >= rotation.size:
            with path.open("r+b") as source, _aside(path, now).open("wb") as copy:
                while block := source.read(1 << 20):
                    copy.write(block)
                source.truncate(0)
        _expire(path, rotation, now)


def tail(path: Path, count: int) -> list[str]:
    """The last ``count`` lines that hold something."""
    try:
        with path.open("rb") as file:
            file.seek(max(0, path.stat().st_size - 65536))
            lines = file.read().decode(errors="replace").splitlines()
    except OSError:
        return []
    return [line.rstrip() for line in lines if line.strip()][-count:]


def _message(record: logging.LogRecord) -> str:
    """With an error's remedy on the same line."""
    args = record.args
    if isinstance(args, tuple):
        args = tuple(_one_line(each) if isinstance(each, SkaldError) else each for each in args)
    text = _one_line(record.msg) if isinstance(record.msg, SkaldError) else str(record.msg)
    return text % args if args else text


def _one_line(error: SkaldError) -> str:
    return f"{error.message.rstrip('.')}. Remedy: {error.remedy}" if error.remedy else error.message


def _indented(text: str) -> list[str]:
    return [f"    {visible(line)}" for line in text.splitlines()]


def _aside(path: Path, now: float) -> Path:
    return path.with_name(f"{path.name}.{datetime.fromtimestamp(now, UTC):%Y%m%dT%H%M%S%f}")


def _expire(path: Path, rotation: Rotation, now: float) -> None:
    for old in path.parent.glob(f"{path.name}.2*"):
        with contextlib.suppress(OSError):
            if now - old.stat().st_mtime > rotation.days * _DAY:
                old.unlink()


def _file_name(text: str) -> str:
    return "".join(c if c.isalnum() or c in "-_." else "-" for c in text)


@contextlib.contextmanager
def _locked(path: Path) -> Iterator[None]:
    with path.with_name(f".{path.name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
