"""`skald pool NAME`."""

from __future__ import annotations

import asyncio
from typing import Annotated

import typer

from skald_bridge.cli.connect import connect
from skald_bridge.cli.invocation import invocation
from skald_bridge.cli.output import say
from skald_bridge.domain.names import check_resource_name


def pool(
    context: typer.Context,
    name: Annotated[str, typer.Argument(help="The work pool's name.")],
) -> None:
    """Create a work pool for nodes, where it is missing."""
    check_resource_name("NAME", name)
    connect(invocation(context).settings())
    from skald_bridge.main import ensure_pool

    created = asyncio.run(ensure_pool(name))
    say(f"{'created' if created else 'there already'}: work pool {name}, type skald")
