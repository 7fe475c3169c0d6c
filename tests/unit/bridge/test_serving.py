"""What is asked of Prefect to find a class's deployment."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from skald_bridge.adapters.prefect_commands import Commands
from skald_work_pools.devices import Announcement

NOW = datetime(2026, 1, 1, 12, tzinfo=UTC)


class Recorded(Commands):
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

    async def serving(self, class_name: str) -> Mapping[str, Any]:
        return await self._serving(class_name)

    def known_for(self, class_name: str) -> float:
        return self.served[class_name][0] - asyncio.get_running_loop().time()


def deployed(pool: str, day: int) -> dict[str, Any]:
    return {"id": pool, "name": f"transcode-{pool}", "work_pool_name": pool, "updated": f"2026-01-{day:02}"}


async def test_a_class_with_one_deployment_takes_one_request_and_then_none() -> None:
    engine = Recorded(deployed("gpu", 1))
    for _ in range(3):
        assert (await engine.serving("transcode"))["id"] == "gpu"
    assert engine.asked == ["/deployments/filter"]
    assert engine.known_for("transcode") > 60


async def test_of_several_the_served_one_is_taken_and_asked_for_again_soon() -> None:
    engine = Recorded(deployed("cpu", 1), deployed("gpu", 2))
    for _ in range(3):
        assert (await engine.serving("transcode"))["id"] == "cpu"
    assert sorted(engine.asked) == [
        "/deployments/filter",
        "/variables/filter",
        "/work_pools/cpu/workers/filter",
        "/work_pools/filter",
        "/work_pools/gpu/workers/filter",
    ]
    assert engine.known_for("transcode") <= 5
    other = Recorded(deployed("cpu", 1), deployed("gpu", 2), online="gpu")
    assert (await other.serving("transcode"))["id"] == "gpu"
