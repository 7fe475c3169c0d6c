"""`skald bridge`."""

from __future__ import annotations

import asyncio
import contextlib
import signal
from collections.abc import Coroutine
from pathlib import Path
from typing import Annotated, Any

import typer

from skald_bridge.cli.connect import connect
from skald_bridge.cli.invocation import invocation
from skald_bridge.cli.log_setup import start_logging

JOURNAL = "journal.db"


def journal_file(home: Path) -> Path:
    return home / JOURNAL


def bridge(
    context: typer.Context,
    host: Annotated[
        str | None, typer.Option("--host", help="Address of the REST API. [default: 127.0.0.1]")
    ] = None,
    port: Annotated[
        int | None, typer.Option("--port", min=1, max=65535, help="Port of the REST API. [default: 8000]")
    ] = None,
    dashboard: Annotated[
        Path | None,
        typer.Option("--dashboard", metavar="DIR", help="A built dashboard page, served under /dashboard."),
    ] = None,
    rest: Annotated[bool, typer.Option("--rest/--no-rest", help="Whether to answer REST at all.")] = True,
) -> None:
    """Run the bridge: states to journal, pulse and archive; REST.

    It mirrors every state of every task, also those of the time it was not running. Elsewhere than on loopback
    it listens only with SKALD_API_KEY set.
    """
    settings = invocation(context).settings(
        system_controller_host=host, system_controller_port=port, dashboard=dashboard
    )
    connect(settings)
    start_logging(settings, "bridge")
    settings.home.mkdir(parents=True, exist_ok=True)
    from skald_bridge.main import run_bridge

    asyncio.run(until_signalled(run_bridge(journal_file(settings.home), settings, rest=rest)))


async def until_signalled(work: Coroutine[Any, Any, None]) -> None:
    """Run ``work`` until it ends, or cancel it on SIGINT, SIGTERM or SIGHUP; its errors are raised."""
    task = asyncio.ensure_future(work)
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        loop.add_signal_handler(number, task.cancel)
    with contextlib.suppress(asyncio.CancelledError):
        await task
