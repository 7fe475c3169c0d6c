"""``make services`` and ``make services-stop``, beside whatever runs on the usual ports."""

from __future__ import annotations

import os
import re
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import redis

from tests.services.service import alive, lasting_port, taken

Make = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def make(tmp_path: Path) -> Iterator[Make]:
    """``make("start")`` in a folder and on ports of this test."""
    kafka = lasting_port()
    while any(taken(kafka + at) for at in range(4)):
        kafka = lasting_port()
    ports = {"KAFKA_PORT": kafka, "REDIS_PORT": lasting_port(), "MONGO_PORT": lasting_port()}
    env = {
        **os.environ,
        "SERVICES_FOLDER": str(tmp_path),
        **{name: str(port) for name, port in ports.items()},
    }

    def run(word: str, **more: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "tests.services", word]
        return subprocess.run(command, env={**env, **more}, capture_output=True, text=True, timeout=200)

    yield run
    run("stop")


def pids(said: str) -> list[int]:
    """The table's second column."""
    return [int(pid) for pid in re.findall(r"^\w+ +(\d+) +127\.0\.0\.1:", said, re.MULTILINE)]


def variables(said: str) -> dict[str, str]:
    return dict(re.findall(r"(\w+)=(\S+)", said))


def test_services_run_until_they_are_stopped_and_keep_their_data(make: Make) -> None:
    first = make("start")
    assert first.returncode == 0, first.stderr
    said = variables(first.stdout)
    assert said["MONGO_HOST"].startswith("mongodb://127.0.0.1:")
    assert said["KAFKA_HOST"] == said["REDIS_HOST"] == "127.0.0.1"
    assert taken(int(said["KAFKA_PORT"]))
    with redis.Redis(port=int(said["REDIS_PORT"])) as client:
        client.set("key", "value")

    running = pids(first.stdout)
    assert len(running) == 3, first.stdout
    assert pids(make("start").stdout) == running

    assert make("stop").stdout == "Stopped: Kafka, Redis, SecantusDB.\n"
    assert not any(alive(pid) for pid in running)
    assert make("stop").stdout == "None of them ran.\n"

    assert make("start").returncode == 0
    with redis.Redis(port=int(said["REDIS_PORT"])) as client:
        assert client.get("key") == b"value"


def test_a_port_that_is_taken_is_named_before_anything_starts(make: Make, tmp_path: Path) -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        refused = make("start", REDIS_PORT=str(port))
    assert refused.returncode == 1
    assert f"port {port} of 127.0.0.1 is taken" in refused.stderr
    assert "make services REDIS_PORT=" in refused.stderr
    assert "Traceback" not in refused.stderr
    assert not list(tmp_path.glob("*.json"))


def test_a_port_that_is_none_is_said(make: Make) -> None:
    refused = make("start", KAFKA_PORT="nine")
    assert refused.returncode == 1
    assert "KAFKA_PORT=nine" in refused.stderr
    assert "Traceback" not in refused.stderr
