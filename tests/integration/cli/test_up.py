"""`skald up` with real processes: started, crashed, ended; nothing is left behind."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import socket
import subprocess
import tomllib
from collections.abc import Iterator
from pathlib import Path
from uuid import uuid4

import psutil
import pytest

from tests.services.leashed import leashed
from tests.services.poll import until
from tests.services.prefect_server import PrefectServer, free_port, migrated_database
from tests.services.skald_cli import SKALD, Answer, skald, skald_environment

pytestmark = [pytest.mark.server, pytest.mark.timeout(400)]
PARTS_SECONDS = 150


class Up:
    """A running `skald up`."""

    def __init__(self, home: Path, *arguments: str, env: dict[str, str] | None = None) -> None:
        self.home = home
        self.env = env or {}
        self.output = home / "up.out"
        with self.output.open("w") as out:
            self.process = subprocess.Popen(
                leashed([*SKALD, "up", *arguments]),
                env=skald_environment(home, self.env),
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=out,
                start_new_session=True,
            )

    def wait_up(self) -> dict[str, int]:
        """Process ids of the parts."""

        def found() -> dict[str, int] | None:
            assert self.process.poll() is None, self.output.read_text()
            with contextlib.suppress(OSError, ValueError):
                parts: dict[str, int] = json.loads((self.home / "run" / "up.json").read_text())["parts"]
                return parts
            return None

        parts = until(found, PARTS_SECONDS, f"all parts: {self.output}")
        assert parts is not None
        return parts

    def family(self) -> set[int]:
        """Every process below it, now."""
        return {child.pid for child in psutil.Process(self.process.pid).children(recursive=True)}

    def said(self, *words: str) -> bool:
        return all(word in self.output.read_text() for word in words)

    def cli(self, *arguments: str) -> Answer:
        return skald(*arguments, home=self.home, env=self.env, cwd=self.home)

    def end(self) -> None:
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait(20)


@pytest.fixture
def home(tmp_path: Path) -> Path:
    (tmp_path / "prefect").mkdir()
    shutil.copy(migrated_database(), tmp_path / "prefect" / "prefect.db")
    return tmp_path


@pytest.fixture
def up(home: Path) -> Iterator[Up]:
    """In a shell that has the line exported already, which names the server that is to be started."""
    port = str(free_port())
    own = {"PREFECT_API_URL": f"http://localhost:{port}/api"}
    running = Up(home, "--port", port, "--name", "up-node", "--pool", "up", env=own)
    yield running
    running.end()


@pytest.fixture
def beside(server: PrefectServer, tmp_path: Path) -> Iterator[Up]:
    """With a Prefect server that is there already: bridge and node only."""
    name = f"beside-{uuid4().hex[:8]}"
    arguments = ("--pool", name, "--name", name, "--profile", "skald-test")
    running = Up(tmp_path, *arguments, env={"PREFECT_API_URL": server.url})
    yield running
    running.end()


def gone(pids: set[int]) -> bool:
    return not any(psutil.pid_exists(pid) for pid in pids)


def test_all_parts_run_and_one_ctrl_c_ends_them_in_order(up: Up) -> None:
    parts = up.wait_up()
    assert list(parts) == ["server", "bridge", "node"]
    until(lambda: up.said("export PREFECT_API_URL=http://127.0.0.1:"), 30, "the line to export")
    nodes = up.cli("nodes", "--json").json
    assert [(node["name"], node["pool"], node["status"]) for node in nodes] == [("up-node", "up", "online")]
    assert nodes[0]["capacity"]["cpus"] > 0
    doctor = up.cli("doctor", "--json").json
    api = next(check for check in doctor["checks"] if check["name"] == "Prefect API")
    assert api["status"] == "ok"
    second = up.cli("up")
    assert second.code == 4
    assert f"pid {up.process.pid}" in second.err
    family = up.family()
    assert set(parts.values()) <= family
    up.process.send_signal(signal.SIGINT)
    assert up.process.wait(60) == 0, up.output.read_text()
    assert gone(family)
    lines = up.output.read_text().splitlines()
    assert [line.split(":")[0] for line in lines if line.endswith(": stopped")] == [
        "node",
        "bridge",
        "server",
    ]
    assert not (up.home / "run" / "up.json").exists()
    assert up.cli("tasks").code == 4


def test_its_node_is_linked_to_its_bridge(up: Up) -> None:
    def linked() -> bool:
        return [node["linked"] for node in up.cli("nodes", "--json").json] == [True]

    up.wait_up()
    until(linked, PARTS_SECONDS, "the node says that it is linked")


def test_a_killed_server_comes_back_and_the_others_go_on(up: Up) -> None:
    parts = up.wait_up()
    os.kill(parts["server"], signal.SIGKILL)
    until(lambda: up.output.read_text().count("server: ready") == 2, PARTS_SECONDS, "the server's return")
    assert psutil.pid_exists(parts["bridge"])
    assert psutil.pid_exists(parts["node"])
    assert up.cli("tasks", "--json").json == []


def test_prefects_own_command_is_pointed_here_when_asked(beside: Up) -> None:
    beside.wait_up()
    until(lambda: beside.said("prefect profile use skald-test"), 30, "the hint")
    profiles = tomllib.loads((beside.home / "prefect-client" / "profiles.toml").read_text())
    assert profiles["profiles"]["skald-test"] == {"PREFECT_API_URL": beside.env["PREFECT_API_URL"]}
    assert profiles.get("active") != "skald-test"
    log = (beside.home / "logs" / "bridge.log").read_text()
    for words in (
        f"bridge of {beside.env['PREFECT_API_URL']}",
        "REST for Skalds' clients: http://",
        "embedded",
    ):
        assert words in log


@pytest.mark.parametrize("part", ["bridge", "node"])
def test_a_killed_part_is_started_again(beside: Up, part: str) -> None:
    parts = beside.wait_up()
    assert list(parts) == ["bridge", "node"]
    os.kill(parts[part], signal.SIGKILL)
    until(lambda: beside.output.read_text().count(f"{part}: ready") == 2, PARTS_SECONDS, f"a new {part}")
    assert beside.said(f"{part}: ended (was ended by SIGKILL)", f"{part}: restarting")


def test_kill_9_leaves_no_process(beside: Up) -> None:
    beside.wait_up()
    family = beside.family()
    assert len(family) >= 2
    beside.process.kill()
    beside.process.wait(10)
    until(lambda: gone(family), 20, "all processes gone")


def test_a_taken_port_is_told_before_anything_starts(tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        said = skald("up", "--port", str(port), home=tmp_path)
    said.is_clear(4, f"Port {port}, wanted for Prefect's server, is already taken", f"--port {port + 1}")
    assert not (tmp_path / "logs").exists()


def test_a_home_that_cannot_be_written_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    said = skald("up", home=tmp_path, env={"SKALD_HOME": str(tmp_path / "file" / "home")})
    said.is_clear(2, "cannot be written", "SKALD_HOME")


def test_a_server_that_does_not_answer_is_told(tmp_path: Path) -> None:
    said = skald("up", home=tmp_path, env={"PREFECT_API_URL": "http://127.0.0.1:1/api"})
    said.is_clear(4, "http://127.0.0.1:1/api does not answer", "PREFECT_API_URL")


def test_without_a_node(server: PrefectServer, tmp_path: Path) -> None:
    pool = f"none-{uuid4().hex[:8]}"
    running = Up(tmp_path, "--no-node", "--pool", pool, env={"PREFECT_API_URL": server.url})
    try:
        assert list(running.wait_up()) == ["bridge"]
        assert running.cli("pool", pool).out.startswith("there already")
        running.process.terminate()
        assert running.process.wait(60) == 0
    finally:
        running.end()
