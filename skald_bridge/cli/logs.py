"""`skald logs TASK`."""

from __future__ import annotations

import asyncio
import logging
import re
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.text import Text

from skald_bridge.cli.connect import with_engine
from skald_bridge.cli.find import find_task
from skald_bridge.cli.invocation import invocation
from skald_bridge.cli.output import console, iso, print_json, reader_gone
from skald_bridge.cli.task import TASK
from skald_bridge.cli.why import reasons_of
from skald_bridge.domain.errors import InvalidInput
from skald_bridge.domain.facts import Task
from skald_bridge.domain.lifecycle import StateType
from skald_bridge.domain.log_entries import LogEntry
from skald_bridge.domain.plain_text import visible

if TYPE_CHECKING:
    from skald_bridge.ports import Engine

_EVERY = 0.5
_QUIET = 3.0
"""Seconds without a new line after the task's end; Prefect's clients send their logs every two."""
_LATE = timedelta(seconds=10)
"""Lines come in batches from several places: so much older ones may follow."""
_WAITS = (StateType.SCHEDULED, StateType.PENDING, StateType.PAUSED)
_COLOURS = {logging.WARNING: "yellow", logging.ERROR: "red", logging.CRITICAL: "bold red"}


def logs(
    context: typer.Context,
    id_: TASK,
    follow: Annotated[
        bool,
        typer.Option("--follow", "-f", help="Go on until the task has ended; say what it waits for."),
    ] = False,
    limit: Annotated[
        int | None, typer.Option("--limit", "-n", min=1, help="Only so many of the last. [default: all]")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object a line.")] = False,
) -> None:
    """Print what a task and its nodes said: prints, logs, tracebacks.

    All attempts are in it, oldest first. What a followed task waits for, and how it ended, go to standard error.
    """
    if follow and limit is not None:
        raise InvalidInput("--limit is of the past, --follow of what comes.", remedy="Leave one of them out.")
    screen = console()

    def show(lines: Sequence[LogEntry]) -> None:
        for line in lines:
            if as_json:
                print_json(line_json(line), line=True)
            else:
                screen.print(line_text(line), soft_wrap=True)

    async def body(engine: Engine) -> None:
        task = await find_task(engine, id_)
        if follow:
            await _follow(engine, task, show)
        elif limit is not None:
            show(await engine.last_logs(task.id, limit))
        else:
            async for lines in engine.logs(task.id):
                show(lines)

    with_engine(invocation(context).settings(), body)


def line_json(line: LogEntry) -> dict[str, Any]:
    return {
        "id": line.id,
        "at": iso(line.at),
        "level": logging.getLevelName(line.level),
        "logger": line.logger,
        "subtaskId": line.subtask,
        "message": line.message,
    }


def line_text(line: LogEntry) -> Text:
    """Time, level and message; a traceback's further lines are as they were."""
    level = logging.getLevelName(line.level)
    text = Text(f"{line.at.astimezone():%H:%M:%S.%f}"[:-3], style="dim", end="")
    text = Text.assemble(text, "  ", (f"{level:<8}", _COLOURS.get(line.level, "")), "  ")
    return text.append("\n".join(map(visible, line.message.splitlines())))


async def _follow(engine: Engine, task: Task, show: Any) -> None:
    loop = asyncio.get_running_loop()
    known: dict[str, datetime] = {}
    news, told = loop.time(), ""
    while not reader_gone():
        task = await engine.task(task.id)
        newest = max(known.values(), default=None)
        since = newest - _LATE if newest is not None else None
        known = {id_: at for id_, at in known.items() if since is None or at >= since}
        async for lines in engine.logs(task.id, since=since):
            fresh = [line for line in lines if line.id not in known]
            show(fresh)
            known.update({line.id: line.at for line in fresh})
            news = loop.time() if fresh else news
        if task.state is not None and task.state.type.terminal:
            if loop.time() - news > _QUIET:
                said = f": {task.state.message}" if task.state.message else ""
                typer.echo(visible(f"ended as {task.state.name}{said}"), err=True)
                return
        elif task.state is None or task.state.type in _WAITS:
            waits = " ".join(await reasons_of(engine, task))
            if (words := re.sub(r"\d+", "", waits)) != told:
                typer.echo(visible(waits), err=True)
            told = words
            news = loop.time()
        else:
            news, told = loop.time(), ""
        await asyncio.sleep(_EVERY)
