"""A client that knows Skalds' documents, and nothing of this product, works with it."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.services.leashed import leashed
from tests.services.skalds_peer.house import House, HouseBridge, HouseNode
from tests.services.skalds_peer.world import World

pytestmark = [pytest.mark.server, pytest.mark.slow]
CLIENT = Path(__file__).with_name("client.py")


def test_it_creates_watches_updates_and_cancels(world: World, house: House, tmp_path: Path) -> None:
    services = [world.mongo.uri, world.database, world.kafka.bootstrap, str(world.redis.port)]
    with HouseNode(house, "house-1"), HouseBridge(house, "ours", "house-1"):
        client = subprocess.Popen(
            leashed([sys.executable, "-I", str(CLIENT), *services, "Camera"]),
            cwd=tmp_path,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        try:
            assert client.stdin is not None and client.stdout is not None and client.stderr is not None
            said: list[dict[str, Any]] = []
            for line in client.stdout:
                said.append(json.loads(line))
                if said[-1]["what"] == "updated":
                    assert world.stamps.first("update", said[-1]["task"], 30).detail == "12"
                    client.stdin.write("seen\n")
                    client.stdin.flush()
            assert client.wait(30) == 0, client.stderr.read()
        finally:
            client.kill()
            client.wait(10)
    told = {(one["what"], one.get("task")): one for one in said}
    first, second, third = (one["task"] for one in said if one["what"] == "created")
    assert "Camera" in told["online", None]["nodes"]["house-1"]
    assert [told["watched", task]["executor"] for task in (first, second, third)] == ["house-1"] * 3
    assert told["watched", second]["statuses"][-1] == "Finished"
    assert told["watched", third]["statuses"][-1] == "Failed"
    assert "lens cap on" in told["exception", third]["text"]
    assert told["imported", None]["modules"] == []
    # Inserted and announced: two ways to say the same are one task.
    assert world.stamps.starts([first, second, third]) == {first: 1, second: 1, third: 1}
    assert world.stamps.first("release", first).detail == "signal"
    assert len(house.runs()) == 3
