"""`skald tasks`."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated

import typer
from rich.live import Live
from rich.table import Table

from skald_bridge.cli.connect import with_engine
from skald_bridge.cli.invocation import invocation
from skald_bridge.cli.output import ago, console, plain, print_json, span, styled, table
from skald_bridge.cli.shapes import task_json
from skald_bridge.cli.states import state_filter
from skald_bridge.domain.facts import Progress, State, Task
from skald_bridge.domain.ids import TaskId, short

if TYPE_CHECKING:
    from skald_bridge.ports import Engine

COLUMNS = ["ID", "TYPE", "NAME", "STATE", "PROGRESS", "NODE", "TRY", "TIME", "CREATED"]
EVERY = 1.0


def tasks(
    context: typer.Context,
    state: Annotated[
        list[str] | None,
        typer.Option("--state", "-s", help="Only these: Running, Failed, Created …; may be repeated."),
    ] = None,
    type_: Annotated[str | None, typer.Option("--type", "-t", help="Only this task type.")] = None,
    limit: Annotated[int, typer.Option("--limit", "-n", min=1, help="At most so many.")] = 20,
    watch: Annotated[
        bool, typer.Option("--watch", "-w", help="Keep the table up to date; Ctrl-C ends.")
    ] = False,
    as_json: Annotated[
        bool, typer.Option("--json", help="A JSON list; with --watch one list a line, when it changes.")
    ] = False,
) -> None:
    """List tasks, newest first."""
    states = state_filter(state or [])

    async def body(engine: Engine) -> None:
        if watch:
            await _watch(engine, states, type_, limit, as_json)
            return
        found, progress = await _read(engine, states, type_, limit)
        if as_json:
            print_json([task_json(task, progress.get(task.id)) for task in found])
        elif found:
            console().print(tasks_table(found, progress, datetime.now(UTC)))
        else:
            console().print("No tasks. Create one: skald submit CLASS key=value …")

    with_engine(invocation(context).settings(), body)


def tasks_table(found: Sequence[Task], progress: Mapping[TaskId, Progress], now: datetime) -> Table:
    """One row a task."""
    return table(COLUMNS, [_row(task, progress.get(task.id), now) for task in found])


def shown_state(state: State | None) -> str:
    """The lifecycle in its colour, with Prefect's name where that says more."""
    if state is None:
        return ""
    status = state.lifecycle.value
    says_more = state.name.lower() not in (status.lower(), "scheduled", "pending", "completed")
    return styled(status, f"{status} ({state.name})" if says_more else status)


def shown_progress(progress: Progress | None) -> str:
    return f"{progress.fraction:.0%} {plain(progress.text)}" if progress is not None else ""


def took(task: Task, now: datetime) -> str:
    """From start to end, or to now."""
    return span(((task.end or now) - task.start).total_seconds()) if task.start is not None else ""


def _row(task: Task, progress: Progress | None, now: datetime) -> list[str]:
    return [
        plain(short(task.id)),
        plain(task.class_name),
        plain(task.name),
        shown_state(task.state),
        shown_progress(progress),
        plain(task.node),
        str(task.attempt or ""),
        took(task, now),
        ago(task.created, now),
    ]


async def _read(
    engine: Engine, states: Sequence[str], class_name: str | None, limit: int
) -> tuple[list[Task], dict[TaskId, Progress]]:
    found = await engine.tasks(states=states, class_name=class_name, limit=limit)
    return found, await engine.progress([task.id for task in found]) if found else {}


async def _watch(
    engine: Engine, states: Sequence[str], class_name: str | None, limit: int, as_json: bool
) -> None:
    last: object = None
    screen = console()
    with Live(console=screen, refresh_per_second=4, transient=False, auto_refresh=not as_json) as live:
        while True:
            found, progress = await _read(engine, states, class_name, limit)
            if as_json:
                shown = [task_json(task, progress.get(task.id)) for task in found]
                if shown != last:
                    print_json(shown, line=True)
                last = shown
            else:
                live.update(tasks_table(found, progress, datetime.now(UTC)))
            await asyncio.sleep(EVERY)
