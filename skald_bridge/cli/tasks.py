"""`skald tasks`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from functools import partial
from typing import TYPE_CHECKING, Annotated, Any

import typer

from skald_bridge.cli import watching
from skald_bridge.cli.connect import with_engine
from skald_bridge.cli.invocation import invocation
from skald_bridge.cli.output import (
    ago,
    console,
    plain,
    print_json,
    span,
    styled,
    table,
)
from skald_bridge.cli.shapes import task_json
from skald_bridge.cli.states import state_filter
from skald_bridge.cli.tables import Column, FittedTable
from skald_bridge.cli.watching import Watching
from skald_bridge.domain.facts import Progress, State, Task
from skald_bridge.domain.ids import TaskId, short

if TYPE_CHECKING:
    from skald_bridge.ports import Engine

COLUMNS = [
    Column("ID", enough=24),
    Column("TYPE", rank=2, enough=24),
    Column("NAME", rank=3, enough=24),
    Column("STATE", enough=9),
    Column("PROGRESS", rank=1, enough=8),
    Column("NODE", rank=5, enough=24),
    Column("TRY", rank=7),
    Column("TIME", rank=4),
    Column("CREATED", rank=6),
]
Read = tuple[list[Task], dict[TaskId, Progress]]
"""Tasks, and how far those are that say so."""


def tasks(
    context: typer.Context,
    state: Annotated[
        list[str] | None,
        typer.Option("--state", "-s", help="Only these: Running, Failed, Created …; may be repeated."),
    ] = None,
    type_: Annotated[str | None, typer.Option("--type", "-t", help="Only this task type.")] = None,
    limit: Annotated[int, typer.Option("--limit", "-n", min=1, help="At most so many.")] = 20,
    watch: Watching = False,
    as_json: Annotated[
        bool, typer.Option("--json", help="A JSON list; with --watch one list a line, when it changes.")
    ] = False,
) -> None:
    """List tasks, newest first."""
    states = state_filter(state or [])

    async def body(engine: Engine) -> None:
        read = partial(_read, engine, states, type_, limit)
        shown = partial(_shown, class_name=type_)
        if watch:
            await watching.watch(read, facts=_json, shown=shown, as_json=_json if as_json else None)
        elif as_json:
            print_json(_json(await read()))
        else:
            console().print(shown(await read()))

    with_engine(invocation(context).settings(), body)


def tasks_table(found: Sequence[Task], progress: Mapping[TaskId, Progress], now: datetime) -> FittedTable:
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


async def _read(engine: Engine, states: Sequence[str], class_name: str | None, limit: int) -> Read:
    found = await engine.tasks(states=states, class_name=class_name, limit=limit)
    return found, await engine.progress([task.id for task in found]) if found else {}


def _json(read: Read) -> list[dict[str, Any]]:
    found, progress = read
    return [task_json(task, progress.get(task.id)) for task in found]


def _shown(read: Read, class_name: str | None) -> FittedTable | str:
    found, progress = read
    if found:
        return tasks_table(found, progress, datetime.now(UTC))
    of_type = f" of the type {plain(class_name)}" if class_name is not None else ""
    return f"No tasks{of_type}. Create one: skald submit {plain(class_name or 'CLASS')} key=value …"
