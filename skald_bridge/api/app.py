"""The HTTP application."""

from __future__ import annotations

from pathlib import Path

from fastapi import FastAPI, Request
from fastapi.middleware.cors import CORSMiddleware
from fastapi.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from skald_bridge.api import commands, events, pictures, queue, skalds, system, tasks
from skald_bridge.api.access import Access
from skald_bridge.api.backend import Backend
from skald_bridge.api.dashboard import serve_dashboard
from skald_bridge.api.dtask import Dtask, DtaskRoutes
from skald_bridge.api.fleet_page import serve_fleet_page
from skald_bridge.api.fleet_watch import FleetWatch
from skald_bridge.api.guard import Guard
from skald_bridge.api.head import Head
from skald_bridge.api.metrics import CONTENT_TYPE, Requests, exposition
from skald_bridge.api.problems import ALWAYS, handle_problems, responses
from skald_bridge.api.quick import Quick
from skald_bridge.api.watch import Watch

HEADERS = {
    b"x-content-type-options": b"nosniff",
    b"x-frame-options": b"DENY",
    b"referrer-policy": b"no-referrer",
}


def make_app(
    backend: Backend,
    watch: Watch,
    fleet: FleetWatch,
    access: Access,
    dashboard: Path | None = None,
    dtask: Dtask | None = None,
) -> FastAPI:
    """``dashboard``: a folder with a built page, served under /dashboard; ``dtask``: also answers its routes."""
    app = FastAPI(
        title="Skald bridge",
        description="Skalds' REST and events, over Prefect.",
        version=backend.version,
        openapi_url="/api/openapi.json",
        # Their pages load scripts from elsewhere, which would then be let in here.
        docs_url=None,
        redoc_url=None,
        responses=ALWAYS,
    )
    requests = Requests()
    app.state.backend, app.state.watch, app.state.requests = backend, watch, requests
    app.state.fleet = fleet
    for room in (tasks, commands, queue, skalds, system, events, pictures):
        app.include_router(room.router)
    app.add_api_route(
        "/metrics",
        _metrics,
        response_class=Response,
        tags=["system"],
        responses={
            200: {
                "description": "Prometheus' text format.",
                "content": {"text/plain": {"schema": {"type": "string"}}},
            },
            **responses(503),
        },
    )
    handle_problems(app)
    serve_fleet_page(app, as_root=dashboard is None)
    if dashboard is not None:
        serve_dashboard(app, dashboard)
    app.add_middleware(Head)
    app.add_middleware(_Hardened)
    if access.origins:
        app.add_middleware(
            CORSMiddleware,
            allow_origins=list(access.origins),
            allow_methods=["GET", "POST", "PUT", "DELETE"],
            allow_headers=["Authorization", "X-API-Key", "Content-Type", "Last-Event-ID"],
        )
    if dtask is not None:
        app.add_middleware(DtaskRoutes, dtask=dtask)
    app.add_middleware(Guard, access=access, requests=requests)
    return app


def quick_way(app: FastAPI, access: Access, dtask: Dtask) -> Quick:
    """Past ``app``, and no less guarded."""
    requests: Requests = app.state.requests
    guard = Guard(app, access, requests)
    return Quick(dtask, lambda scope: guard.refusal(scope) is None, requests)


async def _metrics(request: Request) -> Response:
    """For Prometheus."""
    state = request.app.state
    text = await exposition(state.backend, state.requests, state.watch.clients)
    return Response(text, media_type=CONTENT_TYPE)


class _Hardened:
    """Headers that keep a browser from guessing and from framing."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                message["headers"] = [*message.get("headers", ()), *HEADERS.items()]
            await send(message)

        await self._app(scope, receive, with_headers if scope["type"] == "http" else send)
