"""A Prefect API of memory, in this process: what one flow run asks of its server, and nothing else.

Prefect's engine keeps a run's states and retries by talking to an API. Where there is no server, this stands
in on a loopback port of its own, so that flows, subtasks, retries and artifacts behave as they do everywhere.
"""

from __future__ import annotations

import json
import socket
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import prefect
import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route, WebSocketRoute
from starlette.websockets import WebSocket, WebSocketDisconnect

_STARTED_WITHIN = 10.0
Json = dict[str, Any]


class OfflineServer:
    """The rows a run makes. Times are ISO 8601, UTC."""

    def __init__(self, labels: Mapping[str, str] | None = None) -> None:
        self.labels = dict(labels or {})
        self.flows: dict[str, Json] = {}
        self.runs: dict[str, Json] = {}
        self.artifacts: dict[str, Json] = {}

    def flow(self, given: Json) -> Json:
        found = next((row for row in self.flows.values() if row["name"] == given["name"]), None)
        return found or self._keep(self.flows, given)

    def run(self, given: Json) -> Json:
        state = given.pop("state", None) or {"type": "PENDING", "name": "Pending"}
        row = self._keep(self.runs, {"name": given.get("name") or "run", "run_count": 0, **given})
        row["labels"] = {**(row.get("labels") or {}), **self.labels}
        row["state"] = _state(state)
        return row

    def set_state(self, row: Json, proposed: Json) -> Json:
        """The server's rules that matter to a single run: counting attempts, and failing into a retry."""
        if proposed["type"] == "RUNNING":
            row["run_count"] += 1
            row.setdefault("start_time", _now())
        policy = row.get("empirical_policy") or {}
        if proposed["type"] == "FAILED" and row["run_count"] <= (policy.get("retries") or 0):
            due = datetime.now(UTC) + timedelta(seconds=policy.get("retry_delay") or 0)
            details = {"scheduled_time": due.isoformat()}
            row["state"] = _state({"type": "SCHEDULED", "name": "AwaitingRetry", "state_details": details})
            return {
                "state": row["state"],
                "status": "REJECT",
                "details": {"type": "reject_details", "reason": "Retrying"},
            }
        row["state"] = _state(proposed)
        return {"state": row["state"], "status": "ACCEPT", "details": {"type": "accept_details"}}

    def artifact(self, given: Json) -> Json:
        return self._keep(self.artifacts, given)

    def _keep(self, rows: dict[str, Json], given: Json) -> Json:
        row = {"id": str(uuid4()), "created": _now(), "updated": _now(), **given}
        rows[row["id"]] = row
        return row


def _now() -> str:
    return datetime.now(UTC).isoformat()


def _state(given: Json) -> Json:
    return {"id": str(uuid4()), "timestamp": _now(), **{k: v for k, v in given.items() if v is not None}}


def application(memory: OfflineServer) -> Starlette:  # noqa: C901
    """The HTTP face of ``memory``; an unknown address is 404, as a server says of what does not exist."""

    async def version(_: Request) -> Response:
        return JSONResponse(prefect.__version__)

    async def create_flow(request: Request) -> Response:
        return JSONResponse(memory.flow(await request.json()), 201)

    async def one_flow(request: Request) -> Response:
        row = memory.flows.get(request.path_params["id"])
        return JSONResponse(row) if row else JSONResponse({"detail": "Flow not found"}, 404)

    async def create_run(request: Request) -> Response:
        return JSONResponse(memory.run(await request.json()), 201)

    async def one_run(request: Request) -> Response:
        row = memory.runs.get(request.path_params["id"])
        if row is None:
            return JSONResponse({"detail": "Run not found"}, 404)
        if request.method == "GET":
            return JSONResponse(row)
        row.update(await request.json())
        return Response(status_code=204)

    async def label_run(request: Request) -> Response:
        row = memory.runs[request.path_params["id"]]
        row["labels"] = {**(row.get("labels") or {}), **await request.json()}
        return Response(status_code=204)

    async def set_run_state(request: Request) -> Response:
        row = memory.runs[request.path_params["id"]]
        return JSONResponse(memory.set_state(row, (await request.json())["state"]), 201)

    async def create_artifact(request: Request) -> Response:
        return JSONResponse(memory.artifact(await request.json()), 201)

    async def update_artifact(request: Request) -> Response:
        memory.artifacts[request.path_params["id"]].update(await request.json())
        return Response(status_code=204)

    async def nothing(_: Request) -> Response:
        return JSONResponse([])

    async def unlimited(request: Request) -> Response:
        if request.path_params["rest"].endswith("increment-with-lease"):
            return JSONResponse({"lease_id": str(uuid4()), "limits": []})
        return JSONResponse([])

    async def done(_: Request) -> Response:
        return Response(status_code=204)

    return Starlette(
        routes=[
            Route("/api/admin/version", version),
            Route("/api/flows/", create_flow, methods=["POST"]),
            Route("/api/flows/{id}", one_flow),
            *(
                Route(f"/api/{kind}{path}", serve, methods=methods)
                for kind in ("flow_runs", "task_runs")
                for path, serve, methods in (
                    ("/", create_run, ["POST"]),
                    ("/{id}", one_run, ["GET", "PATCH"]),
                    ("/{id}/labels", label_run, ["PATCH"]),
                    ("/{id}/set_state", set_run_state, ["POST"]),
                )
            ),
            Route("/api/artifacts/", create_artifact, methods=["POST"]),
            Route("/api/artifacts/{id}", update_artifact, methods=["PATCH"]),
            Route("/api/logs/", done, methods=["POST"]),
            Route("/api/{rows}/filter", nothing, methods=["POST"]),
            Route("/api/v2/concurrency_limits/{rest:path}", unlimited, methods=["POST"]),
            WebSocketRoute("/api/events/{direction}", _events),
        ]
    )


async def _events(socket: WebSocket) -> None:
    """Logs in whoever asks, and takes events without keeping them."""
    await socket.accept(subprotocol="prefect")
    try:
        while True:
            if json.loads(await socket.receive_text()).get("type") == "auth":
                await socket.send_json({"type": "auth_success"})
    except WebSocketDisconnect:
        return


@contextmanager
def offline_api(labels: Mapping[str, str] | None = None) -> Iterator[str]:
    """The API's URL while the block lasts; ``labels`` are put on every run."""
    listening = socket.socket()
    listening.bind(("127.0.0.1", 0))
    server = uvicorn.Server(
        uvicorn.Config(application(OfflineServer(labels)), log_config=None, lifespan="off")
    )
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]}, daemon=True)
    listening.listen()
    thread.start()
    try:
        yield f"http://127.0.0.1:{listening.getsockname()[1]}/api"
    finally:
        server.should_exit = True
        server.force_exit = True
        thread.join(_STARTED_WITHIN)
