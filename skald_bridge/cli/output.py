"""Tables for people, JSON for programs."""

from __future__ import annotations

import json
import os
import select
import sys
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from typing import Any

import typer
from rich.console import Console
from rich.markup import escape

from skald_bridge.cli.tables import Column, FittedTable
from skald_bridge.domain.errors import SkaldError
from skald_bridge.domain.plain_text import visible, visible_json
from skald_bridge.domain.words import size as size

PIPED_WIDTH = 200
_SHORTENED = 20
_STATUS_STYLES = {
    "Created": "cyan",
    "Assigning": "cyan",
    "Running": "bold blue",
    "Paused": "yellow",
    "Finished": "green",
    "Failed": "bold red",
    "Cancelled": "magenta",
    "online": "green",
    "offline": "red",
    "silent": "red",
    "stopped": "dim",
    "ok": "green",
    "warning": "yellow",
    "failed": "bold red",
}


class Output(Console):
    """``unbounded``: tables are as wide as their values."""

    def __init__(self, *, unbounded: bool) -> None:
        super().__init__(width=PIPED_WIDTH if unbounded else None, highlight=False, soft_wrap=False)
        self.unbounded = unbounded

    def on_broken_pipe(self) -> None:
        raise BrokenPipeError


def console() -> Output:
    """Standard output; plain, and with tables of any width, when it is no terminal and COLUMNS is not set."""
    return Output(unbounded=not sys.stdout.isatty() and not os.environ.get("COLUMNS", "").isdigit())


def reader_gone(*streams: int) -> bool:
    """Whether standard output, or one of these descriptors, is a pipe that nobody reads any more."""
    poll = select.poll()
    for stream in streams or (1,):
        poll.register(stream, 0)
    return any(event & select.POLLERR for _, event in poll.poll(0))


def print_json(value: object, *, line: bool = False) -> None:
    """One JSON document, or one line of a stream."""
    typer.echo(json_text(value, indent=None if line else 2))


def say(text: str) -> None:
    """One line to standard output."""
    typer.echo(visible(text))


def print_error(error: SkaldError) -> None:
    """To standard error; further lines of the message are indented more than its remedy."""
    first, *others = error.message.split("\n")
    typer.echo(f"{typer.style('Error:', fg='red', bold=True)} {visible(first)}", err=True)
    for line in others:
        typer.echo(f"    {visible(line.removeprefix('    '))}", err=True)
    if error.remedy:
        typer.echo(f"  Remedy: {visible(error.remedy)}", err=True)


def json_text(value: object, *, indent: int | None = None) -> str:
    """JSON that shows no raw control character."""
    return visible_json(json.dumps(value, ensure_ascii=False, default=str, indent=indent))


def table(columns: Sequence[str | Column], rows: Iterable[Sequence[str]]) -> FittedTable:
    """Cells are plain text, but for ``styled`` ones.

    Of columns that are names alone, the later ones are left out sooner, but never the first two and the last, whose
    values are wrapped.
    """
    last = len(columns) - 1
    made = [
        column
        if isinstance(column, Column)
        else Column(
            column,
            rank=place if 1 < place < last else 0,
            enough=_SHORTENED if place else None,
            wraps=place == last > 0,
        )
        for place, column in enumerate(columns)
    ]
    return FittedTable(made, list(rows))


def plain(value: object) -> str:
    """Text from outside, on one line; neither rich nor the terminal reads anything into it."""
    return escape("" if value is None else visible(str(value)))


def styled(status: str, shown: str | None = None) -> str:
    """A status in its colour."""
    style = _STATUS_STYLES.get(status)
    text = plain(shown or status)
    return f"[{style}]{text}[/]" if style else text


def ago(moment: datetime | None, now: datetime) -> str:
    """How long ago, in one or two units."""
    return f"{span((now - moment).total_seconds())} ago" if moment is not None else ""


def span(seconds: float) -> str:
    """``3.2s``, ``4m10s``, ``2h05m``, ``3d02h``."""
    if seconds < 60:
        return f"{max(0.0, seconds):.1f}s"
    minutes, rest = divmod(int(seconds), 60)
    if minutes < 60:
        return f"{minutes}m{rest:02}s"
    hours, minutes = divmod(minutes, 60)
    if hours < 24:
        return f"{hours}h{minutes:02}m"
    return f"{hours // 24}d{hours % 24:02}h"


def iso(moment: datetime | None) -> str | None:
    return moment.astimezone(UTC).isoformat() if moment is not None else None


def compact(value: Any) -> str:
    """A JSON value on one line."""
    return json_text(value)
