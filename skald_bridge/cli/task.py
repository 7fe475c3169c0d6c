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
from skald_bridge.cli.output import ago, console, json_text, plain, print_json, size, span, styled, table
from skald_bridge.cli.shapes import artifact_json, failure_json, state_json, subtask_json, task_json
from skald_bridge.cli.tasks import shown_progress, shown_state, took
from skald_bridge.domain.facts import Progress, State, Subtask, Task
from skald_bridge.domain.failure import Failure, failure_of
from skald_bridge.domain.ids import TaskId
from skald_bridge.domain.lifecycle import StateType
from skald_bridge.domain.recordings import Artifact
from skald_bridge.wire.recordings import recording_json

if TYPE_CHECKING:
    from skald_bridge.ports import Engine

TASK = Annotated[
    str, typer.Argument(metavar="TASK", help="Id, the beginning or the end of an id, or the task's name.")
]
LOG = 200
"""So many of the newest entries of a failed task's log are read for what made it fail."""
_SUBTASK_STYLES = {"Completed": "Finished", "Failed": "Failed", "Crashed": "Failed", "Running": "Running"}


def task(
    context: typer.Context,
    id_: TASK,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object.")] = False,
) -> None:
    """Show one task: subtasks, attachments, node, states.

    Also what it made (artifacts, recordings, and where they are) and, of one that failed, the traceback.
    """

    async def body(engine: Engine) -> None:
        found = await find_task(engine, id_)
        progress = (await engine.progress([found.id])).get(found.id)
        subtasks = await engine.subtasks(found.id)
        states = await engine.history(found.id)
        made = await _made(engine, found.id)
        failure = await failure_of_task(engine, found, states)
        if as_json:
            shown = task_json(found, progress)
            shown["subtasks"] = [subtask_json(one) for one in subtasks]
            shown["states"] = [state_json(one) for one in states]
            shown["artifacts"] = [artifact_json(one) for one in made if one.recording is None]
            shown["recordings"] = [recording_json(one.recording) for one in made if one.recording is not None]
            shown["failure"] = failure_json(failure)
            print_json(shown)
        else:
            screen = console()
            _show(screen, found, progress, subtasks, states, datetime.now(UTC))
            _show_made(screen, made)
            _show_failure(screen, failure)

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


def _show_made(screen: Console, made: Sequence[Artifact]) -> None:
    rows = [
        [
            "recording",
            plain(each.recording.path),
            f"{span(each.recording.seconds)}, {size(each.recording.size)}",
        ]
        if each.recording is not None
        else [plain(each.type), plain(each.key), plain(each.text)]
        for each in made
    ]
    if rows:
        screen.print()
        screen.print(table(["MADE", "NAME", "DESCRIPTION"], rows))


def _show_failure(screen: Console, failure: Failure | None) -> None:
    if failure is None:
        return
    screen.print(f"\n[bold]cause[/]  {plain(failure.cause)}")
    if failure.details != failure.cause:
        for line in failure.details.splitlines():
            screen.print(f"  [dim]{plain(line)}[/]", soft_wrap=True)


async def _made(engine: Engine, task: TaskId) -> list[Artifact]:
    """What it left behind, oldest first, the newest of a name; its progress is shown elsewhere."""
    found: dict[object, Artifact] = {}
    async for page in engine.artifacts([task]):
        for each in page:
            if each.type != "progress":
                name = (
                    each.recording.id
                    if each.recording is not None
                    else (each.type, each.key, each.text if each.key is None else None)
                )
                found.setdefault(name, each)
    return list(reversed(found.values()))


async def failure_of_task(
    engine: Engine, task: Task, states: Sequence[State] | None = None
) -> Failure | None:
    """What made the task's last attempt fail, as far as its log tells; ``None`` for one that has not failed."""
    if task.state is None or task.state.type not in (StateType.FAILED, StateType.CRASHED):
        return None
    history = await engine.history(task.id) if states is None else states
    begins = [state.at for state in history if state.type is StateType.PENDING]
    return failure_of(await engine.last_logs(task.id, LOG), begins[-1] if begins else None)


def _with_message(state: State | None) -> str:
    if state is None:
        return ""
    return f"{shown_state(state)}  {plain(state.message)}" if state.message else shown_state(state)
