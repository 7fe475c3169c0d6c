"""How fast a no-op run starts on a node, beside Prefect's stock process worker on the same server.

Both workers are up the whole time; latency samples alternate between them, so that noise hits both. A run's
clock starts just before its create call and stops at the first line of user code. Each side has one uncounted
sample first.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import signal
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

from rich.console import Console

from tests.benchmarks.measures import Sample, burst, memory, requests, sample, whole_memory
from tests.benchmarks.prefect_api import Api
from tests.benchmarks.table import LOADED, Side, Warm, figures, show, show_warm, warm_figures
from tests.benchmarks.workers import FLOWS, NODE, ROOT, STOCK, Worker
from tests.services.postgres import binaries, running_postgres
from tests.services.prefect_server import PrefectServer, running_server


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks.start", description=__doc__)
    parser.add_argument("--latency", type=int, default=15, metavar="N", help="samples of each worker")
    parser.add_argument("--burst", type=int, default=50, metavar="N", help="runs created at once")
    parser.add_argument("--database", choices=["auto", "postgres", "sqlite"], default="auto")
    parser.add_argument("--json-only", action="store_true", help="no table, no progress")
    options = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("stopped"))
    console = Console(quiet=options.json_only)
    database = options.database
    if database == "auto":
        database = "postgres" if binaries() else "sqlite"
    with contextlib.ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="skald-bench-")))
        server = stack.enter_context(_server(database, folder))
        stock, node = _measure(server, folder, options.latency, options.burst, console)
        warm = _warm(server, folder, options.latency, console)
    show(console, database, stock, node)
    show_warm(console, warm)
    print(json.dumps({**figures(database, stock, node), **warm_figures(warm)}))


@contextlib.contextmanager
def _server(database: str, folder: Path) -> Iterator[PrefectServer]:
    if database == "sqlite":
        with running_server(folder / "prefect") as server:
            yield server
        return
    with running_postgres() as cluster:
        server = PrefectServer(folder / "prefect", database_url=cluster.prefect_url)
        try:
            server.start()
            yield server
        finally:
            server.stop()


def _measure(
    server: PrefectServer, folder: Path, latency: int, count: int, console: Console
) -> tuple[Side, Side]:
    with contextlib.closing(Api(server.url)) as api:
        workers = [Worker(kind, api, folder) for kind in (STOCK, NODE)]
        samples: dict[str, list[Sample]] = {worker.kind: [] for worker in workers}
        bursts, sizes, asked = {}, {}, {}
        console.print(f"Prefect on {server.url}; starting both workers", highlight=False)
        with contextlib.ExitStack() as stack:
            for worker in workers:
                stack.enter_context(worker.running(server.client_env))
                sample(worker)
            for index in range(latency):
                for worker in workers:
                    samples[worker.kind].append(sample(worker))
                both = ", ".join(f"{kind} {taken[-1].user_code:.3f} s" for kind, taken in samples.items())
                console.print(f"latency {index + 1} of {latency}: {both}", highlight=False)
            for worker in workers:
                sizes[worker.kind] = memory(worker, folder)
            for worker in reversed(workers):
                done = bursts[worker.kind] = burst(worker, count)
                console.print(f"burst of {count}: {worker.kind} {done.per_second:.2f}/s", highlight=False)
        for worker in workers:
            console.print(f"counting the requests of the {worker.kind} worker", highlight=False)
            asked[worker.kind] = requests(worker, server.client_env)
    stock, node = (Side(samples[kind], bursts[kind], sizes[kind], asked[kind]) for kind in (STOCK, NODE))
    return stock, node


def _warm(server: PrefectServer, folder: Path, latency: int, console: Console) -> Warm:
    """What warmth costs and gives: no-ops of three kinds by turns, then a node with 20 deployments loaded."""
    with contextlib.closing(Api(server.url)) as api:
        node = Worker(NODE, api, folder)
        kinds = {"light": node.noop, "heavy": node.heavy, "imported": node.unshared}
        samples: dict[str, list[Sample]] = {kind: [] for kind in kinds}
        with node.running(server.client_env):
            node.loaded(4)
            for deployment in kinds.values():
                sample(node, deployment)
            for index in range(latency):
                for kind, deployment in kinds.items():
                    samples[kind].append(sample(node, deployment))
                both = ", ".join(f"{kind} {taken[-1].user_code:.3f} s" for kind, taken in samples.items())
                console.print(f"warm {index + 1} of {latency}: {both}", highlight=False)
        full = Worker(NODE, api, folder)
        for index in range(LOADED - 4):
            copy = folder / f"copy-{index}"
            copy.mkdir()
            (copy / "noop.py").write_text((ROOT / FLOWS / "noop.py").read_text())
            api.deployment(full.pool, "noop.py:noop", str(copy), f"noop-{index}")
        console.print(f"loading {LOADED} deployments", highlight=False)
        with full.running(server.client_env):
            full.loaded(LOADED)
            full.rested()
            size = whole_memory(full)
    return Warm(samples, size)


if __name__ == "__main__":
    main()
