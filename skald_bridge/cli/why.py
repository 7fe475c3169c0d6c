"""`skald why TASK`."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated

import typer

from skald_bridge.cli.connect import with_engine
from skald_bridge.cli.find import find_task
from skald_bridge.cli.invocation import invocation
from skald_bridge.cli.output import console, plain, print_json
from skald_bridge.cli.shapes import log_json, task_json
from skald_bridge.cli.task import TASK
from skald_bridge.cli.tasks import shown_state
from skald_bridge.domain.dependencies import of_labels
from skald_bridge.domain.facts import Task
from skald_bridge.domain.lifecycle import StateType
from skald_bridge.domain.why import reasons

if TYPE_CHECKING:
    from skald_bridge.ports import Engine

_SAID = 3
"""So many different messages of nodes are told while somebody waits."""


def why(
    context: typer.Context,
    id_: TASK,
    as_json: Annotated[
        bool, typer.Option("--json", help="{task, reasons: [text], nodeLog: [{at, message}]}.")
    ] = False,
) -> None:
    """Say why a task is where it is: refusals, lease, its pool."""

    async def body(engine: Engine) -> None:
        task = await find_task(engine, id_)
        found = await reasons_of(engine, task)
        log = await engine.node_log(task.id)
        if as_json:
            progress = (await engine.progress([task.id])).get(task.id)
            print_json(
                {
                    "task": task_json(task, progress),
                    "reasons": found,
                    "nodeLog": [log_json(one) for one in log],
                }
            )
            return
        screen = console()
        screen.print(f"[bold]{plain(task.name)}[/]  {plain(task.id)}  {shown_state(task.state)}")
        for reason in found:
            screen.print(f"  {plain(reason)}")
        if log:
            screen.print("\nWhat nodes said:")
            for at, message in log:
                screen.print(f"  [dim]{at.astimezone():%H:%M:%S}[/]  {plain(message)}")

    with_engine(invocation(context).settings(), body)


async def explained(engine: Engine, task: Task) -> list[str]:
    """The reasons and, of a task that has not started, what nodes said last of it."""
    found = await reasons_of(engine, task)
    if task.state is None or task.state.type is not StateType.SCHEDULED:
        return found
    since = task.state.at
    said = dict.fromkeys(message for at, message in await engine.node_log(task.id) if at >= since)
    return [*found, *list(said)[-_SAID:]]


async def reasons_of(engine: Engine, task: Task) -> list[str]:
    """Why the task is where it is."""
    held_back = await engine.waiting(task)
    # A list of all that lives can be long: only what limits and dependencies say needs it.
    live = await engine.live_tasks() if held_back.limited or of_labels(task.labels) else []
    return reasons(task, held_back, await engine.nodes(), live, datetime.now(UTC))
