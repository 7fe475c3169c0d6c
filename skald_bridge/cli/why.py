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
from skald_bridge.domain.why import reasons

if TYPE_CHECKING:
    from skald_bridge.ports import Engine


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
        now = datetime.now(UTC)
        found = reasons(
            task, await engine.waiting(task), await engine.nodes(), await engine.live_tasks(), now
        )
        log = await engine.node_log(task.id)
        if as_json:
            print_json({"task": task_json(task), "reasons": found, "nodeLog": [log_json(one) for one in log]})
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
