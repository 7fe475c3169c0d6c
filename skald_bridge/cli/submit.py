"""`skald submit CLASS key=value…`."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from skald_bridge.cli.connect import with_engine
from skald_bridge.cli.find import find_task
from skald_bridge.cli.invocation import invocation
from skald_bridge.cli.needs import job_variables
from skald_bridge.cli.output import console, plain, print_json
from skald_bridge.cli.shapes import task_json
from skald_bridge.cli.task import failure_of_task
from skald_bridge.cli.tasks import shown_progress, shown_state
from skald_bridge.cli.values import attachments
from skald_bridge.cli.waiting import told
from skald_bridge.domain.dependencies import DEPENDENCIES_LABEL, written
from skald_bridge.domain.facts import Task
from skald_bridge.domain.ids import short
from skald_bridge.domain.lifecycle import StateType

if TYPE_CHECKING:
    from skald_bridge.ports import Engine

_EVERY = 0.5


def submit(
    context: typer.Context,
    class_name: Annotated[str, typer.Argument(metavar="CLASS", help="The task type: its flow's name.")],
    fields: Annotated[
        list[str] | None,
        typer.Argument(metavar="KEY=VALUE...", help="Attachments; values are JSON, else text."),
    ] = None,
    file: Annotated[Path | None, typer.Option("--file", "-f", help="A JSON object of attachments.")] = None,
    name: Annotated[str | None, typer.Option("--name", help="The task's name.")] = None,
    tag: Annotated[list[str] | None, typer.Option("--tag", help="A tag; may be repeated.")] = None,
    key: Annotated[
        str | None, typer.Option("--key", help="Idempotency key: the same key never makes a second task.")
    ] = None,
    priority: Annotated[
        int, typer.Option("--priority", min=0, max=10, help="0…10; higher ones are taken first.")
    ] = 0,
    after: Annotated[
        list[str] | None,
        typer.Option(
            "--after",
            metavar="TASK",
            help="Start once this task is finished; may be repeated. Needs a bridge.",
        ),
    ] = None,
    deployment: Annotated[
        str | None,
        typer.Option(
            "--deployment", "-d", metavar="NAME", help="Of several deployments of the type, this one."
        ),
    ] = None,
    pool: Annotated[
        str | None,
        typer.Option("--pool", "-p", metavar="NAME", help="The type's deployment on this work pool."),
    ] = None,
    needs: Annotated[
        list[str] | None,
        typer.Option(
            "--needs",
            metavar="KEY=VALUE",
            help="What it takes of a node, instead of what its type says: cpus, memory, gpus, gpu_memory, nvenc, "
            "nvdec, tags; may be repeated.",
        ),
    ] = None,
    queue_anyway: Annotated[
        bool,
        typer.Option(
            "--queue-anyway", help="Also a task that no node can take as things are: it waits until one can."
        ),
    ] = False,
    wait: Annotated[
        bool, typer.Option("--wait", "-w", help="Wait for its end; exit code 1 unless it finishes.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="The task as one JSON object.")] = False,
) -> None:
    """Create a task of a task type.

    Of several deployments of the type, one that an online node can take comes first. With --wait, what the task waits
    for is told; Ctrl-C ends the waiting, and the task goes on.
    """
    given, variables = attachments(fields or [], file), job_variables(needs or [])
    ended: list[Task] = []

    async def body(engine: Engine) -> None:
        first = [(await find_task(engine, one)).id for one in after or ()]
        task = await engine.create(
            class_name,
            given,
            idempotency_key=key,
            name=name,
            tags=tuple(tag or ()),
            job_variables=variables or None,
            labels={DEPENDENCIES_LABEL: written(first)} if first else None,
            priority=priority,
            held=bool(first),
            deployment=deployment,
            pool=pool,
            only_if_served=not queue_anyway,
        )
        if not as_json:
            console().print(f"created  [bold]{plain(task.name)}[/]  {plain(task.id)}")
        if wait:
            goes_on = f"Interrupted; the task goes on. End it with: skald cancel {short(task.id)}"
            async with told(engine, task.id, interrupted=goes_on):
                task = await _end(engine, task, quiet=as_json)
            ended.append(task)
        if as_json:
            progress = await engine.progress([task.id]) if wait else {}
            print_json(task_json(task, progress.get(task.id)))

    with_engine(invocation(context).settings(), body)
    if ended and (ended[0].state is None or ended[0].state.type is not StateType.COMPLETED):
        raise typer.Exit(1)


async def _end(engine: Engine, task: Task, *, quiet: bool) -> Task:
    """The task once it has ended; changes are printed on the way."""
    screen = console()
    last = ""
    while True:
        task = await engine.task(task.id)
        progress = (await engine.progress([task.id])).get(task.id)
        line = f"{shown_state(task.state)}  {shown_progress(progress)}".rstrip()
        if line != last and not quiet:
            screen.print(line)
        last = line
        if task.state is not None and task.state.type.terminal:
            if not quiet and task.state.type is not StateType.COMPLETED:
                await _say_why(engine, task, task.state.message)
            return task
        await asyncio.sleep(_EVERY)


async def _say_why(engine: Engine, task: Task, message: str | None) -> None:
    if message:
        console().print(plain(message))
    if (failure := await failure_of_task(engine, task)) and failure.cause not in (message or ""):
        console().print(plain(failure.cause))
        console().print(plain(f"More of it: skald task {short(task.id)}"))
