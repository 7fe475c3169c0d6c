"""`skald bridge` with its REST API, as a process of its own."""

from __future__ import annotations

import contextlib
import subprocess
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx

from tests.services.http import request
from tests.services.leashed import leashed
from tests.services.poll import until
from tests.services.prefect_server import PrefectServer, free_port
from tests.services.skald_cli import SKALD, skald_environment

ENDED = ("Finished", "Failed", "Cancelled")


@dataclass
class Rest:
    """``home`` holds the journal and ``bridge.log``."""

    url: str
    home: Path
    process: subprocess.Popen[bytes]
    headers: Mapping[str, str]

    def ask(self, method: str, path: str, body: Any = None, **more: Any) -> httpx.Response:
        headers = {**self.headers, **more.pop("headers", {})}
        return request(method, f"{self.url}{path}", json=body, headers=headers, timeout=30, **more)

    def get(self, path: str) -> Any:
        """The JSON of a good answer."""
        answer = self.ask("GET", path)
        assert answer.status_code == 200, (path, answer.status_code, answer.text, self.log())
        return answer.json()

    def do(self, method: str, path: str, body: Any = None) -> dict[str, Any]:
        """The JSON of a write that was accepted."""
        answer = self.ask(method, path, body)
        assert answer.is_success, (path, answer.status_code, answer.text, self.log())
        found: dict[str, Any] = answer.json()
        assert found["success"] is True and found["message"]
        return found

    def reaches(self, task: str, *statuses: str, seconds: float = 60) -> dict[str, Any]:
        """The task once its status is one of these."""

        def there() -> dict[str, Any] | None:
            found: dict[str, Any] = self.get(f"/api/tasks/{task}")
            return found if found["lifecycleStatus"] in statuses else None

        found = until(there, seconds, f"{task} is {' or '.join(statuses)}")
        assert found is not None
        return found

    def log(self) -> str:
        return (self.home / "bridge.log").read_text()[-3000:]


@contextlib.contextmanager
def running_rest(
    server: PrefectServer,
    home: Path,
    *options: str,
    env: Mapping[str, str] | None = None,
    key: str = "",
    descriptors: int = 0,
    port: int = 0,
) -> Iterator[Rest]:
    """Answers when entered. ``options`` are those of `skald bridge`; ``key`` is its SKALD_API_KEY.

    ``descriptors``: so many files it may have open, where that is given; ``port``: any free one, unless given.
    """
    home.mkdir(parents=True, exist_ok=True)
    port = port or free_port()
    limited = ["sh", "-c", 'ulimit -n "$0" && exec "$@"', str(descriptors)] if descriptors else []
    own = {
        **{
            name: server.client_env[name]
            for name in ("PREFECT_API_URL", "PREFECT_CLIENT_CSRF_SUPPORT_ENABLED")
        },
        "SYSTEM_CONTROLLER_PORT": str(port),
        "SKALD_API_KEY": key,
        **(env or {}),
    }
    with (home / "bridge.log").open("ab") as log:
        process = subprocess.Popen(
            leashed([*limited, *SKALD, "bridge", *options]),
            env=skald_environment(home, own),
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
        )
    headers = {"X-API-Key": key} if key else {}
    made = Rest(f"http://127.0.0.1:{port}", home, process, headers)
    try:
        until(lambda: _answers(made), 60, f"REST; its log: {home / 'bridge.log'}")
        yield made
    finally:
        process.terminate()
        try:
            process.wait(15)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _answers(made: Rest) -> bool:
    assert made.process.poll() is None, made.log()
    with contextlib.suppress(httpx.HTTPError):
        return made.ask("GET", "/api/system/health").status_code == 200
    return False
