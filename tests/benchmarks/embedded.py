"""What the embedded server is worth on SQLite: runs created per second, beside Prefect's own with its defaults.

A burst of creations on a fresh database each, while late runs wait in it; a 503 is tried again after 0.2 s, where
Prefect's client waits two seconds and more. The last line is one JSON object: ``runs``, ``at_once``,
``stock_per_s``, ``embedded_per_s``, ``ratio``, how many requests were answered 503 (``stock_refused``,
``embedded_refused``), and how often the servers' logs say "database is locked" (``stock_locked``,
``embedded_locked``).
"""

from __future__ import annotations

import argparse
import asyncio
import json
import shutil
import sys
import tempfile
import time
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
from prefect.settings import get_current_settings
from rich.console import Console
from rich.table import Table

from tests.services.prefect_server import PrefectServer, migrated_database

BUSY = 503
LATE = 50


class Stock(PrefectServer):
    """As ``prefect server start`` starts it."""

    def command(self) -> list[str]:
        options = ["--host", "127.0.0.1", "--port", str(self.port)]
        return [sys.executable, "-m", "prefect", "server", "start", *options]


@dataclass
class Measured:
    per_second: float
    refused: int
    locked: int


def stock_environment() -> dict[str, str]:
    """Prefect's own defaults for what the embedded server sets."""
    services = get_current_settings().server.services
    return {
        "PREFECT_SERVER_SERVICES_EVENT_PERSISTER_BATCH_SIZE": str(services.event_persister.batch_size),
        "PREFECT_SERVER_SERVICES_EVENT_PERSISTER_FLUSH_INTERVAL": str(
            services.event_persister.flush_interval
        ),
        "PREFECT_SERVER_SERVICES_LATE_RUNS_ENABLED": str(services.late_runs.enabled),
    }


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks.embedded", description=__doc__)
    parser.add_argument("--runs", type=int, default=300, metavar="N", help="runs created in each burst")
    parser.add_argument("--at-once", type=int, default=4, metavar="N", help="creations in flight")
    options = parser.parse_args()
    stock = measure(Stock, stock_environment(), options.runs, options.at_once)
    ours = measure(PrefectServer, {}, options.runs, options.at_once)
    table = Table("server", "created per second", "answered 503", "database is locked")
    for name, found in (("Prefect's own", stock), ("embedded", ours)):
        table.add_row(name, f"{found.per_second:.1f}", str(found.refused), str(found.locked))
    Console().print(table)
    print(
        json.dumps(
            {
                "runs": options.runs,
                "at_once": options.at_once,
                "stock_per_s": round(stock.per_second, 1),
                "embedded_per_s": round(ours.per_second, 1),
                "ratio": round(ours.per_second / stock.per_second, 2),
                "stock_refused": stock.refused,
                "embedded_refused": ours.refused,
                "stock_locked": stock.locked,
                "embedded_locked": ours.locked,
            }
        )
    )


def measure(kind: type[PrefectServer], env: dict[str, str], runs: int, at_once: int) -> Measured:
    """On a server of its own."""
    with tempfile.TemporaryDirectory(prefix="skald-bench-") as folder:
        home = Path(folder)
        shutil.copy(migrated_database(), home / "prefect.db")
        server = kind(home, env=env)
        server.start()
        try:
            rate, refused = asyncio.run(_burst(server.url, runs, at_once))
        finally:
            server.stop()
        locked = (home / "server.log").read_text(errors="replace").count("database is locked")
        return Measured(rate, refused, locked)


async def _burst(url: str, runs: int, at_once: int) -> tuple[float, int]:
    """Creations per second, and how many requests were refused on the way."""
    refused = 0

    async def count(answer: httpx.Response) -> None:
        nonlocal refused
        refused += answer.status_code == BUSY

    async with httpx.AsyncClient(base_url=url, timeout=120, event_hooks={"response": [count]}) as client:
        flow = await _post(client, "/flows/", {"name": "bench"})
        await _post(client, "/work_pools/", {"name": "bench", "type": "process"})
        wanted = {"name": "bench", "flow_id": flow["id"], "work_pool_name": "bench"}
        deployment = (await _post(client, "/deployments/", wanted))["id"]
        await _create(client, deployment, LATE, datetime.now(UTC) - timedelta(minutes=5), 1)
        began = time.perf_counter()
        await _create(client, deployment, runs, datetime.now(UTC) + timedelta(hours=1), at_once)
        return runs / (time.perf_counter() - began), refused


async def _create(client: httpx.AsyncClient, deployment: str, count: int, at: datetime, at_once: int) -> None:
    waiting = iter(range(count))
    state = {"type": "SCHEDULED", "state_details": {"scheduled_time": at.isoformat()}}

    async def worker() -> None:
        for _ in waiting:
            await _post(client, f"/deployments/{deployment}/create_flow_run", {"state": state})

    await asyncio.gather(*(worker() for _ in range(at_once)))


async def _post(client: httpx.AsyncClient, path: str, body: dict[str, Any]) -> Any:
    while True:
        try:
            answer = await client.post(path, json=body)
        except httpx.ReadError:  # Prefect's own server hangs up now and then when many write
            continue
        if answer.status_code != BUSY:
            answer.raise_for_status()
            return answer.json()
        await asyncio.sleep(0.2)


if __name__ == "__main__":
    main()
