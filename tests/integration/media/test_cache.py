"""``cache:NAME`` on a real Redis 8: kept by tasks while they work, read by others, never in a recording's way."""

from __future__ import annotations

import io
import json
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from PIL import Image
from prefect import get_client
from prefect.client.schemas.filters import LogFilter, LogFilterFlowRunId
from prefect.flows import load_flow_from_entrypoint
from redis import Redis

from skald_blocks import RedisCache
from skald_bridge.domain.errors import Unavailable
from skald_bridge.installation.bundled import flows_directory
from skald_bridge.media.cache import Cache
from skald_bridge.media.cache_names import cache_key
from skald_bridge.media.inputs import local_source
from skald_bridge.media.measure import measure
from tests.integration.media.inputs import FAST, ffmpeg, pictures, tone
from tests.integration.media.running import Running
from tests.services.camera import camera
from tests.services.footage import bikes, reel
from tests.services.poll import until
from tests.services.prefect_server import PrefectServer
from tests.services.redis_keys import immortal_keys
from tests.services.redis_server import RedisServer, running_redis
from tests.services.runs import talking_to

pytestmark = pytest.mark.server


def product(name: str) -> Any:
    return load_flow_from_entrypoint(f"{flows_directory()}/{name}.py:{name}", use_placeholder_flow=False)


@pytest.fixture(autouse=True)
def prefect(server: PrefectServer, home: Path, tmp_path: Path, monkeypatch) -> Iterator[None]:
    """The flows talk to the test server; footage and the test's folder are media roots; no Redis is configured."""
    monkeypatch.setenv("SKALD_MEDIA_ROOTS", f"{reel().parent}:{tmp_path}")
    for name in ("REDIS_HOST", "REDIS_PORT", "REDIS_PASSWORD", "SKALD_REDIS_BLOCK"):
        monkeypatch.delenv(name, raising=False)
    with talking_to(server.url):
        yield


@pytest.fixture
def configured(redis_server: RedisServer, monkeypatch) -> Redis:
    monkeypatch.setenv("REDIS_HOST", redis_server.host)
    monkeypatch.setenv("REDIS_PORT", str(redis_server.port))
    return Redis.from_url(redis_server.url)


@pytest.fixture
def name() -> str:
    """Of this test alone."""
    return f"t-{uuid.uuid4().hex[:8]}"


@pytest.fixture(scope="module")
def seldom(tmp_path_factory) -> Path:
    """A camera's pictures, one key frame in 10 s."""
    path = tmp_path_factory.mktemp("camera") / "seldom.h264"
    ffmpeg(*pictures(10), *FAST, "-g", "250", "-bf", "0", "-threads", "1", "-f", "h264", path)
    return path


def picture(redis: Redis, name: str) -> Image.Image | None:
    data = redis.hget(cache_key(name), "picture")
    if data is None:
        return None
    found = Image.open(io.BytesIO(data))
    found.load()
    return found


def findings(redis: Redis, name: str) -> dict[str, Any]:
    return json.loads(redis.hget(cache_key(name), "findings") or "{}")


def test_a_recording_keeps_the_newest_picture_each_field_with_its_time_to_live(configured, seldom, name):
    with camera(seldom) as cam:
        task = Running(
            product("record"),
            {
                "input": cam.url(), "seconds": 4, "output": name, "cache": f"cache:{name}",
                "cacheSeconds": 0.2, "cacheWidth": 160, "pictureTtl": 50, "findingsTtl": 500,
            },
        )  # fmt: skip
        first = until(lambda: findings(configured, name), 20, "a first picture")
        key = cache_key(name)
        assert picture(configured, name).size == (160, 120)
        left = configured.hpttl(key, "picture", "findings")
        assert 0 < left[0] <= 50_000 < left[1] <= 500_000
        newer = until(lambda: findings(configured, name)["seconds"] > first["seconds"] + 1, 20, "newer ones")
        assert newer
        made = task.ended().result()
    assert made["seconds"] == pytest.approx(4, abs=0.3)
    assert made["warnings"] == []
    assert 0 < findings(configured, name)["luma"] < 1
    assert cam.connections == 1, "readers never ask the camera"
    assert not [
        each for each in immortal_keys(configured.connection_pool.connection_kwargs["port"]) if key in each
    ]


def test_the_rate_changes_while_the_task_runs(configured, seldom, name):
    with camera(seldom) as cam:
        task = Running(
            product("record"),
            {
                "input": cam.url(),
                "seconds": 6,
                "output": name,
                "cache": f"cache:{name}",
                "cacheSeconds": 3600,
            },
        )
        first = until(lambda: findings(configured, name), 20, "the first picture")
        told = task.feed.push(cacheSeconds=0.1)
        told.wait()
        assert told.applied, told.reason
        until(
            lambda: findings(configured, name)["seconds"] > first["seconds"],
            20,
            "one before the hour is over",
        )
        refused = task.feed.push(cacheWidth=99)
        refused.wait()
        assert refused.reason == "only segmentSeconds and cacheSeconds can change while a recording runs"
        assert task.ended().is_completed()


def test_another_task_reads_what_a_camera_showed(configured, seldom, name):
    with camera(seldom) as cam:
        asked = {"input": cam.url(), "seconds": 1, "output": name, "cache": f"cache:{name}"}
        assert product("record")(asked)["warnings"] == []
    given = {"input": f"cache:{name}", "output": f"{name}-a", "thumbnailSeconds": 0}
    made = product("analyze")(given)
    assert made["findings"]["pictures"] == 1
    assert made["findings"]["luma_mean"] == pytest.approx(findings(configured, name)["luma"], abs=0.02)
    (shown,) = product("transcode")({"input": f"cache:{name}", "heights": [120], "output": f"{name}-t"})[
        "renditions"
    ]
    assert len(measure(local_source(Path(shown["url"]))).times) == 1


def test_a_clip_that_somebody_put_into_the_cache(configured, name, tmp_path):
    clip = tmp_path / "clip.mp4"
    ffmpeg(*pictures(2), *tone(2), *FAST, "-c:a", "aac", clip)
    configured.hset(cache_key(name), mapping={"clip": clip.read_bytes(), "picture": b"not this"})
    given = {"input": f"cache:{name}", "thumbnailSeconds": 0, "output": name}
    assert product("analyze")(given)["findings"]["pictures"] == 50
    configured.set(cache_key(f"{name}/plain"), clip.read_bytes(), ex=60)
    given = {"input": f"cache:{name}/plain", "segmentSeconds": 60, "output": f"{name}-r"}
    assert product("record")(given)["pictures"] == 50


@pytest.mark.parametrize("kind", ["analyze", "transcode"])
def test_pictures_and_findings_of_a_file_while_it_is_worked_on(configured, name, kind):
    more: dict[str, dict[str, Any]] = {"analyze": {"thumbnailSeconds": 0}, "transcode": {"heights": [136]}}
    asked = {
        "input": "bikes.mp4",
        "output": name,
        "cache": f"cache:{name}",
        "cacheSeconds": 0.04,
        **more[kind],
    }
    made = product(kind)(asked)
    assert made["warnings"] == []
    assert picture(configured, name).size == (640, 272)
    told = findings(configured, name)
    assert told["seconds"] > 0
    assert told.get("analysis") == made.get("findings")


def test_a_turned_file_is_shown_upright(configured, name, tmp_path):
    plain, turned = tmp_path / "plain.mp4", tmp_path / "turned.mp4"
    ffmpeg(*pictures(1), *FAST, plain)
    ffmpeg("-display_rotation", "90", "-i", plain, "-c", "copy", turned)
    asked = {"input": str(turned), "output": name, "cache": f"cache:{name}", "cacheWidth": 120}
    product("record")(asked)
    assert picture(configured, name).size == (120, 160)


def test_a_redis_that_goes_and_comes_back_costs_no_picture(own_redis, seldom, name, monkeypatch):
    monkeypatch.setenv("REDIS_HOST", own_redis.host)
    monkeypatch.setenv("REDIS_PORT", str(own_redis.port))
    with camera(seldom) as cam:
        task = Running(
            product("record"),
            {
                "input": cam.url(), "seconds": 8, "output": name, "cache": f"cache:{name}",
                "cacheSeconds": 0.1, "segmentSeconds": 60,
            },
        )  # fmt: skip
        redis = Redis.from_url(own_redis.url)
        until(lambda: findings(redis, name), 20, "a first picture")
        own_redis.kill()
        own_redis.start()
        redis = Redis.from_url(own_redis.url)
        until(lambda: picture(redis, name), 20, "a picture in the new Redis")
        own_redis.kill()
        made = task.ended().result()
    assert made["pictures"] >= 200
    assert made["gaps"] == []
    (warning,) = made["warnings"]
    assert "the newest picture is not in the cache" in warning


def test_a_frozen_redis_holds_up_no_task(own_redis, name, monkeypatch):
    monkeypatch.setenv("REDIS_HOST", own_redis.host)
    monkeypatch.setenv("REDIS_PORT", str(own_redis.port))
    own_redis.freeze()
    asked = {"input": "bikes.mp4", "output": name, "cache": f"cache:{name}", "cacheSeconds": 0.04}
    made = product("record")(asked)
    own_redis.thaw()
    assert made["pictures"] == 250
    (warning,) = made["warnings"]
    assert "in the cache" in warning


def test_a_wrong_password_is_tried_no_further(tmp_path):
    with (
        running_redis(tmp_path / "locked", password="correct-horse") as locked,
        Redis.from_url(locked.url) as redis,
    ):
        refused = Cache(RedisCache(host=locked.host, port=locked.port, password="hunter2"))
        before = redis.info("stats")["total_connections_received"]
        with pytest.raises(Unavailable, match="invalid username-password"):
            refused.write("gate", {"picture": (b"x", 1.0)})
        # The refused one, and the one more that a closed idle connection may need.
        assert redis.info("stats")["total_connections_received"] - before in (1, 2)


def test_no_password_is_told(server, tmp_path, name, monkeypatch):
    with running_redis(tmp_path / "locked", password="correct-horse") as locked:
        monkeypatch.setenv("REDIS_HOST", locked.host)
        monkeypatch.setenv("REDIS_PORT", str(locked.port))
        monkeypatch.setenv("REDIS_PASSWORD", "hunter2")
        state = product("record")(
            {"input": "bikes.mp4", "output": name, "cache": f"cache:{name}"}, return_state=True
        )
        (warning,) = state.result()["warnings"]
        assert "the newest picture is not in the cache" in warning
        state_in = product("analyze")({"input": f"cache:{name}"}, return_state=True)
        assert state_in.is_failed()
        assert "skald:cache:*" in state_in.message
    runs = [uuid.UUID(str(each.state_details.flow_run_id)) for each in (state, state_in)]
    these = LogFilter(flow_run_id=LogFilterFlowRunId(any_=runs))
    with get_client(sync_client=True) as client:
        until(
            lambda: any("not in the cache" in each.message for each in client.read_logs(these)), 20, "its log"
        )
        said = "".join(each.message for each in client.read_logs(these))
    assert "hunter2" not in said + warning + state_in.message


def test_a_block_of_ones_own(redis_server, name):
    RedisCache(host=redis_server.host, port=redis_server.port).save(name)
    given = {"input": "bikes.mp4", "output": name, "cache": f"cache:{name}", "redis": name}
    assert product("record")(given)["warnings"] == []
    assert picture(Redis.from_url(redis_server.url), name)


def test_an_old_redis_lets_the_whole_name_expire(old_redis, name, monkeypatch):
    monkeypatch.setenv("REDIS_HOST", old_redis.host)
    monkeypatch.setenv("REDIS_PORT", str(old_redis.port))
    asked = {"input": "bikes.mp4", "output": name, "cache": f"cache:{name}", "findingsTtl": 90}
    assert product("record")(asked)["warnings"] == []
    redis = Redis.from_url(old_redis.url)
    assert picture(redis, name)
    assert 0 < redis.pttl(cache_key(name)) <= 90_000


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"input": "bikes.mp4", "cache": "cache:gate"}, "cache names the cache, but this node has no Redis"),
        ({"input": "cache:gate"}, "input names the cache, but this node has no Redis"),
        ({"input": "cache:gate", "redis": "nowhere"}, "no Redis Cache block of this name"),
        ({"input": "cache:a b"}, "input 'cache:a b' is not cache:NAME"),
    ],
)
def test_what_cannot_be_is_refused_at_the_door(given, said):
    for kind in ("record", "analyze", "transcode"):
        state = product(kind)(given, return_state=True)
        assert state.is_failed()
        assert said in state.message
        assert "Remedy" in state.message


def test_what_is_not_there(configured, name, tmp_path):
    state = product("pipeline")({"input": f"cache:{name}"}, return_state=True)
    assert f"input cache:{name} is not in the cache" in state.message
    configured.hset(cache_key(name), "picture", b"\xff\xd8\xff" + b"x" * 100)
    state = product("analyze")({"input": f"cache:{name}"}, return_state=True)
    assert "no whole JPEG picture" in state.message
    configured.hset(cache_key(name), "picture", b"no picture at all")
    state = product("analyze")({"input": f"cache:{name}"}, return_state=True)
    assert "not a video that can be read" in state.message
    assert bikes().exists()
