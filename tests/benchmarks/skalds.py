"""This product beside skalds 0.3.8, on the same Kafka, Redis and MongoDB: ``make bench NAME=skalds``.

The two take turns, each alone while it is measured, in rounds, so that noise hits both; both are used through
MongoDB and Kafka by one client. Skalds runs with the two repairs that its dispatching needs at all
(``tests/services/skalds_peer/controller.py``). This product is a Prefect server on Postgres (which idles while
the other is measured), a bridge and a node. ``--quick`` takes few samples of each.

The last line is one JSON object; times are medians in seconds, ``ratio`` how many times faster this product is
from document to user code, ``burst_ratio`` its burst over theirs; lost and doubled are of all kills together.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import signal
import statistics
import sys
import tempfile
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

from rich.console import Console

from tests.benchmarks.skalds_kills import KILLS, Losses
from tests.benchmarks.skalds_measures import burst, cancel, finish, latency, update
from tests.benchmarks.skalds_sides import OURS, THEIRS, Ours, Side, Theirs
from tests.benchmarks.skalds_table import figures, show
from tests.services.postgres import running_postgres
from tests.services.prefect_server import PrefectServer
from tests.services.skalds_peer.world import World, running_world

Times = dict[str, dict[str, list[float]]]
"""Samples by measurement and side."""


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks.skalds", description=__doc__)
    parser.add_argument("--latency", type=int, default=20, metavar="N", help="tasks one at a time")
    parser.add_argument("--rounds", type=int, default=4, metavar="N", help="turns of each side")
    parser.add_argument("--burst", type=int, default=50, metavar="N", help="tasks at once, each round")
    parser.add_argument("--watch", type=float, default=60, metavar="S", help="seconds after each kill")
    parser.add_argument(
        "--kills", default=",".join(KILLS), metavar="NAMES", help="of the kills; none: no kills"
    )
    parser.add_argument("--only", choices=[THEIRS, OURS], help="measure one side alone")
    parser.add_argument("--quick", action="store_true", help="a short form")
    options = parser.parse_args()
    if not 1 <= options.rounds <= options.latency:
        parser.error("--latency: each of --rounds takes one at least")
    if options.quick:
        options.latency, options.rounds, options.watch = min(options.latency, 4), 1, min(options.watch, 30)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("stopped"))
    console = Console(file=sys.stderr)
    with sides() as both:
        chosen = [side for side in both if options.only in (None, side.name)]
        times = timed(chosen, options.latency, options.rounds, options.burst, console)
        kills = [name for name in options.kills.split(",") if name and name != "none"]
        losses = killed(chosen, kills, options.burst, options.watch, console)
    show(Console(), times, losses)
    print(json.dumps(figures(times, losses)))


@contextlib.contextmanager
def sides() -> Iterator[list[Side]]:
    with contextlib.ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="skald-bench-")))
        (folder / OURS).mkdir()
        world = stack.enter_context(running_world(folder))
        # Of the same services, with a database of its own: neither finds the other's tasks.
        own = stack.enter_context(
            contextlib.closing(World(folder / OURS, world.kafka, world.redis, world.mongo))
        )
        cluster = stack.enter_context(running_postgres())
        server = PrefectServer(folder / "prefect", database_url=cluster.prefect_url)
        stack.callback(server.stop)
        server.start()
        yield [Theirs(world), Ours(own, server)]


def timed(both: list[Side], count: int, rounds: int, size: int, console: Console) -> Times:
    times: Times = defaultdict(lambda: defaultdict(list))
    for number in range(rounds):
        for side in both:
            world, name = side.world, side.name
            # The last round takes what is left over.
            share = count // rounds + (count % rounds if number == rounds - 1 else 0)
            with side.up():
                times["start"][name] += latency(world, share, seed=number)
                times["burst"][name].append(burst(world, size))
                times["finish"][name] += finish(world, 2, seconds=12)
                times["cancel"][name] += cancel(world, 2)
                times["update"][name] += update(world, 5)
            medians = {what: round(statistics.median(taken[name]), 3) for what, taken in times.items()}
            console.print(f"round {number + 1} of {rounds}, {name}: {medians}", highlight=False)
    return times


def killed(
    both: list[Side], kills: list[str], size: int, watch: float, console: Console
) -> dict[str, dict[str, Losses]]:
    """Losses by kill and side."""
    found: dict[str, dict[str, Losses]] = defaultdict(dict)
    for kill in kills:
        for side in both:
            count = {"node": 6, "restart": 20}.get(kill, size)
            with side.up():
                found[kill][side.name] = KILLS[kill](side, count, watch)
            console.print(f"{kill} killed, {side.name}: {found[kill][side.name]}", highlight=False)
    return found


if __name__ == "__main__":
    main()
