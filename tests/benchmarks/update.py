"""How fast a hot update reaches user code of a task that runs on a node.

An update's clock starts just before its event is sent on an open connection and stops in user code, or when
the sender hears ``applied``. The last line is one JSON object.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import statistics
import sys
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx
from prefect.events import Event, RelatedResource, Resource
from prefect.events.clients import PrefectEventsClient, PrefectEventSubscriber
from prefect.events.filters import EventFilter, EventNameFilter, EventResourceFilter
from rich.console import Console
from rich.table import Table

from skald_work_pools import messages
from tests.benchmarks.prefect_api import Api
from tests.benchmarks.workers import ROOT
from tests.services.poll import until
from tests.services.prefect_cli import running
from tests.services.prefect_server import PrefectServer, running_server

FLOW = "tests/benchmarks/flows/updated.py:updated"
WARM_UP = 3
PAUSE = 0.05
RESENDS = 30


@dataclass
class Sample:
    """Unix times in seconds."""

    sent: float
    answered: float = 0.0
    done: asyncio.Event = field(default_factory=asyncio.Event)


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks.update", description=__doc__)
    parser.add_argument("--updates", type=int, default=100, metavar="N", help="updates, one after another")
    parser.add_argument("--json-only", action="store_true", help="no table")
    options = parser.parse_args()
    with (
        tempfile.TemporaryDirectory(prefix="skald-bench-") as folder,
        running_server(Path(folder) / "prefect") as up,
    ):
        seen, answered = _measure(up, Path(folder), options.updates)
    figures = {
        "updates": len(seen),
        "update_p50_ms": _percentile(seen, 50),
        "update_p95_ms": _percentile(seen, 95),
        "applied_p50_ms": _percentile(answered, 50),
        "applied_p95_ms": _percentile(answered, 95),
    }
    if not options.json_only:
        table = Table("", "p50 ms", "p95 ms", title=f"{len(seen)} hot updates of a running task")
        for name, key in (("seen by user code", "update"), ("sender hears applied", "applied")):
            table.add_row(name, str(figures[f"{key}_p50_ms"]), str(figures[f"{key}_p95_ms"]))
        Console().print(table)
    print(json.dumps(figures))


def _measure(server: PrefectServer, folder: Path, count: int) -> tuple[list[float], list[float]]:
    stamps, pool = folder / "stamps", f"bench-update-{uuid4().hex[:6]}"
    command = [sys.executable, "-m", "prefect", "worker", "start", "--type", "skald", "--pool", pool]
    env = {"SKALD_HOME": str(folder / "skald")}
    with contextlib.closing(Api(server.url)) as api:
        api.pool(pool, "skald")
        deployment = api.deployment(pool, FLOW, str(ROOT))
        with running(server, [*command, "--name", pool], folder / "node.log", env=env, cwd=ROOT):
            run, _ = api.create(deployment, {"attachments": {"stamps": str(stamps)}})
            until(stamps.exists, 180, f"the task runs; {folder / 'node.log'}")
            pool_id = httpx.get(f"{server.url}/work_pools/{pool}", timeout=30).json()["id"]
            samples = asyncio.run(_send(server.url, run, pool_id, count + WARM_UP))
            lines = until(lambda: _lines(stamps, count + WARM_UP), 30, "user code has seen every update")
    seen = [line["seen"] - line["sent"] for line in lines]
    return seen[WARM_UP:], [each.answered - each.sent for each in samples[WARM_UP:]]


async def _send(url: str, run: str, pool: str, count: int) -> list[Sample]:
    resource = f"prefect.flow-run.{run}"
    answers = EventFilter(
        event=EventNameFilter(name=[messages.UPDATE_APPLIED, messages.UPDATE_REJECTED]),
        resource=EventResourceFilter(id=[resource]),
    )
    samples: dict[str, Sample] = {}
    async with (
        PrefectEventSubscriber(url, answers) as incoming,
        PrefectEventsClient(url, checkpoint_every=1) as outgoing,
    ):

        async def hear() -> None:
            async for event in incoming:
                assert event.event == messages.UPDATE_APPLIED, event.payload
                sample = samples[event.payload["update_id"]]
                sample.answered = time.time()
                sample.done.set()

        hearing = asyncio.create_task(hear())
        for number in range(count):
            update_id, sample = uuid4().hex, Sample(time.time())
            samples[update_id] = sample
            changes = {"sent": sample.sent, "stop": number == count - 1}
            for _ in range(RESENDS):
                await outgoing.emit(_request(resource, pool, update_id, changes))
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(sample.done.wait(), 1)
                    break
            else:
                raise AssertionError(f"update {number + 1} of {count} is not answered")
            await asyncio.sleep(PAUSE)
        hearing.cancel()
    return list(samples.values())


def _request(resource: str, pool: str, update_id: str, changes: dict[str, Any]) -> Event:
    work_pool = {"prefect.resource.id": f"prefect.work-pool.{pool}", "prefect.resource.role": "work-pool"}
    return Event(
        event=messages.UPDATE_REQUESTED,
        resource=Resource({"prefect.resource.id": resource}),
        related=[RelatedResource(work_pool)],
        payload={"update_id": update_id, "changes": changes},
    )


def _lines(stamps: Path, count: int) -> list[dict[str, float]]:
    lines = [json.loads(line) for line in stamps.read_text().splitlines() if line.startswith("{")]
    return lines if len(lines) >= count else []


def _percentile(seconds: list[float], percent: int) -> float:
    return round(1000 * statistics.quantiles(seconds, n=100)[percent - 1], 1)


if __name__ == "__main__":
    main()
