"""`skald events`: the journal."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console

from skald_bridge.cli.bridge import journal_file
from skald_bridge.cli.invocation import invocation
from skald_bridge.cli.output import console, plain, print_json, styled
from skald_bridge.cli.shapes import event_json
from skald_bridge.domain.errors import InvalidInput
from skald_bridge.domain.ids import TaskId, short
from skald_bridge.domain.records import JournalRecord

if TYPE_CHECKING:
    from skald_bridge.ports import Journal

PAGE = 1000
_EVERY = 0.3

Entry = tuple[int, JournalRecord]


def events(
    context: typer.Context,
    follow: Annotated[
        bool, typer.Option("--follow", "-f", help="Go on with what comes; Ctrl-C ends.")
    ] = False,
    task: Annotated[
        str | None,
        typer.Option("--task", metavar="TASK", help="Only this task: its id, or the id's beginning."),
    ] = None,
    limit: Annotated[int, typer.Option("--limit", "-n", min=0, help="At most so many of the past.")] = 50,
    after: Annotated[
        int | None, typer.Option("--after", min=0, help="All after this position, instead of the last ones.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object a line.")] = False,
) -> None:
    """Print the journal: every state change, in Skalds' words.

    The bridge writes it; it can be read while nothing runs.
    """
    settings = invocation(context).settings()
    screen = console()

    async def body(journal: Journal) -> None:
        wanted = await _task(journal, task) if task is not None else None
        if after is not None:
            shown = await _all(journal, after, wanted)
        elif wanted is not None:
            shown = (await _all(journal, 0, wanted))[-limit:] if limit else []
        else:
            shown = await journal.tail(limit) if limit else []
        _print(screen, shown, as_json=as_json)
        newest = await journal.tail(1)
        position = max([after or 0, *(at for at, _ in (*shown, *newest))])
        while follow:
            await asyncio.sleep(_EVERY)
            fresh = await journal.read(after=position, task=wanted, limit=PAGE)
            _print(screen, fresh, as_json=as_json)
            position = max([position, *(at for at, _ in fresh)])

    async def inside() -> None:
        from skald_bridge.quick import journal as open_journal

        async with open_journal(journal_file(settings.home)) as journal:
            await body(journal)

    with contextlib.suppress(KeyboardInterrupt):
        asyncio.run(inside())


async def _all(journal: Journal, after: int, task: TaskId | None) -> list[Entry]:
    found: list[Entry] = []
    while page := await journal.read(after=after, task=task, limit=PAGE):
        found += page
        after = page[-1][0]
    return found


async def _task(journal: Journal, text: str) -> TaskId:
    """The one task in the journal whose id begins so; looks at the newest records first."""
    prefix = text.strip().lower()
    if len(prefix) == 36:
        return TaskId(prefix)
    newest = {record.task for _, record in await journal.tail(20 * PAGE) if record.task.startswith(prefix)}
    if len(newest) != 1:
        what = "several tasks have an id" if newest else "no task in the journal has an id"
        raise InvalidInput(f"--task: {what} that begins with {text!r}.", remedy="Write more of the id.")
    return newest.pop()


def _print(screen: Console, entries: Sequence[Entry], *, as_json: bool) -> None:
    for position, record in entries:
        if as_json:
            print_json(event_json(position, record), line=True)
            continue
        at = f"{record.at.astimezone():%H:%M:%S.%f}"[:-3]
        status = styled(record.lifecycle.value, f"{record.lifecycle.value:<9}")
        node = f"  {record.node}" if record.node else ""
        said = f": {record.message}" if record.message else ""
        screen.print(
            f"[dim]{at}[/]  {status}  {plain(record.class_name)} {plain(short(record.task))}{plain(node)}"
            f"  [dim]{plain(record.name)}{plain(said)}[/]",
            soft_wrap=True,
        )
