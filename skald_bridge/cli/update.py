"""`skald update TASK key=value…`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from skald_bridge.cli.connect import with_engine
from skald_bridge.cli.find import find_task
from skald_bridge.cli.invocation import invocation
from skald_bridge.cli.output import print_json, say
from skald_bridge.cli.task import TASK
from skald_bridge.cli.values import attachments
from skald_bridge.cli.waiting import told
from skald_bridge.domain.errors import InvalidInput, Rejected
from skald_bridge.domain.ids import short
from skald_bridge.domain.lifecycle import StateType

if TYPE_CHECKING:
    from skald_bridge.ports import Engine


def update(
    context: typer.Context,
    id_: TASK,
    changes: Annotated[
        list[str] | None,
        typer.Argument(metavar="KEY=VALUE...", help="Fields to change; values are JSON, else text."),
    ] = None,
    file: Annotated[
        Path | None, typer.Option("--file", "-f", help="A JSON object of further fields.")
    ] = None,
    timeout: Annotated[
        float, typer.Option("--timeout", min=0.1, help="Seconds to wait for the task's answer.")
    ] = 10.0,
    as_json: Annotated[
        bool, typer.Option("--json", help='{"taskId", "outcome", "revision", "reason"}.')
    ] = False,
) -> None:
    """Change a task's attachments, also while it runs.

    Waits until the task has applied or rejected them. A task that has not started begins with them, a paused one goes
    on with them: `stored`.
    """
    wanted = attachments(changes or [], file)
    if not wanted:
        raise InvalidInput("No change is given.", remedy="Write such as: skald update TASK fps=30")

    async def body(engine: Engine) -> None:
        task = await find_task(engine, id_)
        unknown = f"Interrupted; the task may still take the change: skald task {short(task.id)} shows it."
        async with told(engine, task.id, interrupted=unknown):
            outcome, revision, reason = await engine.update(task.id, wanted, timeout=timeout)
        if as_json:
            print_json({"taskId": task.id, "outcome": outcome, "revision": revision, "reason": reason})
        elif outcome != "rejected":
            paused = outcome == "stored" and task.state is not None and task.state.type is StateType.PAUSED
            say(f"{outcome}: revision {revision}{'; applied when it goes on' if paused else ''}")
        if outcome == "rejected":
            raise Rejected(
                f"The task rejected revision {revision}: {reason}.",
                remedy=f"It goes on with the attachments that `skald task {short(task.id)}` shows.",
            )

    with_engine(invocation(context).settings(), body)
