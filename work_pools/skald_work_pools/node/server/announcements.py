"""What the node says of itself, kept in a Prefect variable while it runs: its claim of the name."""

from __future__ import annotations

import asyncio
import os
import socket
from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from typing import Any
from uuid import uuid4

from prefect.events import Event, Resource

from skald_work_pools import host
from skald_work_pools.devices import Announcement, Capacity
from skald_work_pools.messages import NODE_ANNOUNCED, NODE_RESOURCE, RESOURCE_ID
from skald_work_pools.node.server.claim_keeper import ClaimKeeper


def first_announcement(name: str, pool: str, tags: frozenset[str], limit: int | None) -> Announcement:
    """Of a node that begins: its GPUs and task types are not known yet."""
    return Announcement(
        name=name,
        pool=pool,
        host=socket.gethostname(),
        pid=os.getpid(),
        cpus=host.cpus(),
        memory=host.memory(),
        started=datetime.now(UTC),
        version=_version(),
        tags=tags,
        limit=limit,
        life=uuid4().hex,
    )


class Announcer:
    """Writes, keeps and removes one node's announcement."""

    def __init__(self, claim: ClaimKeeper, capacity: Capacity, emit: Callable[[Event], None]) -> None:
        """``emit`` tells those who keep a picture of the nodes that it has changed."""
        self._claim = claim
        self._capacity = capacity
        self._emit = emit
        self._written: Announcement | None = None
        self._writing = asyncio.Lock()

    async def write(
        self,
        task_types: frozenset[str],
        starts: Mapping[str, str],
        needs: Mapping[str, Mapping[str, Any]],
        *,
        linked: bool,
    ) -> None:
        """Announce; does nothing when nothing has changed.

        Raises:
            NameTaken: another node has the name.
        """
        announcement = replace(
            self._claim.announcement,
            gpus=self._capacity.gpus,
            task_types=task_types,
            starts=starts,
            needs=needs,
            linked=linked,
        )
        async with self._writing:
            if announcement == self._written:
                return
            await self._claim.write(announcement)
            self._written = announcement
        self._tell()

    async def remove(self) -> None:
        await self._claim.release()
        self._tell()

    def _tell(self) -> None:
        name = self._claim.announcement.name
        resource = Resource({RESOURCE_ID: NODE_RESOURCE + name})
        self._emit(Event(event=NODE_ANNOUNCED, resource=resource, payload={"node": name}))


def _version() -> str:
    try:
        return version("prefect-skald")
    except PackageNotFoundError:
        return "unknown"
