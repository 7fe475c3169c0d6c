"""Tables for people, JSON for programs."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from typing import Any

import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from skald_bridge.domain.errors import SkaldError
from skald_bridge.domain.plain_text import visible, visible_json

PIPED_WIDTH = 200
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
    "ok": "green",
    "warning": "yellow",
    "failed": "bold red",
}


def console() -> Console:
    """Standard output; plain and wide when it is no terminal."""
    tty = sys.stdout.isatty()
    return Console(width=None if tty else PIPED_WIDTH, highlight=False, soft_wrap=False)


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


def table(columns: Sequence[str], rows: Iterable[Sequence[str]]) -> Table:
    """Cells are plain text, but for ``styled`` ones."""
    made = Table(box=None, header_style="bold", pad_edge=False, padding=(0, 2, 0, 0))
    for number, column in enumerate(columns):
        made.add_column(column, no_wrap=number == 0, overflow="fold")
    for row in rows:
        made.add_row(*row)
    return made


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


def size(count: float) -> str:
    """Bytes as people write them: ``24.0 GB``."""
    for unit in ("B", "kB", "MB", "GB"):
        if abs(count) < 1000:
            return f"{count:.0f} {unit}" if unit == "B" else f"{count:.1f} {unit}"
        count /= 1000
    return f"{count:.1f} TB"


def iso(moment: datetime | None) -> str | None:
    return moment.astimezone(UTC).isoformat() if moment is not None else None


def compact(value: Any) -> str:
    """A JSON value on one line."""
    return json_text(value)
