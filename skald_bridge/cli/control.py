"""`skald cancel|pause|resume|retry TASK…`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Literal

import typer

from skald_bridge.cli.connect import with_engine
from skald_bridge.cli.find import find_task
from skald_bridge.cli.invocation import invocation
from skald_bridge.cli.output import console, plain, print_json
from skald_bridge.cli.shapes import task_json
from skald_bridge.cli.tasks import shown_state
from skald_bridge.cli.waiting import told
from skald_bridge.domain.ids import short

if TYPE_CHECKING:
    from skald_bridge.ports import Engine

TASKS = Annotated[
    list[str],
    typer.Argument(metavar="TASK...", help="Ids, beginnings or ends of ids, or names.", show_default=False),
]
JSON = Annotated[bool, typer.Option("--json", help="A JSON list of the tasks as they are now.")]


def cancel(context: typer.Context, tasks: TASKS, as_json: JSON = False) -> None:
    """Cancel a task: its process is ended.

    The process gets SIGTERM, its release code runs, and what is left after the grace gets SIGKILL.
    """
    _command(context, "cancel", tasks, as_json)


def pause(context: typer.Context, tasks: TASKS, as_json: JSON = False) -> None:
    """Freeze a running task; it keeps what it holds."""
    _command(context, "pause", tasks, as_json)


def resume(context: typer.Context, tasks: TASKS, as_json: JSON = False) -> None:
    """Let a paused task go on."""
    _command(context, "resume", tasks, as_json)


def retry(context: typer.Context, tasks: TASKS, as_json: JSON = False) -> None:
    """Run a task that has ended once more.

    It keeps its id and its newest attachments; the attempt counts on.
    """
    _command(context, "retry", tasks, as_json)


def _command(
    context: typer.Context, name: Literal["cancel", "pause", "resume", "retry"], ids: list[str], as_json: bool
) -> None:
    async def body(engine: Engine) -> None:
        perform = {
            "cancel": engine.cancel,
            "pause": engine.pause,
            "resume": engine.resume,
            "retry": engine.retry,
        }[name]
        found = [await find_task(engine, id_) for id_ in ids]
        shown = []
        for task in found:
            unknown = (
                f"Interrupted; whether Prefect has it is not known: skald task {short(task.id)} shows it."
            )
            async with told(engine, task.id, interrupted=unknown):
                await perform(task.id)
            now = await engine.task(task.id)
            shown.append(now)
            if not as_json:
                console().print(f"{name}  {plain(now.name)}  {plain(now.id)}  {shown_state(now.state)}")
        if as_json:
            progress = await engine.progress([task.id for task in shown])
            print_json([task_json(task, progress.get(task.id)) for task in shown])

    with_engine(invocation(context).settings(), body)
