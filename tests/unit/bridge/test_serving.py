"""What is asked of Prefect to find a class's deployment."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any

from skald_bridge.adapters.prefect_api import PrefectApi
from skald_bridge.adapters.prefect_choice import DeploymentChoice
from skald_bridge.adapters.prefect_identity import KnownRuns, RunIds
from skald_bridge.adapters.prefect_reading import TaskReader
from skald_work_pools.devices import Announcement

NOW = datetime(2026, 1, 1, 12, tzinfo=UTC)


class Recorded(PrefectApi):
    """Answers from ``replies`` by path, and notes what was asked."""

    def __init__(self, *deployments: dict[str, Any], online: str = "cpu") -> None:
        super().__init__()
        told = Announcement("n1", online, "host", 1, 4, 2**33, NOW, "0").to_dict()
        self.asked: list[str] = []
        self.replies: dict[str, list[dict[str, Any]]] = {
            "/deployments/filter": list(deployments),
            "/work_pools/filter": [{"name": name, "type": "skald"} for name in ("cpu", "gpu")],
            "/variables/filter": [{"value": told}],
            f"/work_pools/{online}/workers/filter": [{"name": "n1", "status": "ONLINE"}],
        }

    async def pages(self, path: str, body: Mapping[str, Any], limit: int | None = None) -> list[Any]:
        self.asked.append(path)
        return self.replies.get(path, [])


def choice(api: PrefectApi, clock: Callable[[], float]) -> DeploymentChoice:
    return DeploymentChoice(api, TaskReader(api, RunIds(api, KnownRuns())), clock)


def deployed(pool: str, day: int) -> dict[str, Any]:
    return {"id": pool, "name": f"transcode-{pool}", "work_pool_name": pool, "updated": f"2026-01-{day:02}"}


async def test_a_class_with_one_deployment_takes_one_request_and_then_none() -> None:
    api, now = Recorded(deployed("gpu", 1)), [0.0]
    found = choice(api, lambda: now[0])
    for now[0] in (0.0, 10.0, 60.0):
        assert (await found.serving("transcode"))["id"] == "gpu"
    assert api.asked == ["/deployments/filter"]


async def test_one_that_may_have_changed_is_asked_for_again() -> None:
    api = Recorded(deployed("gpu", 1))
    found = choice(api, lambda: 0.0)
    for forget in (
        lambda: None,
        lambda: found.forget("transcode"),
        found.forget,
        lambda: found.forget("another"),
    ):
        forget()
        await found.serving("transcode")
    assert len(api.asked) == 3


async def test_of_several_the_served_one_is_taken_and_asked_for_again_soon() -> None:
    api, now = Recorded(deployed("cpu", 1), deployed("gpu", 2)), [0.0]
    found = choice(api, lambda: now[0])
    for now[0] in (0.0, 1.0, 2.0):
        assert (await found.serving("transcode"))["id"] == "cpu"
    once = [
        "/deployments/filter",
        "/variables/filter",
        "/work_pools/cpu/workers/filter",
        "/work_pools/filter",
        "/work_pools/gpu/workers/filter",
    ]
    assert sorted(api.asked) == once
    now[0] = 6.0
    await found.serving("transcode")
    assert sorted(api.asked) == sorted(2 * once)
    other = choice(Recorded(deployed("cpu", 1), deployed("gpu", 2), online="gpu"), lambda: 0.0)
    assert (await other.serving("transcode"))["id"] == "gpu"
