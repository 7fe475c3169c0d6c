"""A fleet to look at: nodes that announced themselves, tasks in every state, dtask's workers; no process of a node.

``python -m tests.ui.fleet_scene FILE`` makes the README's picture of it.
"""

from __future__ import annotations

import asyncio
import sys
import tempfile
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from prefect.client.orchestration import PrefectClient
from prefect.client.schemas.actions import VariableCreate, WorkPoolCreate
from prefect.states import Scheduled

from skald_work_pools.devices import Announcement, Gpu
from skald_work_pools.messages import NODE_LABEL
from skald_work_pools.worker import SkaldWorker
from tests.services import browser, runs
from tests.services.prefect_server import PrefectServer, running_server
from tests.services.rest import Rest, running_rest
from tests.ui import pictures

GB = 10**9
H200, L4 = Gpu("u", "NVIDIA H200", 141 * GB), Gpu("u", "NVIDIA L4", 24 * GB)
NODES = {
    "gpu-a": ("gpu", 64.0, 512 * GB, (H200, H200), ("cuda-12", "nvme")),
    "gpu-b": ("gpu", 32.0, 256 * GB, (L4,), ("cuda-12",)),
    "studio": ("cpu", 16.0, 64 * GB, (), ("rtsp-lan",)),
    "edge-north": ("cpu", 4.0, 8 * GB, (), ("rtsp-lan", "camera")),
}
AT_WORK = [
    ("gpu-a", "train", "night-shift", {"cpus": 16, "memory": 128 * GB, "gpus": 1}),
    ("gpu-a", "detect", "gate-3", {"cpus": 4, "gpu_memory": 40 * GB}),
    ("gpu-b", "detect", "gate-7", {"cpus": 4, "gpu_memory": 18 * GB}),
    ("studio", "transcode", "holiday", {"cpus": 8, "memory": 16 * GB}),
    ("studio", "record", "camera-12", {"cpus": 1, "memory": 2 * GB}),
    ("edge-north", "record", "camera-1", {"cpus": 1, "memory": 1 * GB}),
]
WAITING = [
    ("gpu", "train", "big-one", {"gpus": 4}),
    ("gpu", "detect", "gate-9", {"gpu_memory": 30 * GB}),
    ("cpu", "transcode", "archive-1987", {"cpus": 12}),
]


class Scene:
    """Makes pools, nodes and tasks on the server."""

    def __init__(self, client: PrefectClient) -> None:
        self._client = client
        self._deployments: dict[tuple[str, str], Any] = {}

    async def pool(self, name: str) -> None:
        template = SkaldWorker.get_default_base_job_template()
        pool = WorkPoolCreate(name=name, type="skald", base_job_template=template)
        await self._client.create_work_pool(pool, overwrite=True)

    async def node(
        self,
        name: str,
        pool: str,
        cpus: float,
        memory: int,
        gpus: tuple[Gpu, ...] = (),
        tags: tuple[str, ...] = (),
        **more: Any,
    ) -> None:
        said = Announcement(
            name,
            pool,
            more.pop("host", f"{name}.example"),
            1,
            cpus,
            memory,
            datetime.now(UTC),
            "0.1.0",
            gpus,
            frozenset(tags),
            task_types=frozenset({"detect", "record", "train", "transcode"}),
            **more,
        )
        await self._client.send_worker_heartbeat(pool, name, 3600)
        await self._client.create_variable(VariableCreate(name=said.variable, value=said.to_dict()))

    async def task(
        self, pool: str, kind: str, name: str, needs: dict[str, Any], node: str | None = None
    ) -> str:
        """At work on the node, or waiting."""
        run = await self._client.create_flow_run_from_deployment(
            await self._deployment(pool, kind),
            name=name,
            job_variables=needs,
            labels={NODE_LABEL: node} if node is not None else {},
            state=Scheduled(scheduled_time=datetime.now(UTC) - timedelta(minutes=3)),
        )
        if node is not None:
            await runs.live(self._client, run.id, runs.life(node)[:2])
        return str(run.id)

    async def _deployment(self, pool: str, kind: str) -> Any:
        if (pool, kind) not in self._deployments:
            flow = await self._client.create_flow_from_name(kind)
            self._deployments[pool, kind] = await self._client.create_deployment(
                flow, f"{kind}-{pool}", work_pool_name=pool
            )
        return self._deployments[pool, kind]


async def make(server: PrefectServer) -> None:
    async with runs.client_of(server.url) as client:
        scene = Scene(client)
        for pool in ("cpu", "gpu"):
            await scene.pool(pool)
        for name, (pool, *has) in NODES.items():
            await scene.node(name, pool, *has)
        for node, kind, name, needs in AT_WORK:
            await scene.task(NODES[node][0], kind, name, needs, node)
        for pool, kind, name, needs in WAITING:
            await scene.task(pool, kind, name, needs)


def worker(rest: Rest, name: str, **said: Any) -> None:
    """A heartbeat of a worker of dtask's."""
    body = {"worker_id": name, "address": "10.0.0.7:9000", "max_tasks": 4, "current_tasks": 1, **said}
    answer = rest.ask("POST", "/api/v1/heartbeat", body)
    assert answer.is_success, answer.text


def main(file: str) -> None:
    with tempfile.TemporaryDirectory() as folder, running_server(Path(folder) / "prefect") as server:
        asyncio.run(make(server))
        with (
            running_rest(server, Path(folder) / "home") as rest,
            browser.page(rest.url, width=1280, height=900) as page,
        ):
            worker(rest, "dtask-1", tags=["pool=ingest"])
            pictures.fleet(page, "edge-north", Path(file))


if __name__ == "__main__":
    main(*sys.argv[1:])
