"""`skald queue`."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from functools import partial
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Group

from skald_bridge.cli import watching
from skald_bridge.cli.connect import with_engine
from skald_bridge.cli.invocation import invocation
from skald_bridge.cli.output import console, plain, print_json, span, table
from skald_bridge.cli.shapes import queued_json
from skald_bridge.cli.tables import Column, FittedTable
from skald_bridge.cli.watching import Watching
from skald_bridge.domain.ids import short
from skald_bridge.domain.queue import Row
from skald_bridge.domain.words import needs_text
from skald_bridge.services.queue import ExplainedPage, explain

if TYPE_CHECKING:
    from skald_bridge.ports import Engine

COLUMNS = [
    Column("ID", enough=24),
    Column("PLACE", rank=4),
    Column("TYPE", rank=2, enough=24),
    Column("NAME", rank=7, enough=24),
    Column("POOL", rank=3, enough=24),
    Column("QUEUE", rank=9, enough=24),
    Column("PRIORITY", rank=6),
    Column("NEEDS", rank=5, enough=16),
    Column("WAITS"),
    Column("STARTS", rank=8),
    Column("WHY", rank=1, enough=24),
]


def queue(
    context: typer.Context,
    pool: Annotated[str | None, typer.Option("--pool", "-p", help="Only tasks of this work pool.")] = None,
    later: Annotated[
        bool, typer.Option("--all", "-a", help="Also those that are to start at a later time.")
    ] = False,
    limit: Annotated[int, typer.Option("--limit", "-n", min=1, max=1000, help="At most so many.")] = 50,
    offset: Annotated[int, typer.Option("--offset", min=0, help="Pass over so many.")] = 0,
    watch: Watching = False,
    as_json: Annotated[
        bool,
        typer.Option(
            "--json", help="{total, later, tasks}; with --watch such an object a line, when it changes."
        ),
    ] = False,
) -> None:
    """List who waits, for what, since when, and why not yet.

    In the order in which nodes take tasks: every pool has nodes and a line of its own; in it, higher queues come first,
    then who waits longest.
    """

    async def body(engine: Engine) -> None:
        async def read() -> ExplainedPage:
            page, nodes = await asyncio.gather(
                engine.queue(pool=pool, limit=limit, offset=offset, later=later), engine.nodes()
            )
            return await explain(engine, page, nodes, datetime.now(UTC))

        if watch:
            shown = partial(_shown, offset=offset)
            await watching.watch(read, facts=_facts, shown=shown, as_json=_json if as_json else None)
        elif as_json:
            print_json(_json(await read()))
        else:
            console().print(_shown(await read(), offset))

    with_engine(invocation(context).settings(), body)


def queue_table(rows: list[Row], now: datetime) -> FittedTable:
    """One row a task."""
    return table(COLUMNS, [_row(row, now) for row in rows])


def _row(row: Row, now: datetime) -> list[str]:
    task = row.queued.task
    return [
        plain(short(task.id)),
        str(row.queued.place or ""),
        plain(task.class_name),
        plain(task.name),
        plain(task.pool),
        plain(task.queue),
        str(row.priority or ""),
        plain(needs_text(row.queued.needs)),
        span((now - row.since).total_seconds()) if row.since is not None else "",
        f"{row.expected.astimezone():%d %b %H:%M:%S}" if row.expected is not None else "",
        plain(" ".join(row.reasons)),
    ]


def _shown(page: ExplainedPage, offset: int) -> Group | str:
    """The table, and what it leaves out."""
    count = sum(row.queued.place is not None for row in page.rows)
    left = page.total - offset - count
    notes = [f"{left} more wait: --offset {offset + len(page.rows)}"] if left > 0 and page.rows else []
    hidden = page.later - (len(page.rows) - count)
    notes += [f"{hidden} to start at a later time: --all"] if hidden > 0 and count == len(page.rows) else []
    if page.rows:
        return Group(queue_table(page.rows, datetime.now(UTC)), *notes)
    return Group(
        "Nobody waits." if not page.total else f"{page.total} wait; --offset passes over all of them.", *notes
    )


def _json(page: ExplainedPage) -> dict[str, Any]:
    return {"total": page.total, "later": page.later, "tasks": [queued_json(row) for row in page.rows]}


def _facts(page: ExplainedPage) -> list[object]:
    return [page.total, page.later, *(_lasting(row) for row in page.rows)]


def _lasting(row: Row) -> object:
    """What does not change by the passing of time alone: how long it is until a start does."""
    why = row.reasons if row.since is not None else ()
    return row.queued.task.id, row.queued.place, row.queued.task.state, row.expected, why
