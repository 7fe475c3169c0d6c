"""Who waits, explained."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from skald_bridge.domain.facts import Node
from skald_bridge.domain.queue import Holding, QueuePage, Row, awaited, is_limited, rows
from skald_bridge.ports import Engine


@dataclass(frozen=True)
class ExplainedPage:
    """``total``: all that are due, ``later``: all that are to start at a later time; ``rows`` are some of them."""

    rows: list[Row]
    total: int
    later: int


async def explain(
    engine: Engine,
    page: QueuePage,
    nodes: Sequence[Node],
    now: datetime,
    held: Sequence[Holding] | None = None,
) -> ExplainedPage:
    """Asks for what stands in the way of the page's tasks, where anything may; ``held``: what nodes have, if known."""
    if held is None:
        held = await engine.at_work() if is_limited(page) else ()
    live = [holding.task for holding in held]
    if ids := awaited(page):
        found = (await engine.read(ids)).values()
        live += [task for task in found if task.state is not None and not task.state.type.terminal]
    return ExplainedPage(rows(page, nodes, live, now), page.total, page.later)
