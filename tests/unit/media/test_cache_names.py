from __future__ import annotations

import pytest
from pydantic import BaseModel, ValidationError

from skald_bridge.domain.errors import InvalidInput
from skald_bridge.media.cache import redis_named
from skald_bridge.media.cache_names import CacheName, CacheSeconds, cache_key, cached_name
from skald_bridge.media.packet_pictures import wanted


class Asked(BaseModel):
    cache: CacheName = ""
    cache_seconds: CacheSeconds = 1


@pytest.mark.parametrize("name", ["gate", "site-1/gate", "a.b_c-9", "x" * 100])
def test_names(name):
    assert cached_name(f"cache:{name}") == name
    assert cache_key(name) == f"skald:cache:{name}"
    assert Asked(cache=f"cache:{name}").cache == f"cache:{name}"


BAD = "gate|cache:|cache:-x|cache:a//b|cache:../b|cache:a b|cache:ä|cache:*|cache:x\n"


@pytest.mark.parametrize("text", [*BAD.split("|"), f"cache:{'x' * 101}"])
def test_what_is_no_name_is_refused_with_its_field_and_the_form(text):
    with pytest.raises(InvalidInput, match=r"^input .* is not cache:NAME") as error:
        cached_name(text)
    assert "cache:site-1/gate" in error.value.remedy
    with pytest.raises(ValidationError, match="is not cache:NAME") as refused:
        Asked(cache=text)
    assert refused.value.errors()[0]["loc"] == ("cache",)


@pytest.mark.parametrize("seconds", [0, 0.01, -1, float("nan"), 1e9])
def test_rates_that_cannot_be(seconds):
    with pytest.raises(ValidationError, match="cache_seconds"):
        Asked(cache_seconds=seconds)


def test_without_a_redis_the_field_and_the_remedy_are_named():
    with pytest.raises(InvalidInput, match=r"^cache names the cache, but this node has no Redis") as error:
        redis_named("", {"REDIS_HOST": " "}, field="cache")
    assert "REDIS_HOST" in error.value.remedy


def test_a_redis_that_cannot_be_says_so_without_its_password():
    with pytest.raises(InvalidInput, match="REDIS_PORT is 'x'"):
        redis_named("", {"REDIS_HOST": "h", "REDIS_PORT": "x"}, field="cache")
    with pytest.raises(InvalidInput, match="a CA file is for TLS") as error:
        redis_named("", {"REDIS_HOST": "h", "REDIS_PASSWORD": "hunter2", "REDIS_CA_FILE": "x"}, field="cache")
    assert "hunter2" not in str(error.value)


def test_key_frames_are_shown_alone_where_they_come_often_enough():
    def shown(*, key: bool, waited: float | None, gap: float) -> bool:
        return wanted(key=key, waited=waited, every=1.0, key_gap=gap)

    assert shown(key=True, waited=None, gap=0)
    assert shown(key=True, waited=0.95, gap=0.5)
    assert not shown(key=True, waited=0.5, gap=0.5)
    assert not shown(key=False, waited=5.0, gap=1.0)
    assert shown(key=False, waited=1.0, gap=10.0)
    assert not shown(key=False, waited=0.9, gap=10.0)
    assert not shown(key=False, waited=None, gap=10.0)
