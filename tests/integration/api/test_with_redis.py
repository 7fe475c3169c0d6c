"""REST where heartbeats are in Redis: one question for a page, Skalds' own nodes, and Redis away."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from redis import Redis

from tests.services.poll import until
from tests.services.prefect_server import PrefectServer
from tests.services.redis_server import RedisServer
from tests.services.rest import Rest, running_rest
from tests.services.runs import client_of, deploy, start

pytestmark = pytest.mark.server


@pytest.fixture
def rest(server: PrefectServer, own_redis: RedisServer, tmp_path: Path) -> Iterator[Rest]:
    env = {"REDIS_HOST": own_redis.host, "REDIS_PORT": str(own_redis.port)}
    with running_rest(server, tmp_path / "home", env=env) as rest:
        yield rest


def mgets(redis: Redis) -> int:
    return int(redis.info("commandstats").get("cmdstat_mget", {}).get("calls", 0))


async def test_a_page_of_100_tasks_is_one_question(
    rest: Rest, server: PrefectServer, own_redis: RedisServer
) -> None:
    async with client_of(server.url) as client:
        deployed = await deploy(client)
        runs = [str(await start(client, deployed)) for _ in range(100)]
    page = f"/api/tasks/?pageSize=100&className={deployed.class_name}"
    until(lambda: rest.get(page)["total"] == 100, 60, "all in the archive")
    with Redis(host=own_redis.host, port=own_redis.port) as redis:
        redis.set(f"task:{runs[0]}:has-error", "frame 7 is broken", ex=60)
        before = mgets(redis)
        items = rest.get(page)["items"]
        assert mgets(redis) == before + 1
    assert {task["id"]: task["error"] for task in items if task["error"]} == {runs[0]: "frame 7 is broken"}
    own_redis.kill()
    began = time.monotonic()
    assert len(rest.get(page)["items"]) == 100
    assert time.monotonic() - began < 20
    until(lambda: rest.get("/api/system/health")["status"] == "degraded", 60, "what is wrong is said")


def test_nodes_of_skalds_own_are_listed(rest: Rest, own_redis: RedisServer) -> None:
    with Redis(host=own_redis.host, port=own_redis.port) as redis:
        now = int(time.time() * 1000)
        redis.hset("skalds:hash", "theirs", str(now + 60_000))
        redis.hset("skalds:mode:hash", "theirs", "edge")
        redis.set("skalds:theirs:heartbeat", 7, ex=60)
        redis.rpush("skalds:theirs:allow-task-class-name", "TheirWorker")
        task = {"id": "t1", "class_name": "TheirWorker"}
        all_tasks = {"tasks": [task], "existed_task_ids": ["t1"], "timestamp": now}
        redis.set("skalds:theirs:all-task", json.dumps(all_tasks), ex=60)
    found = rest.get("/api/skalds/theirs")
    assert (found["type"], found["status"], found["heartbeat"], found["taskCount"]) == (
        "edge",
        "online",
        7,
        1,
    )
    assert (found["supportedTasks"], found["currentTasks"]) == (["TheirWorker"], ["t1"])
    assert "theirs" in [skald["id"] for skald in rest.get("/api/skalds/?type=edge")["items"]]


def test_the_newest_picture_is_served_to_a_page(rest: Rest, own_redis: RedisServer) -> None:
    with Redis(host=own_redis.host, port=own_redis.port) as redis:
        jpeg = b"\xff\xd8\xff\xe0" + bytes(range(256)) * 40
        redis.hset("skald:cache:site-1/gate", mapping={"picture": jpeg, "findings": '{"luma": 0.4}'})
        redis.hset("skald:cache:odd", mapping={"picture": "<script>", "findings": "[1"})
        redis.set("skald:cache:string", "x")
    found = rest.ask("GET", "/api/cache/site-1/gate.jpg")
    assert (found.status_code, found.content) == (200, jpeg)
    assert (found.headers["content-type"], found.headers["cache-control"]) == ("image/jpeg", "no-store")
    assert rest.get("/api/cache/site-1/gate.json") == {"luma": 0.4}
    for path, status, words in (
        ("nobody.jpg", 404, "not in the cache"),
        ("nobody.json", 404, "not in the cache"),
        ("string.jpg", 404, "not in the cache"),
        ("odd.jpg", 404, "something else than a JPEG"),
        ("odd.json", 404, "no JSON object"),
        ("../gate.jpg", 404, ""),
        ("a b.jpg", 422, "is not cache:NAME"),
    ):
        answer = rest.ask("GET", f"/api/cache/{path}")
        assert (answer.status_code, words in answer.json()["error"]) == (status, True), (path, answer.text)
    own_redis.kill()
    assert rest.ask("GET", "/api/cache/site-1/gate.jpg").status_code == 503
