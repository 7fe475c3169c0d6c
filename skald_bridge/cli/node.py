"""`skald node`."""

from __future__ import annotations

import asyncio
import os
import socket
from typing import Annotated

import typer

from skald_bridge.cli.connect import connect
from skald_bridge.cli.invocation import invocation
from skald_bridge.cli.log_setup import start_logging
from skald_bridge.cli.media import Media, with_media
from skald_bridge.cli.output import say
from skald_bridge.domain.errors import Unavailable
from skald_bridge.domain.names import check_resource_name
from skald_bridge.settings.file import as_environment


def node(
    context: typer.Context,
    pool: Annotated[
        str | None, typer.Option("--pool", "-p", help="Work pool; made where it is missing. [default: cpu]")
    ] = None,
    name: Annotated[
        str | None, typer.Option("--name", "-n", help="Unique name of the node. [default: the host's name]")
    ] = None,
    tags: Annotated[
        str | None, typer.Option("--tags", help="What it has besides devices, with commas: cuda-12,rtsp-lan.")
    ] = None,
    limit: Annotated[int | None, typer.Option("--limit", "-l", min=1, help="Most tasks at once.")] = None,
    grace: Annotated[
        float | None,
        typer.Option("--grace", min=0, help="Seconds that tasks get when it is stopped. [default: 30]"),
    ] = None,
    queue: Annotated[
        list[str] | None, typer.Option("--queue", "-q", help="Only this work queue; may be repeated.")
    ] = None,
    media: Media = None,
) -> None:
    """Run a node on this machine.

    It takes the tasks of its work pool that fit: cpus, memory, GPUs, tags. On Ctrl-C or SIGTERM it takes
    nothing new, lets tasks end for the grace, and hands the rest back.
    """
    settings = invocation(context).settings(
        pool=pool, skald_id=name, tags=tags, limit=limit, grace=grace, queues=tuple(queue) if queue else None
    )
    settings = with_media(settings, media)
    called = settings.skald_id or socket.gethostname()
    check_resource_name("--pool", settings.pool)
    check_resource_name("--name", called)
    url = connect(settings)
    say(f"node {called} of work pool {settings.pool} at {url}")
    start_logging(settings, called)
    os.environ.update(as_environment(settings))
    from skald_bridge.main import ensure_pool
    from skald_work_pools.node.lock import NameTaken
    from skald_work_pools.worker import run_node

    # Prefect's worker serves a pool of another type too, with a warning, and then no run ever starts.
    asyncio.run(ensure_pool(settings.pool))
    running = run_node(
        settings.pool,
        name=called,
        limit=settings.limit,
        tags=settings.tags,
        grace=settings.grace,
        queues=settings.queues,
    )
    try:
        asyncio.run(running)
    except NameTaken as error:
        sentence, _, remedy = str(error).rpartition(". ")
        raise Unavailable(f"{sentence}.", remedy=remedy) from error
