"""The peer's controller and nodes as services that tests stop, kill and restart."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
from pathlib import Path
from typing import Any

import httpx

from tests.services.http import request
from tests.services.poll import until
from tests.services.service import Service, alive, lasting_port
from tests.services.skalds_peer.environment import peer_python
from tests.services.skalds_peer.world import World

HERE = Path(__file__).parent


class _Process(Service):
    """A script of this folder in the peer's environment; its children stay in its process group."""

    def __init__(self, world: World, name: str, *command: str, **env: str) -> None:
        super().__init__(world.folder / name)
        self.world = world
        self.called = name
        self._program = [str(peer_python()), *command]
        logs = {"LOG_PATH": str(self.folder / "logs"), "LOG_LEVEL": "INFO", "PYTHONUNBUFFERED": "1"}
        self._env = {**world.env, **logs, "SKALD_ID": name, "STAMPED_BY": name, **env}
        self._groups: set[int] = set()

    def command(self) -> list[str]:
        # An empty PYTHONPATH: nothing of this checkout gets in there.
        own = {**self._env, "PYTHONPATH": ""}
        return ["env", *(f"{name}={value}" for name, value in own.items()), *self._program]

    def start(self, *, detached: bool = False) -> None:
        super().start(detached=detached)
        self._groups.add(self.pid)

    def kill_alone(self) -> int:
        """SIGKILL for the process itself, as the kernel's out-of-memory killer ends it; its process id."""
        pid = self.pid
        os.kill(pid, signal.SIGKILL)
        assert self.process is not None
        self.process.wait(10)
        return pid

    def end(self, how: signal.Signals = signal.SIGTERM, seconds: float = 15) -> None:
        """A signal for the process itself, and its end; SIGKILL after ``seconds``."""
        os.kill(self.pid, how)
        assert self.process is not None
        try:
            self.process.wait(seconds)
        except subprocess.TimeoutExpired:
            self.kill_alone()

    def __exit__(self, *_: Any) -> None:
        """Nobody is left, orphans of killed ones neither."""
        self.kill()
        for group in self._groups:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(group, signal.SIGKILL)
        until(lambda: not self.left(), 10, f"the end of all that {self.called} started")

    def left(self) -> list[int]:
        """Live processes of its groups: also those that outlived it."""
        found = []
        for folder in Path("/proc").glob("[0-9]*"):
            with contextlib.suppress(OSError):
                pid = int(folder.name)
                if os.getpgid(pid) in self._groups and alive(pid):
                    found.append(pid)
        return found


class SkaldsController(_Process):
    """Dispatcher, monitors and REST."""

    name = "Skalds' System Controller"

    def __init__(self, world: World) -> None:
        self.port = lasting_port()
        listen = {"SYSTEM_CONTROLLER_HOST": "127.0.0.1", "SYSTEM_CONTROLLER_PORT": str(self.port)}
        super().__init__(world, "controller", str(HERE / "controller.py"), **listen)

    @property
    def ports(self) -> dict[str, int]:
        return {"REST": self.port}

    def answers(self) -> bool:
        with contextlib.suppress(httpx.HTTPError):
            return bool(self.api("GET", "/api/system/health").status_code == 200)
        return False

    def api(self, method: str, path: str, body: Any = None) -> httpx.Response:
        return request(method, f"http://127.0.0.1:{self.port}{path}", json=body, timeout=30)

    def asked(self, method: str, path: str, body: Any = None) -> Any:
        """The JSON of an answer that is no refusal."""
        answer = self.api(method, path, body)
        assert answer.is_success, f"{method} {path}: {answer.status_code} {answer.text}"
        return answer.json()

    def sees(self, node: str) -> bool:
        """Whether it would give tasks to the node."""
        found = self.asked("GET", "/api/skalds/")["items"]
        return any(one["id"] == node and one["status"] == "online" for one in found)


class SkaldsNode(_Process):
    """A node with classes of ``workers``; it answers once it hears Kafka."""

    name = "Skalds' node"

    def __init__(self, world: World, name: str, *classes: str) -> None:
        super().__init__(world, name, str(HERE / "node.py"), *classes)

    @property
    def ports(self) -> dict[str, int]:
        return {}

    def answers(self) -> bool:
        return self.world.joined(self.called) and bool(
            self.world.cache.exists(f"skalds:{self.called}:allow-task-class-name")
        )
