"""A port that another program has."""

from __future__ import annotations

import json
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.services.skald_cli import skald


@pytest.fixture
def taken() -> Iterator[int]:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        yield other.getsockname()[1]


def test_up_names_the_port_and_both_ways_out_and_leaves_no_trace(taken: int, tmp_path: Path) -> None:
    answer = skald("up", "--port", str(taken), home=tmp_path)
    answer.is_clear(4, f"Port {taken}", "already taken", "--port", "PREFECT_API_URL")
    assert not (tmp_path / "run" / "up.json").exists()
    assert not (tmp_path / "prefect" / "prefect.db").exists()


def test_the_doctor_warns_of_it(taken: int, tmp_path: Path) -> None:
    answer = skald("doctor", "--json", home=tmp_path, env={"SKALD_SERVER_PORT": str(taken)})
    (check,) = (one for one in json.loads(answer.out)["checks"] if one["name"] == f"port {taken}")
    assert check["status"] == "warning"
    assert "taken" in check["detail"]
    assert "--port" in check["remedy"]
