"""The bench of placement, small."""

from __future__ import annotations

import json
import subprocess
import sys

from tests.benchmarks.placement import run
from tests.benchmarks.workers import ROOT


def test_the_last_line_is_one_json_object_keyed_by_size() -> None:
    command = [sys.executable, "-m", "tests.benchmarks.placement", "--decisions", "50", "--sizes", "20", "40"]
    said = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, timeout=120, check=True).stdout
    figures = json.loads(said.splitlines()[-1])
    assert set(figures) == {"p50_us", "p99_us", "bytes_per_node"}
    assert set(figures["p50_us"]) == set(figures["p99_us"]) == {"20", "40"}
    assert all(0 < figures["p50_us"][size] <= figures["p99_us"][size] for size in ("20", "40"))


def test_most_requests_find_a_place_and_every_run_decides_the_same() -> None:
    runs = [run(60, 200, 7) for _ in range(2)]
    assert runs[0].granted == runs[1].granted > 100
    assert len(runs[0].times) == 200
