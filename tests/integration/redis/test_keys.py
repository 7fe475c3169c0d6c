"""Skalds' keys as any Redis client sees them: names, types, values, lifetimes."""

from __future__ import annotations

import json
import time
from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime, timedelta
from uuid import uuid4

import pytest
from pydantic import SecretStr
from redis import Redis

from skald_bridge.adapters.redis_peers import RedisPeers
from skald_bridge.adapters.redis_pulse import RedisConfig, RedisPulse, stale
from skald_bridge.domain.effects import EndPulse
from skald_bridge.domain.errors import Unavailable
from skald_bridge.domain.ids import NodeId, TaskId
from skald_bridge.domain.pulse import SILENT, NodeBeat, NodeMode, RunningTask
from tests.services.redis_server import RedisServer, program, running_redis

NOW = datetime(2026, 1, 1, 12, tzinfo=UTC)
MS = 1767268800000
A, B = TaskId("a"), TaskId("b")
N1 = NodeBeat(
    NodeId("n1"), NodeMode.NODE, ("Probe", "Größe"), (RunningTask(A, "Probe"), RunningTask(B, "Größe"))
)
N2 = NodeBeat(NodeId("n2"), NodeMode.EDGE)


@pytest.fixture(params=["redis_server", "old_redis"])
def server(request: pytest.FixtureRequest) -> RedisServer:
    found: RedisServer = request.getfixturevalue(request.param)
    with Redis(port=found.port) as plain:
        plain.flushall()
    return found


@pytest.fixture
async def pulse(server: RedisServer) -> AsyncIterator[RedisPulse]:
    async with RedisPulse(RedisConfig(server.host, server.port)) as pulse:
        yield pulse


@pytest.fixture
def plain(server: RedisServer) -> Redis:
    return Redis(port=server.port, decode_responses=True)


def lives(plain: Redis, key: str) -> float:
    """Seconds left."""
    ms: int = plain.pttl(key)
    return ms / 1000


async def test_every_key_of_the_contract(pulse: RedisPulse, plain: Redis, server: RedisServer) -> None:
    await pulse.beat([N1, N2], [A, B], NOW)
    await pulse.end([EndPulse(TaskId("c"), -1, "no such file")], NOW)
    await pulse.note_error(A, "one frame is broken", NOW)
    types = {key: plain.type(key) for key in plain.scan_iter()}
    assert types == {
        "skalds:hash": "hash",
        "skalds:mode:hash": "hash",
        "skalds:n1:heartbeat": "string",
        "skalds:n1:allow-task-class-name": "list",
        "skalds:n1:all-task": "string",
        "skalds:n2:heartbeat": "string",
        "skalds:n2:all-task": "string",
        "task:a:heartbeat": "string",
        "task:a:has-error": "string",
        "task:b:heartbeat": "string",
        "task:c:heartbeat": "string",
        "task:c:exception": "string",
    }
    assert plain.hgetall("skalds:hash") == {"n1": str(MS), "n2": str(MS)}
    assert plain.hgetall("skalds:mode:hash") == {"n1": "node", "n2": "edge"}
    assert plain.lrange("skalds:n1:allow-task-class-name", 0, -1) == ["Probe", "Größe"]
    assert json.loads(plain.get("skalds:n1:all-task")) == {
        "tasks": [{"id": "a", "class_name": "Probe"}, {"id": "b", "class_name": "Größe"}],
        "existed_task_ids": ["a", "b"],
        "timestamp": MS,
    }
    assert plain.get("task:c:heartbeat") == "-1"
    assert plain.get("task:c:exception") == "no such file"
    beats = {"skalds:n1:heartbeat", "skalds:n2:heartbeat", "task:a:heartbeat", "task:b:heartbeat"}
    hashes = {"skalds:hash", "skalds:mode:hash"}
    for key in types.keys() - hashes:
        most = 8 if key in beats else 3600
        assert most - 5 < lives(plain, key) <= most, key
    for key in beats:
        assert int(plain.get(key)) in range(200)
    for key in hashes:
        if server.program == program(old=True):
            assert 3590 < lives(plain, key) <= 3600
        else:
            left = plain.execute_command("HTTL", key, "FIELDS", 2, "n1", "n2")
            assert all(3590 < seconds <= 3600 for seconds in left)


async def test_the_allowed_types_are_rewritten(pulse: RedisPulse, plain: Redis) -> None:
    key = "skalds:n1:allow-task-class-name"
    for types in (("A", "B"), ("B",), (), ("C",)):
        await pulse.beat([NodeBeat(NodeId("n1"), task_types=types)], [], NOW)
        assert plain.lrange(key, 0, -1) == list(types)
        assert plain.ttl(key) != -1


async def test_10_000_tasks_go_in_one_pipeline(
    pulse: RedisPulse, plain: Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    tasks = [TaskId(str(uuid4())) for _ in range(10_000)]
    await pulse.beat([N1, N2], tasks[:1], NOW)
    executed, spoken = [], []
    connection = type(pulse._redis.connection_pool._available_connections[0])
    pipeline = type(pulse._redis.pipeline())
    execute, send = pipeline.execute, connection.send_packed_command

    async def counted_execute(self: object, *args: object, **kwargs: object) -> object:
        executed.append(self)
        return await execute(self, *args, **kwargs)

    async def counted_send(self: object, *args: object, **kwargs: object) -> object:
        spoken.append(self)
        return await send(self, *args, **kwargs)

    monkeypatch.setattr(pipeline, "execute", counted_execute)
    monkeypatch.setattr(connection, "send_packed_command", counted_send)
    await pulse.beat([N1, N2], tasks, NOW)
    assert (len(executed), len(spoken)) == (1, 1)
    assert len(list(plain.scan_iter("task:*:heartbeat", count=5000))) == 10_000


async def test_a_bridge_started_anew_goes_on_counting(server: RedisServer) -> None:
    seen = []
    for number in range(6):
        async with RedisPulse(RedisConfig(server.host, server.port)) as pulse:
            now = NOW + number * timedelta(seconds=3)
            await pulse.beat([], [A], now)
            seen.append((await pulse.vitals([A], now)).get(A, SILENT).heartbeat)
    assert len(set(seen)) == 6


async def test_an_end_stands_whatever_arrives_late(pulse: RedisPulse, plain: Redis) -> None:
    """What a frozen server was sent before the end, it may carry out after it."""
    await pulse.beat([], [A, B], NOW)
    await pulse.end([EndPulse(A, 200, None)], NOW + timedelta(seconds=1))
    plain.set("task:a:heartbeat", 17, ex=8)
    await pulse.beat([], [B], NOW + timedelta(seconds=3))
    assert plain.get("task:a:heartbeat") == "200"
    assert lives(plain, "task:a:heartbeat") > 3590
    await pulse.beat([], [A, B], NOW + timedelta(seconds=6))
    assert plain.get("task:a:heartbeat") == plain.get("task:b:heartbeat")
    await pulse.beat([], [B], NOW + timedelta(seconds=9))
    assert plain.get("task:a:heartbeat") != "200"


async def test_without_field_expiry_nodes_long_gone_are_removed(old_redis: RedisServer) -> None:
    with Redis(port=old_redis.port, decode_responses=True) as plain:
        plain.flushall()
        async with RedisPulse(RedisConfig(old_redis.host, old_redis.port)) as pulse:
            await pulse.beat([N1, N2], [], NOW)
            for seconds in (3599, 3603):
                await pulse.beat([N1], [], NOW + timedelta(seconds=seconds))
            assert plain.hkeys("skalds:hash") == ["n1", "n2"]
            await pulse.beat([N1], [], NOW + timedelta(seconds=3606))
            assert plain.hkeys("skalds:hash") == ["n1"]
            assert plain.hkeys("skalds:mode:hash") == ["n1"]


def test_what_is_stale() -> None:
    activity = {"old": str(MS - 3600_000), "new": str(MS - 3599_999), "odd": "x"}
    assert stale(activity, ["old", "new", "orphan"], NOW, 3600) == (["old", "odd"], ["old", "orphan"])


async def test_another_server_behind_the_address_is_asked_anew(own_redis: RedisServer) -> None:
    with Redis(port=own_redis.port) as plain:
        async with RedisPulse(RedisConfig(own_redis.host, own_redis.port)) as pulse:
            await pulse.beat([N1], [A], NOW)
            own_redis.kill()
            with pytest.raises(Unavailable, match="cannot be used"):
                await pulse.beat([N1], [A], NOW)
            own_redis.start()
            await pulse.beat([N1], [A], NOW + timedelta(seconds=3))
            assert plain.exists("task:a:heartbeat")


@pytest.mark.slow
async def test_a_frozen_server_is_not_waited_for_and_what_it_was_sent_does_not_undo_an_end(
    own_redis: RedisServer,
) -> None:
    with Redis(port=own_redis.port, decode_responses=True) as plain:
        async with RedisPulse(RedisConfig(own_redis.host, own_redis.port)) as pulse:
            await pulse.beat([N1], [A], NOW)
            own_redis.freeze()
            began = time.monotonic()
            with pytest.raises(Unavailable):
                await pulse.beat([N1], [A], NOW + timedelta(seconds=3))
            with pytest.raises(Unavailable):
                await pulse.end([EndPulse(A, -2, "cancelled")], NOW + timedelta(seconds=4))
            assert time.monotonic() - began < 20
            own_redis.thaw()
            await pulse.beat([N1], [B], NOW + timedelta(seconds=7))
            assert plain.get("task:a:heartbeat") == "-2"
            assert plain.get("task:a:exception") == "cancelled"


async def test_users_passwords_and_what_is_said_of_them(tmp_path_factory: pytest.TempPathFactory) -> None:
    folder = tmp_path_factory.mktemp("acl")
    with running_redis(folder, password="rootword", users={"skald": "hunter2"}) as server:
        good = RedisConfig(server.host, server.port, "skald", SecretStr("hunter2"))
        async with RedisPulse(good) as pulse:
            await pulse.beat([N1], [A], NOW)
            assert await pulse.nodes(NOW)
        for bad in (
            RedisConfig(server.host, server.port, "skald", SecretStr("hunter3")),
            RedisConfig(server.host, server.port),
        ):
            async with RedisPulse(bad) as pulse:
                with pytest.raises(Unavailable) as caught:
                    await pulse.beat([N1], [A], NOW)
            assert "hunter" not in str(caught.value) + repr(bad)
            assert caught.value.remedy and "REDIS_PASSWORD" in caught.value.remedy


@pytest.mark.parametrize("key", ["skalds:hash", "skalds:mode:hash"])
async def test_a_key_of_another_type_spoils_no_other_beat(pulse: RedisPulse, plain: Redis, key: str) -> None:
    plain.set(key, "odd")
    refused = await pulse.beat([N1], [A], NOW)
    assert plain.get("task:a:heartbeat") is not None
    assert plain.get("skalds:n1:heartbeat") is not None
    assert refused is not None and key in refused and "WRONGTYPE" in refused
    plain.delete(key)
    assert await pulse.beat([N1], [A], NOW) is None


@pytest.mark.parametrize(
    "put",
    [
        lambda plain, key: plain.set(key, "y"),
        lambda plain, key: plain.set(key, "[" * 200_000),
        lambda plain, key: plain.sadd(key, "y"),
        lambda plain, key: plain.hset(key, "a", "b"),
    ],
    ids=["text", "deep", "set", "hash"],
)
@pytest.mark.parametrize("name", ["allow-task-class-name", "all-task"])
async def test_a_node_with_odd_keys_is_unusable_and_hides_no_other(
    pulse: RedisPulse, plain: Redis, put: Callable[[Redis, str], object], name: str
) -> None:
    plain.hset("skalds:hash", mapping={"odd": "99999999999999", "good": "99999999999999"})
    plain.rpush("skalds:good:allow-task-class-name", "Probe")
    put(plain, f"skalds:odd:{name}")
    found = {guest.id: guest for guest in await RedisPeers(pulse).nodes()}
    assert found[NodeId("good")].task_types == ("Probe",)
    assert (found[NodeId("odd")].task_types, found[NodeId("odd")].tasks) == ((), frozenset())


async def test_a_full_redis_is_not_one_to_be_started(pulse: RedisPulse, plain: Redis) -> None:
    plain.config_set("maxmemory", "1")
    try:
        with pytest.raises(Unavailable) as caught:
            await pulse.beat([N1], [A], NOW)
    finally:
        plain.config_set("maxmemory", "0")
    assert "maxmemory" in (caught.value.remedy or "")
