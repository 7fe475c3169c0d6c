"""The server is killed at work, again and again: every task run is in it as its run knows it."""

from __future__ import annotations

import json
import os
import random
import time
from pathlib import Path
from typing import Any

import pytest

from tests.integration.node.harness import Bench
from tests.services.poll import STEP, until
from tests.services.prefect_server import PrefectServer

pytestmark = [pytest.mark.server, pytest.mark.slow, pytest.mark.timeout(900)]

STEPS = Path(__file__).parent / "events_project" / "steps.py"
HISTORY = [["Pending", "Running", "Completed"]] * 3 + [["Pending", "Running", "Failed"]]
PAGE = 200


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
    with bench.node() as node:
        kills = kill_at_work(own_server, random.Random(seed), marks, count)
        print(f"kills: {kills}")
        for run in runs:
            bench.reaches(run, "Completed", seconds=120)
        known = {run: json.loads((marks / run).read_text()) for run in runs}
        differences: list[str] = []

        def same() -> bool:
            differences[:] = compare(bench, known)
            return not differences

        try:
            until(same, 120, "the task runs as their runs know them")
        except AssertionError:
            raise AssertionError(f"seed {seed}: {differences[:20]}\n{node.log.read_text()[-3000:]}") from None
        assert not [log for log in warnings(bench) if "event" in log["message"]]


def kill_at_work(server: PrefectServer, chance: random.Random, marks: Path, count: int) -> int:
    """SIGKILL, and start, after each few runs that ended, until all have; how often."""
    kills = 0
    deadline = time.monotonic() + 600
    while (ended := len(list(marks.iterdir()))) < count:
        assert time.monotonic() < deadline, f"{ended} of {count} runs ended"
        enough, patience = ended + chance.randint(3, 25), time.monotonic() + 15
        while len(list(marks.iterdir())) < enough and time.monotonic() < patience:
            time.sleep(STEP)
        time.sleep(chance.uniform(0, 0.2))
        server.kill()
        server.start()
        kills += 1
    return kills


def compare(bench: Bench, known: dict[str, list[dict[str, str]]]) -> list[str]:
    """What the server lacks, or has otherwise."""
    recorded = task_runs(bench, list(known))
    found: list[str] = []
    for run, steps in known.items():
        for number, step in enumerate(steps):
            task_run = recorded.get(step["task_run"])
            if task_run is None:
                found.append(f"run {run}: task run {number} is missing")
            elif task_run["state_id"] != step["state"]:
                found.append(f"run {run}: task run {number} is {task_run['state_name']}")
            else:
                found += lacks_history(bench, step, run)
    extra = set(recorded) - {step["task_run"] for steps in known.values() for step in steps}
    return found + [f"task run {id_} is unknown to its run" for id_ in extra]


def lacks_history(bench: Bench, step: dict[str, str], run: str) -> list[str]:
    states = bench.api("GET", f"/task_run_states/?task_run_id={step['task_run']}")
    names = [state["name"] for state in sorted(states, key=lambda state: str(state["timestamp"]))]
    return [] if names in HISTORY else [f"run {run}: a task run's states are {names}"]


def task_runs(bench: Bench, runs: list[str]) -> dict[str, Any]:
    """The task runs of these runs, by id."""
    found: dict[str, Any] = {}
    for start in range(0, len(runs), PAGE // 10):
        body = {"flow_runs": {"id": {"any_": runs[start : start + PAGE // 10]}}, "limit": PAGE}
        found |= {each["id"]: each for each in bench.api("POST", "/task_runs/filter", body)}
    return found


def warnings(bench: Bench) -> list[dict[str, Any]]:
    body = {"logs": {"level": {"ge_": 30, "le_": 30}}, "limit": PAGE}
    found: list[dict[str, Any]] = bench.api("POST", "/logs/filter", body)
    return found
