"""`skald nodes`."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated, Any

import typer

from skald_bridge.cli.connect import with_engine
from skald_bridge.cli.invocation import invocation
from skald_bridge.cli.output import ago, console, plain, print_json, size, styled, table
from skald_bridge.cli.shapes import node_json
from skald_bridge.cli.tables import Column
from skald_bridge.domain.facts import Node, is_linked
from skald_bridge.domain.lifecycle import StateType

if TYPE_CHECKING:
    from skald_bridge.ports import Engine

COLUMNS = [
    Column("NODE", enough=24),
    Column("POOL", rank=2, enough=24),
    Column("STATUS"),
    Column("LINKED", rank=9),
    Column("TASKS", rank=1),
    Column("CPUS", rank=5),
    Column("MEMORY", rank=6),
    Column("GPUS", rank=3, enough=20),
    Column("TAGS", rank=7, enough=12),
    Column("HOST", rank=8, enough=24),
    Column("SEEN", rank=4),
]
_ON_NODE = (StateType.RUNNING, StateType.PAUSED, StateType.CANCELLING)


def nodes(
    context: typer.Context,
    all_: Annotated[bool, typer.Option("--all", "-a", help="Also nodes that are offline.")] = False,
    pool: Annotated[str | None, typer.Option("--pool", "-p", help="Only nodes of this work pool.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="A JSON list.")] = False,
) -> None:
    """List nodes: what they have, what they run."""

    async def body(engine: Engine) -> None:
        found = [n for n in await engine.nodes() if (all_ or n.online) and pool in (None, n.pool)]
        live = await engine.live_tasks()
        running = Counter(task.node for task in live if task.state and task.state.type in _ON_NODE)
        if as_json:
            print_json([node_json(node, running[node.id]) for node in found])
        elif found:
            now = datetime.now(UTC)
            console().print(table(COLUMNS, [_row(node, running[node.id], now) for node in found]))
        else:
            console().print(f"No node is {'known' if all_ else 'online'}. Start one: skald node --pool cpu")

    with_engine(invocation(context).settings(), body)


def _row(node: Node, running: int, now: datetime) -> list[str]:
    has = node.capacity
    return [
        plain(node.id),
        plain(node.pool),
        styled("online" if node.online else "offline"),
        "yes" if is_linked(node) else "no",
        f"{running}/{has['limit']}" if has.get("limit") else str(running),
        plain(has.get("cpus")),
        size(has["memory"]) if has.get("memory") else "",
        plain(_gpus(has)),
        plain(", ".join(has.get("tags") or ())),
        plain(has.get("host")),
        ago(node.last_seen, now),
    ]


def _gpus(has: Mapping[str, Any]) -> str:
    """``2 × NVIDIA H200 (141.0 GB)``."""
    counted = Counter(f"{gpu.get('name')} ({size(gpu.get('memory') or 0)})" for gpu in has.get("gpus") or ())
    return ", ".join(f"{count} × {name}" for name, count in counted.items())
