"""The mirror with real Kafka, Redis and MongoDB behind it: how soon a state is with a consumer, how many a second.

Latency: one state after another is set in a Prefect server; the clock runs from Prefect's answer to the record
at a Kafka consumer (below zero is none: Prefect tells of a state before it answers). Throughput: the states of
made-up tasks go through decisions, journal and all three services, until the last of them has everything; Prefect
has no part in it. Both once more over a journal that holds a million records already. The last line is one JSON
object: ``states_per_s``, ``latency_p50_ms``, ``latency_p99_ms``, ``rss_growth_mb`` (of the process, from the first
tenth of the states to the last), ``memory_mb`` (of it at the last), and of the million records
``million_states_per_s``, ``million_p50_ms``, ``million_memory_mb``. Each throughput has a process of its own.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import gc
import json
import multiprocessing
import os
import statistics
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from unittest.mock import patch
from uuid import UUID, uuid4

import psutil
from confluent_kafka import Consumer
from prefect.client.orchestration import get_client
from prefect.states import Completed, Pending, Running
from pydantic import SecretStr
from rich.console import Console
from rich.progress import track
from rich.table import Table

from skald_bridge import main as bridges
from skald_bridge.domain.facts import Node, State, Task
from skald_bridge.domain.ids import StateId, TaskId
from skald_bridge.domain.lifecycle import StateType
from skald_bridge.services.bridge import Bridge
from skald_bridge.settings import Settings
from skald_work_pools.messages import TAKEN_BY
from tests.benchmarks.mirror_filled import fill
from tests.services.kafka import Kafka, running_kafka
from tests.services.mongo import running_mongo
from tests.services.prefect_server import running_server
from tests.services.redis_server import running_redis
from tests.services.runs import deploy, start, talking_to

_LIFE = (StateType.SCHEDULED, StateType.PENDING, StateType.RUNNING, StateType.RUNNING, StateType.COMPLETED)
_PAGE = 200
_START = datetime(2026, 1, 1, tzinfo=UTC)
_MIB = 2**20


class MadeUp:
    """The parts of the ``Engine`` port that sweep and pulse ask: tasks that have ended, their states; no nodes."""

    async def class_names(self) -> list[str]:
        return ["Probe"]

    async def nodes(self) -> list[Node]:
        return []

    async def history(self, task: TaskId) -> list[State]:
        return states_of(task)


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks.mirror", description=__doc__)
    parser.add_argument("--states", type=int, default=100_000, metavar="N", help="for the throughput")
    parser.add_argument("--latency", type=int, default=100, metavar="N", help="states, one after another")
    parser.add_argument("--records", type=int, default=1_000_000, metavar="N", help="of the filled journal")
    options = parser.parse_args()
    console = Console(file=sys.stderr)
    with services() as (settings, kafka), tempfile.TemporaryDirectory(prefix="skald-bench-") as folder:
        console.print("Kafka, Redis and MongoDB are up")
        few, many, new = (Path(folder) / name for name in ("few.db", "many.db", "new.db"))
        asyncio.run(fill(many, options.records, datetime.now(UTC)))
        console.print(f"a journal of {options.records} records takes {many.stat().st_size / _MIB:.0f} MiB")
        latencies = asyncio.run(latency(settings, kafka, few, options.latency))
        among_many = asyncio.run(latency(settings, kafka, many, options.latency))
        empty, filled = (alone(settings, path, options.states) for path in (new, many))
    table = Table("", "empty", f"{options.records} records")
    p50, p99 = statistics.median(latencies), statistics.quantiles(latencies, n=100, method="inclusive")[-1]
    million_p50 = statistics.median(among_many)
    million_p99 = statistics.quantiles(among_many, n=100, method="inclusive")[-1]
    table.add_row("state → Kafka consumer, p50", f"{p50:.1f} ms", f"{million_p50:.1f} ms")
    table.add_row("state → Kafka consumer, p99", f"{p99:.1f} ms", f"{million_p99:.1f} ms")
    table.add_row("states through all three services", f"{empty.rate:.0f}/s", f"{filled.rate:.0f}/s")
    table.add_row("memory growth", f"{empty.growth:.1f} MiB", f"{filled.growth:.1f} MiB")
    table.add_row("memory", f"{empty.memory:.1f} MiB", f"{filled.memory:.1f} MiB")
    Console().print(table)
    told = {
        "states_per_s": round(empty.rate),
        "latency_p50_ms": round(p50, 1),
        "latency_p99_ms": round(p99, 1),
        "rss_growth_mb": round(empty.growth, 1),
        "memory_mb": round(empty.memory, 1),
        "million_states_per_s": round(filled.rate),
        "million_p50_ms": round(million_p50, 1),
        "million_memory_mb": round(filled.memory, 1),
        "states": options.states,
    }
    print(json.dumps(told))


@contextlib.contextmanager
def services() -> Iterator[tuple[Settings, Kafka]]:
    with contextlib.ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="skald-bench-")))
        kafka = stack.enter_context(running_kafka(folder / "kafka"))
        redis = stack.enter_context(running_redis(folder / "redis"))
        mongo = stack.enter_context(running_mongo(folder / "mongo"))
        yield (
            Settings(
                kafka_host="127.0.0.1",
                kafka_port=kafka.port,
                redis_host="127.0.0.1",
                redis_port=redis.port,
                mongo_host=SecretStr(mongo.uri),
            ),
            kafka,
        )


async def latency(settings: Settings, kafka: Kafka, path: Path, count: int) -> list[float]:
    """Milliseconds, with the journal at ``path``."""
    with running_server(path.with_suffix(".prefect")) as server, talking_to(server.url):
        arrivals = Arrivals(kafka)
        async with bridges.bridge(path, settings) as bridge, get_client() as client:
            running = asyncio.create_task(bridge.run())
            deployed = await deploy(client)
            answered: dict[UUID, float] = {}
            for number in range(-3, count):
                if number % 3 == 0 or number < 0:
                    run = await start(client, deployed)
                    steps = iter((Pending(message=TAKEN_BY + "n1"), Running(), Completed()))
                result = await client.set_flow_run_state(run, next(steps), force=True)
                assert result.state is not None
                if number >= 0:
                    answered[result.state.id] = time.time()
                await arrivals.of(result.state.id)
            running.cancel()
            await asyncio.wait([running])
        arrivals.close()
    return [1000 * max(0.0, arrivals.at[str(state)] - at) for state, at in answered.items()]


class Arrivals:
    """When each state was read from ``task.state``, by its id; Unix time."""

    def __init__(self, kafka: Kafka) -> None:
        self.at: dict[str, float] = {}
        self._consumer = Consumer(
            {
                **kafka.client(),
                "group.id": f"bench-{uuid4().hex}",
                "auto.offset.reset": "earliest",
                "fetch.wait.max.ms": 5,
                "allow.auto.create.topics": True,
                "topic.metadata.refresh.interval.ms": 500,
            }
        )
        self._consumer.subscribe(["task.state"])
        self._closed = threading.Event()
        self._thread = threading.Thread(target=self._listen, daemon=True)
        self._thread.start()

    async def of(self, state: UUID) -> None:
        deadline = time.monotonic() + 60
        while str(state) not in self.at:
            assert time.monotonic() < deadline, f"{state} has not arrived"
            await asyncio.sleep(0.001)

    def close(self) -> None:
        self._closed.set()
        self._thread.join()
        self._consumer.close()

    def _listen(self) -> None:
        while not self._closed.is_set():
            message = self._consumer.poll(0.1)
            if message is not None and message.error() is None:
                self.at.setdefault(json.loads(message.value() or b"{}")["id"], time.time())


@dataclass(frozen=True)
class Throughput:
    """``rate``: states a second; ``growth`` and ``memory`` of the process, MiB."""

    rate: float
    growth: float
    memory: float


def alone(settings: Settings, path: Path, states: int) -> Throughput:
    """Measured in a process of its own, over the journal at ``path``."""
    with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as pool:
        return pool.submit(_measured, settings, path, states).result()


def _measured(settings: Settings, path: Path, states: int) -> Throughput:
    return asyncio.run(throughput(settings, path, states, Console(file=sys.stderr)))


async def throughput(settings: Settings, path: Path, states: int, console: Console) -> Throughput:
    begin = 1000 * int(time.time())
    tasks = [id_at(begin + number) for number in range(states // len(_LIFE))]
    process = psutil.Process(os.getpid())
    with patch.object(bridges, "PrefectEngine", lambda **_: contextlib.nullcontext(MadeUp())):
        async with bridges.bridge(path, settings) as bridge:
            carriers = {"pulse", *(relay.name for relay in bridge.relays)}
            relaying = [asyncio.create_task(loop.run()) for loop in bridge.loops if loop.name in carriers]
            began, sizes = time.perf_counter(), []
            pages = range(0, len(tasks), _PAGE)
            for first in track(pages, "mirroring", console=console):
                page = [ended(task) for task in tasks[first : first + _PAGE]]
                await bridge.mirror.reconcile(page, bridge.mirror.memory.round)
                if first in (pages[len(pages) // 10], pages[-1]):
                    gc.collect()
                    sizes.append(process.memory_info().rss / _MIB)
            await _delivered(bridge, len(tasks))
            took = time.perf_counter() - began
            for task in relaying:
                task.cancel()
            await asyncio.wait(relaying)
    return Throughput(len(tasks) * len(_LIFE) / took, sizes[-1] - sizes[0], sizes[-1])


async def _delivered(bridge: Bridge, tasks: int) -> None:
    wanted = {"kafka": tasks * len(_LIFE), "redis": tasks, "mongodb": tasks}
    deadline = time.monotonic() + 300
    while any(relay.delivered < wanted.get(relay.name, 0) for relay in bridge.relays):
        assert time.monotonic() < deadline, {relay.name: relay.delivered for relay in bridge.relays}
        await asyncio.sleep(0.01)


def id_at(ms: int) -> TaskId:
    """As Prefect makes ids: the milliseconds since 1970, then chance."""
    return TaskId(str(UUID(f"{ms:012x}7{uuid4().hex[13:]}")))


def ended(task: TaskId) -> Task:
    last = states_of(task)[-1]
    return Task(
        id=task,
        name="happy-otter",
        class_name="Probe",
        state=last,
        created=_START,
        attachments={"inputUrl": "rtsp://127.0.0.1/cam", "segmentSeconds": 10},
        end=last.at,
    )


def states_of(task: TaskId) -> list[State]:
    return [
        State(
            StateId(f"{task[:-2]}{number:02}"),
            kind,
            kind.value.capitalize(),
            _START + timedelta(seconds=number),
            TAKEN_BY + "n1" if kind is StateType.PENDING else None,
        )
        for number, kind in enumerate(_LIFE)
    ]


if __name__ == "__main__":
    main()
