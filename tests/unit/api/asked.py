"""Requests as an ASGI server hands them over, to an application over few fakes."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping
from types import SimpleNamespace
from typing import Any, cast
from urllib.parse import unquote

from fastapi import FastAPI
from pydantic import SecretStr

from skald_bridge.adapters.clock import SystemClock
from skald_bridge.api import events
from skald_bridge.api.access import Access
from skald_bridge.api.backend import Backend
from skald_bridge.api.guard import Guard
from skald_bridge.api.head import Head
from skald_bridge.api.metrics import Requests
from skald_bridge.api.problems import handle_problems
from skald_bridge.api.reading import GivenTask
from skald_bridge.api.watch import Watch
from skald_bridge.domain.errors import NotFound
from skald_bridge.domain.ids import TaskId
from tests.services.poll import auntil

KEY = "a-long-random-text"
LOCAL = Access("127.0.0.1")
KEYED = Access("0.0.0.0", SecretStr(KEY))
RUN = "0a1b2c3d-0000-4000-8000-00000000000a"


class Archive:
    """Holds ``ids``."""

    def __init__(self, *ids: str) -> None:
        self.ids = ids

    async def read(self, wanted: list[str]) -> dict[str, object]:
        return {each: object() for each in wanted if each in self.ids}


class Engine:
    async def task(self, task: TaskId) -> Any:
        if task.lower() != RUN:
            raise NotFound(f"No task {task}")
        return SimpleNamespace(id=TaskId(RUN))


def backend_of(*ids: str) -> Backend:
    return cast(Backend, SimpleNamespace(archive=Archive(*ids), engine=Engine(), clock=SystemClock()))


class World:
    def __init__(self, access: Access = LOCAL, most: int = 1) -> None:
        self.app = FastAPI()
        self.requests = Requests()
        self.watch = Watch(backend_of(), most=most)
        self.app.state.backend, self.app.state.watch = backend_of(), self.watch
        self.app.include_router(events.router)

        @self.app.get("/api/tasks/{task_id}")
        async def one(task: GivenTask) -> dict[str, str]:
            return {"one": task}

        @self.app.put("/api/tasks/{task_id}")
        async def put(task: GivenTask) -> dict[str, str]:
            return {"put": task}

        @self.app.get("/api/tasks/{task_id}/why")
        async def why(task: GivenTask) -> dict[str, str]:
            return {"why": task}

        handle_problems(self.app)
        self.app.add_middleware(Head)
        self.app.add_middleware(Guard, access=access, requests=self.requests)

    def ask(self, path: str, method: str = "GET", **scope: Any) -> Asked:
        return Asked(self.app, path, method, scope)


class Asked:
    """One request; ``leave`` is the client's going."""

    def __init__(
        self, app: FastAPI, path: str, method: str, more: Mapping[str, Any], body: bytes = b""
    ) -> None:
        self.sent: list[dict[str, Any]] = []
        self.scope: dict[str, Any] = {
            "type": "http",
            "http_version": "1.1",
            "method": method,
            "path": unquote(path),
            "raw_path": path.encode(),
            "query_string": b"",
            "headers": [(b"host", b"127.0.0.1:8000")],
            **more,
        }
        self._left = asyncio.Event()
        self._first, self._content = True, body
        self.task = asyncio.ensure_future(app(self.scope, cast(Any, self._receive), cast(Any, self._send)))

    async def _receive(self) -> dict[str, Any]:
        if self._first and self.scope["type"] == "http":
            self._first = False
            return {"type": "http.request", "body": self._content}
        if self.scope["type"] == "websocket":
            return {"type": "websocket.connect"}
        await self._left.wait()
        return {"type": "http.disconnect"}

    async def _send(self, message: dict[str, Any]) -> None:
        self.sent.append(message)

    def leave(self) -> None:
        self._left.set()

    async def end(self) -> Asked:
        async with asyncio.timeout(10):
            await self.task
        return self

    async def begun(self) -> Asked:
        async def there() -> bool:
            return bool(self.sent)

        await auntil(there, 10, "an answer")
        return self

    @property
    def status(self) -> int:
        return int(self.sent[0]["status"])

    @property
    def headers(self) -> dict[bytes, bytes]:
        return dict(self.sent[0]["headers"])

    @property
    def body(self) -> bytes:
        return b"".join(message.get("body", b"") for message in self.sent[1:])

    def json(self) -> Any:
        return json.loads(self.body)


def headers(**given: str) -> list[tuple[bytes, bytes]]:
    return [(name.replace("_", "-").encode(), value.encode()) for name, value in given.items()]
