"""The wheel, as a plain pip installs it: nothing of the checkout, no constraints; in CI each supported Python."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.conftest import required
from tests.services.footage import bikes
from tests.services.leashed import leashed
from tests.services.poll import until
from tests.services.prefect_server import free_port

ROOT = Path(__file__).parents[2]
PYTHONS = ("3.11", "3.12", "3.13")
THIS = ".".join(map(str, sys.version_info[:2]))
OURS = ("PREFECT_", "SKALD_", "PYTHON", "VIRTUAL_ENV", "PIP_CONSTRAINT")


class Installation:
    """A virtual environment with the wheel in it, and a home of its own."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.home = folder / "skald"
        clean = {name: value for name, value in os.environ.items() if not name.startswith(OURS)}
        (folder / "user").mkdir()
        self.env = {
            **clean,
            "HOME": str(folder / "user"),
            "SKALD_HOME": str(self.home),
            "SYSTEM_CONTROLLER_PORT": str(free_port()),
            "DO_NOT_TRACK": "1",
        }
        self.program = folder / "venv" / "bin" / "skald"

    def skald(self, *arguments: str, seconds: float = 120) -> str:
        """Standard output of ``skald ARGUMENTS``, run outside the checkout."""
        done = subprocess.run(
            [str(self.program), *arguments],
            env=self.env,
            cwd=self.folder,
            capture_output=True,
            text=True,
            timeout=seconds,
            check=False,
        )
        assert done.returncode == 0, f"skald {' '.join(arguments)}: {done.stdout}\n{done.stderr}"
        return done.stdout

    @contextlib.contextmanager
    def up(self) -> Iterator[None]:
        """``skald up --media FOLDER`` on a free port; ends in order on one SIGINT."""
        log = self.folder / "up.log"
        command = [str(self.program), "up", "--port", str(free_port())]
        with log.open("wb") as output:
            process = subprocess.Popen(
                leashed([*command, "--name", "smoke", "--media", str(self.folder)]),
                env=self.env,
                cwd=self.folder,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
            )

        def announced() -> bool:
            assert process.poll() is None, log.read_text()
            return (self.home / "run" / "up.json").exists()

        try:
            until(announced, 120, f"skald up; its log: {log}")
            yield
        finally:
            process.send_signal(signal.SIGINT)
            code = process.wait(60)
        assert code == 0, log.read_text()


@pytest.fixture(scope="session")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("wheel")
    _pip(Path(sys.executable), "wheel", "--no-deps", "--wheel-dir", str(folder), str(ROOT))
    return next(folder.glob("*.whl"))


@pytest.mark.slow
@pytest.mark.server
@pytest.mark.timeout(900)
@pytest.mark.parametrize("python", PYTHONS if os.environ.get("CI") else [THIS])
def test_the_wheel_in_an_empty_environment_runs_a_task(python: str, wheel: Path, tmp_path: Path) -> None:
    made = Installation(tmp_path)
    subprocess.run([str(_interpreter(python)), "-m", "venv", str(tmp_path / "venv")], check=True)
    # Of the others only what they run is compiled: of all that pip brings, that is a small part.
    compiled = [] if python == THIS else ["--no-compile"]
    _pip(tmp_path / "venv" / "bin" / "python", "install", *compiled, str(wheel))

    assert f"python {python}." in made.skald("version")
    told = json.loads(made.skald("doctor", "--json"))
    assert [check for check in told["checks"] if check["status"] == "failed"] == []
    with made.up():
        made.skald("deploy", "--name", "complex_job", "--name", "analyze")
        job = '[{"name": "Only", "duration": 0.1}]'
        task = json.loads(made.skald("submit", "complex_job", f"subTasks={job}", "--wait", "--json"))
        assert task["state"]["type"] == "COMPLETED", task
        # The node signs the task soon after its start, not before it.
        until(lambda: _node(made, task["id"]) == "smoke", 30, "the node's name on the task")
        shutil.copy(bikes(), tmp_path / "holiday.mp4")
        task = json.loads(made.skald("submit", "analyze", "input=holiday.mp4", "--wait", "--json"))
        assert task["state"]["type"] == "COMPLETED", task
    if python == THIS:
        assert "contact" in made.skald("demo", seconds=300).lower()


def _node(made: Installation, task: str) -> object:
    return json.loads(made.skald("task", task, "--json"))["node"]


def _pip(python: Path, *arguments: str) -> None:
    env = {name: value for name, value in os.environ.items() if name != "PIP_CONSTRAINT"}
    command = [str(python), "-m", "pip", "--disable-pip-version-check", *arguments, "--quiet"]
    done = subprocess.run(command, env=env, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def _interpreter(version: str) -> Path:
    """This one, pyenv's, or the one on PATH; shims that lead nowhere are passed over."""
    pyenv = Path(os.environ.get("PYENV_ROOT", "~/.pyenv")).expanduser() / "versions"
    found = [Path(sys.executable), *sorted(pyenv.glob(f"{version}.*/bin/python"))]
    if on_path := shutil.which(f"python{version}"):
        found.append(Path(on_path))
    ask = "import sys; print('%d.%d' % sys.version_info[:2])"
    for candidate in found:
        told = subprocess.run([str(candidate), "-c", ask], capture_output=True, text=True, check=False)
        if told.stdout.strip() == version:
            return candidate
    required(f"Python {version}")
    raise AssertionError
