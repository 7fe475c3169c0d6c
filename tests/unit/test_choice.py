"""Which deployment a task is made of, and what no node could ever take."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from skald_bridge.domain.choice import RESTART, Offer, chosen, named, unserved
from skald_bridge.domain.errors import NotFound
from skald_bridge.domain.facts import Node
from skald_bridge.domain.ids import NodeId
from skald_work_pools.devices import Announcement, Gpu

NOW = datetime(2026, 1, 1, 12, tzinfo=UTC)
LATER = NOW + RESTART
GIB = 2**30
CARD = Gpu("gpu-1", "H200", 140 * GIB, nvenc=8, nvdec=8)
CPU = Offer("1", "transcode", "cpu", "skald", updated="2026-01-01")
GPU = Offer("2", "transcode-gpu", "gpu", "skald", updated="2026-01-02", variables={"nvenc": 1})
OTHER = Offer("3", "elsewhere", "boxes", "process", updated="2026-01-03")


def node(
    pool: str, *, gpus: tuple[Gpu, ...] = (), online: bool = True, needs: dict[str, Any] | None = None
) -> Node:
    told = Announcement(f"{pool}-1", pool, "host", 1, 4, 8 * GIB, NOW, "0", gpus, needs=needs or {})
    return Node(NodeId(told.name), pool, online, NOW, told.to_dict())


ON_CPU, ON_GPU, BARE_GPU = node("cpu"), node("gpu", gpus=(CARD,)), node("gpu")


@pytest.mark.parametrize(
    ("offers", "nodes", "expected"),
    [
        ([CPU, GPU], [ON_CPU], CPU),
        ([CPU, GPU], [ON_GPU], GPU),
        ([CPU, GPU], [ON_CPU, ON_GPU], GPU),
        ([CPU, GPU], [ON_CPU, node("gpu", gpus=(CARD,), online=False)], CPU),
        ([CPU, GPU], [ON_CPU, BARE_GPU], CPU),
        ([CPU, GPU], [], GPU),
        ([CPU, OTHER], [], CPU),
        ([CPU, OTHER], [ON_CPU], CPU),
        ([OTHER, Offer("4", "served", updated="2026-02-01")], [], Offer("4", "served", updated="2026-02-01")),
    ],
)
def test_one_that_an_online_node_could_take_comes_first(
    offers: list[Offer], nodes: list[Node], expected: Offer
) -> None:
    assert chosen("transcode", offers, nodes, {}) == expected
    assert chosen("transcode", offers[::-1], nodes, {}) == expected


def test_a_paused_one_comes_last_of_those_that_are_served() -> None:
    paused = Offer("5", "paused", "cpu", "skald", paused=True, updated="2026-03-01")
    assert chosen("transcode", [paused, CPU], [ON_CPU], {}) == CPU
    assert chosen("transcode", [paused, GPU], [ON_CPU], {}) == paused


def test_what_the_task_asks_for_itself_counts() -> None:
    assert chosen("transcode", [CPU, GPU], [ON_CPU, ON_GPU], {"memory": "7GiB"}) == GPU
    assert chosen("transcode", [CPU, GPU], [ON_CPU, ON_GPU], {"nvenc": 0, "gpus": 0}) == GPU
    assert chosen("transcode", [CPU, GPU], [ON_CPU, BARE_GPU], {"nvenc": 0, "gpus": 0}) == GPU


@pytest.mark.parametrize(
    ("offer", "nodes", "variables", "says"),
    [
        (GPU, [ON_CPU], {}, "No node of the pool gpu is online"),
        (GPU, [node("gpu", online=False)], {}, "No node of the pool gpu is online"),
        (GPU, [BARE_GPU], {}, "node gpu-1: needs 1 gpus, has none"),
        (CPU, [ON_CPU], {"cpus": 64}, "node cpu-1: needs 64 cpus, has 4"),
        (CPU, [ON_CPU], {"memory": "9GiB"}, "needs 9 GiB of memory, has 8 GiB"),
        (CPU, [ON_CPU], {"tags": ["lan"]}, "needs tag lan, has no tags"),
        (CPU, [node("cpu", needs={"transcode": {"gpus": 9}})], {}, "needs 9 gpus, has none"),
        (CPU, [ON_CPU, node("x", needs={"transcode": {"gpus": 9}})], {}, "needs 9 gpus, has none"),
    ],
)
def test_a_task_that_no_node_could_take(
    offer: Offer, nodes: list[Node], variables: dict[str, Any], says: str
) -> None:
    found = unserved("transcode", offer, [], nodes, variables, LATER)
    assert found is not None
    assert says in found.reason
    assert "skald node --pool" in found.remedy or "--needs" in found.remedy


@pytest.mark.parametrize(
    ("offer", "nodes", "variables"),
    [
        (CPU, [ON_CPU], {"cpus": 4, "memory": 8 * GIB}),
        (GPU, [BARE_GPU, ON_GPU], {}),
        (GPU, [ON_GPU], {"gpu_memory": "140GiB"}),
        (OTHER, [], {}),
        (CPU, [Node(NodeId("odd"), "cpu", True, NOW, {"name": "odd"})], {"cpus": 64}),
        (Offer("6", "wrong", "cpu", "skald", variables={"memory": "lots"}), [ON_CPU], {}),
        (CPU, [node("cpu", needs={"transcode": {"gpus": 9}})], {"gpus": 0}),
    ],
)
def test_a_task_that_one_could_take_once_it_is_idle_or_of_which_nothing_is_known(
    offer: Offer, nodes: list[Node], variables: dict[str, Any]
) -> None:
    assert unserved("transcode", offer, [], nodes, variables, LATER) is None


def test_a_pool_whose_node_was_there_a_moment_ago_may_have_it_back() -> None:
    gone, soon = node("gpu", online=False), LATER - timedelta(seconds=1)
    assert unserved("transcode", GPU, [], [gone], {}, soon) is None
    assert unserved("transcode", GPU, [], [gone, BARE_GPU], {}, soon) is None
    for nobody in ([replace(gone, pool="cpu")], [replace(gone, last_seen=None)], [BARE_GPU]):
        assert unserved("transcode", GPU, [], nobody, {}, soon) is not None


def test_another_deployment_that_is_served_is_named() -> None:
    found = unserved("transcode", GPU, [GPU, CPU], [ON_CPU], {}, LATER)
    assert found is not None
    assert found.remedy == "Choose one that can: --deployment transcode. Start one: skald node --pool gpu"


def test_deployments_by_name_id_and_pool() -> None:
    offers = [CPU, GPU]
    assert named("transcode", offers) == offers
    assert named("transcode", offers, deployment="transcode/transcode-gpu") == [GPU]
    assert named("transcode", offers, deployment="2", pool="gpu") == [GPU]
    assert named("transcode", offers, pool="cpu") == [CPU]
    with pytest.raises(NotFound, match=r"named 'transcode-gp'; it has: transcode \(pool cpu\), ") as raised:
        named("transcode", offers, deployment="transcode-gp")
    assert "Did you mean 'transcode-gpu'?" in (raised.value.remedy or "")
    with pytest.raises(NotFound, match="on the work pool 'edge'"):
        named("transcode", offers, pool="edge")
