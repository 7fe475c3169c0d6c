"""`skald bridge`."""

from __future__ import annotations

import asyncio
import contextlib
import signal
from collections.abc import Coroutine
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any
from urllib.parse import urlsplit

import typer

from skald_bridge.cli.connect import connect
from skald_bridge.cli.invocation import invocation
from skald_bridge.cli.log_setup import start_logging
from skald_bridge.cli.output import say

if TYPE_CHECKING:
    from skald_bridge.settings import Settings

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
    url = connect(settings)
    start_logging(settings, "bridge")
    settings.home.mkdir(parents=True, exist_ok=True)
    from skald_bridge.main import run_bridge

    def began() -> None:
        for line in serves(settings, url, rest=rest):
            say(line)

    journal = journal_file(settings.home)
    asyncio.run(until_signalled(run_bridge(journal, settings, rest=rest, began=began)))


def serves(settings: Settings, url: str, *, rest: bool) -> list[str]:
    """What the bridge does now, in lines for people; no secret is in them."""
    host = settings.system_controller_host
    at = f"http://{f'[{host}]' if ':' in host else host}:{settings.system_controller_port}"
    page = f", dashboard: {at}/dashboard" if settings.dashboard is not None else ""
    mongo = settings.mongo_host.get_secret_value() if settings.mongo_host is not None else ""
    named = {
        "Kafka": _named(settings.kafka_block, settings.kafka_host, settings.kafka_port),
        "Redis": _named(settings.redis_block, settings.redis_host, settings.redis_port),
        "MongoDB": _named(settings.mongo_block, urlsplit(mongo).netloc.rpartition("@")[2], None),
    }
    others = ", ".join(f"{name} {where}" for name, where in named.items() if where)
    without = ", ".join(name for name, where in named.items() if not where)
    return [
        f"bridge of {url}; journal and archive: {journal_file(settings.home)}",
        f"REST for Skalds' clients: {at}/api, metrics: {at}/metrics{page}" if rest else "no REST API",
        "; ".join(filter(None, [others, f"without {without}: embedded" if without else ""])),
    ]


def _named(block: str | None, host: str | None, port: int | None) -> str:
    if block:
        return f"by block {block}"
    if not host:
        return ""
    return f"at {host}:{port}" if port is not None else f"at {host}"


async def until_signalled(work: Coroutine[Any, Any, None]) -> None:
    """Run ``work`` until it ends, or cancel it on SIGINT, SIGTERM or SIGHUP; its errors are raised."""
    task = asyncio.ensure_future(work)
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        loop.add_signal_handler(number, task.cancel)
    with contextlib.suppress(asyncio.CancelledError):
        await task
