"""The server is killed at work, again and again: every task run is in it as its run knows it."""

from __future__ import annotations

import json
import os
import random
import sqlite3
import time
from contextlib import closing
from pathlib import Path

import pytest

from tests.integration.node.harness import Bench
from tests.services.poll import STEP, until
from tests.services.prefect_server import PrefectServer

pytestmark = [pytest.mark.server, pytest.mark.slow, pytest.mark.timeout(1200)]

STEPS = Path(__file__).parent / "events_project" / "steps.py"
HISTORIES = (["Pending", "Running", "Completed"], ["Pending", "Running", "Failed"])


def test_every_task_run_is_in_the_server_as_its_run_knows_it(
    own_server: PrefectServer, tmp_path: Path
) -> None:
    seed = int(os.environ.get("FAULT_SEED", random.SystemRandom().randrange(10**6)))
    count = int(os.environ.get("FAULT_RUNS", "40"))
    print(f"FAULT_SEED={seed} FAULT_RUNS={count}")
    bench = Bench(own_server, tmp_path / "bench")
    (bench.project / "steps.py").write_text(STEPS.read_text())
    marks = bench.marks()
    deployment = bench.deploy("steps.py:five_steps")
    runs = [bench.run(deployment, marks) for _ in range(count)]
    database = own_server.home / "prefect.db"
    with bench.node() as node:
        kills = kill_at_work(own_server, random.Random(seed), marks, count)
        print(f"kills: {kills}")
        until(lambda: completed(database) == count, 120, "every run Completed")
        known = {run: json.loads((marks / run).read_text()) for run in runs}
        began = time.monotonic()
        differences: list[str] = []

        def same() -> bool:
            differences[:] = compare(database, known)
            return not differences

        try:
            until(same, 120, "the task runs as their runs know them")
        except AssertionError:
            raise AssertionError(f"seed {seed}: {differences[:20]}\n{node.log.read_text()[-3000:]}") from None
        print(f"the same after {time.monotonic() - began:.1f} s")
        assert not lost(database)


def kill_at_work(server: PrefectServer, chance: random.Random, marks: Path, count: int) -> int:
    """SIGKILL, and start, after each few runs that ended, until all have; how often."""
    kills = 0
    deadline = time.monotonic() + 900
    while (ended := len(list(marks.iterdir()))) < count:
        assert time.monotonic() < deadline, f"{ended} of {count} runs ended"
        enough, patience = ended + chance.randint(3, 30), time.monotonic() + 15
        while len(list(marks.iterdir())) < enough and time.monotonic() < patience:
            time.sleep(STEP)
        time.sleep(chance.uniform(0, 0.2))
        server.kill()
        server.start()
        kills += 1
    return kills


def completed(database: Path) -> int:
    return len(rows(database, "SELECT id FROM flow_run WHERE state_type = 'COMPLETED'"))


def compare(database: Path, known: dict[str, list[dict[str, str]]]) -> list[str]:
    """What the server lacks, or has otherwise."""
    state_ids = dict(rows(database, "SELECT id, state_id FROM task_run"))
    histories: dict[str, list[str]] = {}
    for task_run, name in rows(database, "SELECT task_run_id, name FROM task_run_state ORDER BY timestamp"):
        histories.setdefault(task_run, []).append(name)
    found: list[str] = []
    for run, steps in known.items():
        for number, step in enumerate(steps):
            id_ = step["task_run"]
            if state_ids.pop(id_, None) != step["state"] or histories[id_] not in HISTORIES:
                found.append(f"run {run}: task run {number} has states {histories.get(id_)}")
    return found + [f"task run {id_} is unknown to its run" for id_ in state_ids]


def lost(database: Path) -> list[str]:
    """What a node said of events that it gave up."""
    said = rows(database, "SELECT message, name FROM log WHERE name = 'skald.node' AND level >= 30")
    return [message for message, _ in said if "event" in message]


def rows(database: Path, query: str) -> list[tuple[str, str]]:
    with closing(sqlite3.connect(f"file:{database}?mode=ro", uri=True, timeout=30)) as connection:
        return connection.execute(query).fetchall()
