"""What the node says of itself, kept in a Prefect variable while it runs."""

from __future__ import annotations

import asyncio
import logging
import os
import socket
from collections.abc import Callable, Mapping
from contextlib import suppress
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from typing import Any

from prefect.client.orchestration import PrefectClient
from prefect.client.schemas.actions import VariableCreate, VariableUpdate
from prefect.client.schemas.objects import WorkerStatus
from prefect.events import Event, Resource
from prefect.exceptions import ObjectNotFound

from work_pools.devices import Announcement, Capacity, variable_name
from work_pools.messages import NODE_ANNOUNCED
from work_pools.node.lock import NameTaken

TAG = "skald-node"
_log = logging.getLogger("skald.node.announcement")


class Announcer:
    """Writes, keeps and removes one node's announcement."""

    def __init__(
        self,
        client: PrefectClient,
        name: str,
        pool: str,
        capacity: Capacity,
        emit: Callable[[Event], None],
    ) -> None:
        """``emit`` tells those who keep a picture of the nodes that it has changed."""
        self._client = client
        self._emit = emit
        self._name, self._pool, self._capacity = name, pool, capacity
        self._started = datetime.now(UTC)
        self._variable = variable_name(pool, name)
        self._written: dict[str, Any] | None = None
        self._writing = asyncio.Lock()

    async def check_name(self, online: bool) -> None:
        """Refuse a name that a living node elsewhere announces; ``online`` is what Prefect says of it.

        Raises:
            NameTaken: it is taken.
        """
        found = await self._client.read_variable_by_name(self._variable)
        if found is None or not online:
            return
        if not isinstance(found.value, dict):
            return
        try:
            other = Announcement.from_dict(found.value)
        except ValueError:
            return
        if other.host != socket.gethostname():
            raise NameTaken(
                f"A node named {self._name!r} already runs in work pool {self._pool!r}, on host {other.host} "
                f"(process {other.pid}). Stop it, or start this one with another --name."
            )

    async def write(self, task_types: frozenset[str], starts: Mapping[str, str]) -> None:
        """Announce; does nothing when nothing has changed."""
        told = Announcement(
            name=self._name,
            pool=self._pool,
            host=socket.gethostname(),
            pid=os.getpid(),
            cpus=self._capacity.cpus,
            memory=self._capacity.memory,
            started=self._started,
            version=_version(),
            gpus=self._capacity.gpus,
            tags=self._capacity.tags,
            limit=self._capacity.limit,
            task_types=task_types,
            starts=starts,
        ).to_dict()
        async with self._writing:
            if told == self._written:
                return
            if await self._client.read_variable_by_name(self._variable) is None:
                await self._client.create_variable(
                    VariableCreate(name=self._variable, value=told, tags=[TAG])
                )
            else:
                await self._client.update_variable(
                    VariableUpdate(name=self._variable, value=told, tags=[TAG])
                )
            self._written = told
        self._tell()

    async def remove(self) -> None:
        with suppress(ObjectNotFound):
            await self._client.delete_variable_by_name(self._variable)
        self._tell()

    def _tell(self) -> None:
        resource = Resource({"prefect.resource.id": f"skald.node.{self._name}"})
        self._emit(Event(event=NODE_ANNOUNCED, resource=resource, payload={"node": self._name}))


async def is_online(client: PrefectClient, pool: str, name: str) -> bool:
    """Whether Prefect hears a worker of this name in the pool."""
    try:
        found = await client.read_workers_for_work_pool(pool)
    except ObjectNotFound:
        return False
    return any(worker.name == name and worker.status == WorkerStatus.ONLINE for worker in found)


def _version() -> str:
    try:
        return version("prefect-skald")
    except PackageNotFoundError:
        return "unknown"
