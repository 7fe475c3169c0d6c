"""`--watch`: a list that is kept up to date."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Awaitable, Callable
from contextlib import nullcontext
from typing import Annotated, Any, TypeVar

import typer
from rich.console import RenderableType
from rich.live import Live

from skald_bridge.cli.output import console, print_json, reader_gone

EVERY = 1.0
Watching = Annotated[
    bool,
    typer.Option(
        "--watch",
        "-w",
        help="Keep the table up to date; print it anew when it changes where that is no terminal.",
    ),
]
T = TypeVar("T")


async def watch(
    read: Callable[[], Awaitable[T]],
    *,
    facts: Callable[[T], object],
    shown: Callable[[T], RenderableType],
    as_json: Callable[[T], Any] | None,
) -> None:
    """Show what is read, until nobody reads it; where it is printed, only when ``facts`` of it have changed.

    ``as_json``: what is printed of it, a line each time, instead of what is ``shown``.
    """
    last: object = None
    screen = console()
    drawn = as_json is None and sys.stdout.isatty()
    with Live(console=screen, refresh_per_second=4) if drawn else nullcontext() as live:
        while not reader_gone():
            found = await read()
            now = facts(found)
            if live is not None:
                live.update(shown(found))
            elif now != last and as_json is not None:
                print_json(as_json(found), line=True)
            elif now != last:
                screen.print(*([] if last is None else [""]), shown(found), sep="\n")
            last = now
            await asyncio.sleep(EVERY)
