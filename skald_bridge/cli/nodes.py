"""`skald nodes`."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated

import typer

from skald_bridge.cli.connect import with_engine
from skald_bridge.cli.invocation import invocation
from skald_bridge.cli.output import ago, console, plain, print_json, size, styled, table
from skald_bridge.cli.shapes import node_json
from skald_bridge.cli.tables import Column
from skald_bridge.domain.facts import is_linked
from skald_bridge.domain.usage import NodeFacts, facts_of

if TYPE_CHECKING:
    from skald_bridge.ports import Engine

COLUMNS = [
    Column("NODE", enough=24),
    Column("POOL", rank=2, enough=24),
    Column("STATUS"),
    Column("LOAD", rank=3),
    Column("LINKED", rank=11),
    Column("TASKS", rank=1),
    Column("CPUS", rank=6),
    Column("MEMORY", rank=7),
    Column("GPUS", rank=4, enough=20),
    Column("RUNS", rank=8, enough=16),
    Column("TAGS", rank=9, enough=12),
    Column("HOST", rank=10, enough=24),
    Column("SEEN", rank=5),
]


def nodes(
    context: typer.Context,
    all_: Annotated[bool, typer.Option("--all", "-a", help="Also nodes that are offline.")] = False,
    pool: Annotated[str | None, typer.Option("--pool", "-p", help="Only nodes of this work pool.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="A JSON list.")] = False,
) -> None:
    """List nodes: what they have, what they run.

    TASKS, CPUS, MEMORY and GPUS: what tasks have reserved, of what there is. LOAD is the fullest of these. RUNS: its
    task types.
    """

    async def body(engine: Engine) -> None:
        known, held = await asyncio.gather(engine.nodes(), engine.at_work())
        listed = [node for node in known if (all_ or node.online) and pool in (None, node.pool)]
        found = facts_of(listed, held)
        if as_json:
            print_json([node_json(facts) for facts in found])
        elif found:
            now = datetime.now(UTC)
            console().print(table(COLUMNS, [_row(facts, now) for facts in found]))
        else:
            console().print(f"No node is {'known' if all_ else 'online'}. Start one: skald node --pool cpu")

    with_engine(invocation(context).settings(), body)


def _row(facts: NodeFacts, now: datetime) -> list[str]:
    node, has, taken = facts.node, facts.has, facts.taken
    capacity = node.capacity
    return [
        plain(node.id),
        plain(node.pool),
        styled("online" if node.online else facts.health),
        f"{facts.load:.0%}" if node.online else "",
        "yes" if is_linked(node) else "no",
        f"{taken.tasks}/{has.slots}" if has.slots else str(taken.tasks),
        f"{taken.cpus:g}/{has.cpus:g}" if has.cpus else "",
        f"{size(taken.memory)} of {size(has.memory)}" if has.memory else "",
        plain(_gpus(facts)),
        plain(", ".join(facts.task_types)),
        plain(", ".join(map(str, capacity.get("tags") or ()))),
        plain(capacity.get("host")),
        ago(node.last_seen, now),
    ]


def _gpus(facts: NodeFacts) -> str:
    """``0 B of 282.0 GB: 2 × NVIDIA H200``."""
    has = facts.has
    if not has.gpu_count:
        return ""
    kinds = ", ".join(f"{gpus.count} × {gpus.name}" for gpus in has.gpus)
    return f"{size(facts.taken.gpu_memory)} of {size(has.gpu_memory)}: {kinds}"
