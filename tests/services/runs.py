"""Flow runs in a real Prefect server, moved through their states by the client, without a node."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Iterator, Mapping
from dataclasses import dataclass
from threading import Thread
from typing import Any
from uuid import UUID, uuid4

from prefect.client.orchestration import PrefectClient, get_client
from prefect.client.schemas.actions import WorkPoolCreate
from prefect.client.schemas.objects import State
from prefect.events.worker import EventsWorker
from prefect.settings import (
    PREFECT_API_URL,
    PREFECT_CLIENT_CSRF_SUPPORT_ENABLED,
    temporary_settings,
)
from prefect.states import Completed, Failed, Pending, Running, Scheduled

from skald_work_pools.messages import TAKEN_BY

SCHEMA = {
    "type": "object",
    "title": "Parameters",
    "properties": {"attachments": {"$ref": "#/definitions/Att", "position": 0, "title": "attachments"}},
    "required": ["attachments"],
    "definitions": {
        "Att": {
            "type": "object",
            "title": "Att",
            "properties": {
                "inputUrl": {"type": "string"},
                "segmentSeconds": {"type": "integer", "default": 10, "minimum": 1},
            },
            "required": ["inputUrl"],
            "additionalProperties": False,
        }
    },
}
ATTACHMENTS = {"inputUrl": "bikes.mp4"}
SENDING_SECONDS = 10.0
"""For events that are still to be sent when a test is over."""


@contextlib.contextmanager
def talking_to(url: str) -> Iterator[None]:
    """This process's Prefect client uses the server at ``url``; flows run here send their events there."""
    with temporary_settings({PREFECT_API_URL: url, PREFECT_CLIENT_CSRF_SUPPORT_ENABLED: False}):
        try:
            yield
        finally:
            # Prefect has one sender of events a process, for the server that it met first: the next may be another.
            # In a thread, for inside a running loop it does not wait.
            ending = Thread(target=EventsWorker.drain_all, kwargs={"timeout": SENDING_SECONDS})
            ending.start()
            ending.join()


@dataclass(frozen=True)
class Deployed:
    """A task type without code: enough for runs that are driven from outside."""

    class_name: str
    pool: str
    deployment: UUID


async def deploy(client: PrefectClient, *, pool_type: str = "skald") -> Deployed:
    mark = uuid4().hex[:8]
    pool = await client.create_work_pool(WorkPoolCreate(name=f"pool-{mark}", type=pool_type))
    flow = await client.create_flow_from_name(f"Type{mark}")
    deployment = await client.create_deployment(
        flow,
        f"dep-{mark}",
        work_pool_name=pool.name,
        parameter_openapi_schema=SCHEMA,
        enforce_parameter_schema=True,
    )
    return Deployed(f"Type{mark}", pool.name, deployment)


async def start(client: PrefectClient, deployed: Deployed, given: Mapping[str, Any] = ATTACHMENTS) -> UUID:
    run = await client.create_flow_run_from_deployment(
        deployed.deployment, parameters={"attachments": dict(given)}, state=Scheduled()
    )
    return run.id


def life(node: str, *, fails: bool = False) -> list[State[Any]]:
    """The states after the first of an ordinary task."""
    end = Failed(message="ffmpeg ended with 1") if fails else Completed()
    return [Pending(message=TAKEN_BY + node), Running(), end]


async def live(client: PrefectClient, run: UUID, states: list[State[Any]]) -> None:
    for state in states:
        await client.set_flow_run_state(run, state, force=True)


@contextlib.asynccontextmanager
async def client_of(url: str) -> AsyncIterator[PrefectClient]:
    with talking_to(url):
        async with get_client() as client:
            yield client
