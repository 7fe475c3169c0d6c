"""What stands in examples/, done as its README says."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.services.footage import bikes
from tests.services.leashed import leashed
from tests.services.poll import until
from tests.services.prefect_server import free_port
from tests.services.skald_cli import SKALD, skald_environment

pytestmark = [pytest.mark.server, pytest.mark.timeout(300)]

EXAMPLES = Path(__file__).parents[2] / "examples"


class Machine:
    """A copy of the examples beside a video, and a home of its own."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        shutil.copytree(EXAMPLES, folder / "examples")
        shutil.copy(bikes(), folder / "clip.mp4")
        (folder / "home").mkdir()
        self.env = skald_environment(folder / "home", {"SKALD_SERVER_PORT": str(free_port())})
        self.log = folder / "up.log"

    def skald(self, *words: str) -> str:
        done = subprocess.run(
            [*SKALD, *words], env=self.env, cwd=self.folder, capture_output=True, text=True, timeout=180
        )
        assert done.returncode == 0, (words, done.stdout, done.stderr, self.log.read_text()[-3000:])
        return done.stdout

    def submitted(self, name: str, *values: str) -> dict[str, object]:
        video = f"video={self.folder / 'clip.mp4'}"
        found: dict[str, object] = json.loads(self.skald("submit", name, video, *values, "--wait", "--json"))
        return found


@pytest.fixture
def machine(tmp_path: Path) -> Iterator[Machine]:
    made = Machine(tmp_path)
    with made.log.open("wb") as out:
        up = subprocess.Popen(
            leashed([*SKALD, "up", "--media", "."]), env=made.env, cwd=made.folder, stdout=out, stderr=out
        )
    try:
        until(lambda: "export PREFECT_API_URL" in made.log.read_text(), 120, f"it is up: {made.log}")
        yield made
    finally:
        up.terminate()
        up.wait(60)


def test_deployed_as_they_are_each_does_its_work(machine: Machine) -> None:
    machine.skald("deploy", "examples/motion")
    machine.skald("deploy", "examples/inference")
    moved = machine.submitted("motion", "threshold=0.001")
    assert moved["state"]["type"] == "COMPLETED", moved  # type: ignore[index]
    # No node of pool gpu is online: the deployment for processors is taken.
    labelled = machine.submitted("inference")
    assert labelled["state"]["type"] == "COMPLETED", labelled  # type: ignore[index]
    said = machine.skald("logs", str(labelled["id"]))
    assert "on cpu, GPU share: none" in said


def test_their_own_tests_pass() -> None:
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "test_motion.py"]
    done = subprocess.run(
        command, cwd=EXAMPLES / "motion", capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "2 passed" in done.stdout


def test_an_edge_runs_a_file_of_skalds_and_ends_with_it(tmp_path: Path) -> None:
    (tmp_path / "home").mkdir()
    shutil.copytree(EXAMPLES / "edge", tmp_path / "edge")
    words = ["run", "edge/cameras.yml", "--mode", "edge", "--import", "edge/workers.py"]
    env = skald_environment(tmp_path / "home", {"SKALD_SERVER_PORT": str(free_port())})
    done = subprocess.run(
        leashed([*SKALD, *words]),
        env=env,
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=200,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
