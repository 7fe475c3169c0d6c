"""`skald task ID`."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console

from skald_bridge.cli.connect import with_engine
from skald_bridge.cli.find import find_task
from skald_bridge.cli.invocation import invocation
from skald_bridge.cli.output import ago, console, json_text, plain, print_json, span, styled, table
from skald_bridge.cli.shapes import state_json, subtask_json, task_json
from skald_bridge.cli.tasks import shown_progress, shown_state, took
from skald_bridge.domain.facts import Progress, State, Subtask, Task

if TYPE_CHECKING:
    from skald_bridge.ports import Engine

TASK = Annotated[str, typer.Argument(metavar="TASK", help="Id, the beginning of an id, or the task's name.")]
_SUBTASK_STYLES = {"Completed": "Finished", "Failed": "Failed", "Crashed": "Failed", "Running": "Running"}


def task(
    context: typer.Context,
    id_: TASK,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object.")] = False,
) -> None:
    """Show one task: subtasks, attachments, node, states."""

    async def body(engine: Engine) -> None:
        found = await find_task(engine, id_)
        progress = (await engine.progress([found.id])).get(found.id)
        subtasks = await engine.subtasks(found.id)
        states = await engine.history(found.id)
        if as_json:
            shown = task_json(found, progress)
            shown["subtasks"] = [subtask_json(one) for one in subtasks]
            shown["states"] = [state_json(one) for one in states]
            print_json(shown)
        else:
            _show(console(), found, progress, subtasks, states, datetime.now(UTC))

    with_engine(invocation(context).settings(), body)


def _show(
    screen: Console,
    task: Task,
    progress: Progress | None,
    subtasks: Sequence[Subtask],
    states: Sequence[State],
    now: datetime,
) -> None:
    queue = f", queue {task.queue}" if task.queue else ""
    facts = [
        ("task", f"[bold]{plain(task.name)}[/]  {plain(task.id)}"),
        ("type", plain(task.class_name)),
        ("state", _with_message(task.state)),
        ("progress", shown_progress(progress)),
        ("node", plain(task.node)),
        ("pool", plain(f"{task.pool}{queue}") if task.pool else ""),
        ("attempt", str(task.attempt or "")),
        ("created", ago(task.created, now)),
        ("time", took(task, now)),
        ("tags", plain(", ".join(task.tags))),
    ]
    for name, value in facts:
        if value:
            screen.print(f"[dim]{name:<9}[/]{value}")
    screen.print(f"\n[bold]attachments[/] (revision {task.revision})")
    screen.print(json_text(task.attachments, indent=2), markup=False)
    if subtasks:
        rows = [
            [
                plain(s.name),
                styled(_SUBTASK_STYLES.get(s.state, ""), s.state),
                str(s.attempt),
                span(s.seconds),
                plain(s.message),
            ]
            for s in subtasks
        ]
        screen.print()
        screen.print(table(["SUBTASK", "STATE", "TRY", "TIME", "MESSAGE"], rows))
    screen.print()
    rows = [
        [f"{s.at.astimezone():%H:%M:%S.%f}"[:-3], styled(s.lifecycle.value), plain(s.name), plain(s.message)]
        for s in states
    ]
    screen.print(table(["AT", "STATE", "PREFECT", "MESSAGE"], rows))


def _with_message(state: State | None) -> str:
    if state is None:
        return ""
    return f"{shown_state(state)}  {plain(state.message)}" if state.message else shown_state(state)
