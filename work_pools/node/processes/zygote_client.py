"""The node's end of one zygote: start it, have it load flows and make children, hear who ended."""

from __future__ import annotations

import asyncio
import json
import logging
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Mapping, Sequence
from typing import Any

from work_pools.node.forked.preload import Loaded, Stamp
from work_pools.node.forked.processes import Exit, signal_group
from work_pools.node.forked.zygote import PACKET

_log = logging.getLogger("skald.node.zygote")
Started = tuple[int, "asyncio.Future[Exit]"]
"""A child's pid, which is its group's number too, and its end, once its group has ended as well."""


class ZygoteGone(RuntimeError):
    """The zygote has ended; what it had started is dead."""


class ZygoteClient:
    """One zygote process; all methods on one event loop."""

    def __init__(self, environment: Mapping[str, str]) -> None:
        self._environment = dict(environment)
        self._requests: dict[int, asyncio.Future[Started]] = {}
        self._exits: dict[int, asyncio.Future[Exit]] = {}
        self._loading: asyncio.Future[tuple[dict[str, Loaded], dict[str, Stamp]]] | None = None
        self._process: subprocess.Popen[bytes] | None = None
        self._end: asyncio.Future[Exit] | None = None
        self._pid = 0
        self._control: socket.socket | None = None
        self._next = 0
        self.gone = asyncio.Event()

    @property
    def pid(self) -> int:
        return self._pid

    async def start(self, stem: ZygoteClient | None = None) -> None:
        """Come up: in 10 ms as a branch of ``stem``, which has Prefect loaded, else as a process of its own.

        Raises:
            ZygoteGone: ``stem`` has ended.
        """
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with theirs:
            for each in (ours, theirs):
                each.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, PACKET)
            if stem is not None and not self._fixed_at_start(stem):
                request = {"do": "branch", "env": self._environment}
                try:
                    self._pid, self._end = await stem._start(request, [theirs.fileno()])
                except BaseException:
                    ours.close()
                    raise
            else:
                self._execute(theirs)
        ours.setblocking(False)
        self._control = ours
        asyncio.get_running_loop().add_reader(ours, self._read)

    async def import_prefect(self) -> None:
        """Load what every flow needs; branches have it then."""
        await self._ask({"do": "import"}, [])

    def _fixed_at_start(self, stem: ZygoteClient) -> bool:
        """Whether the environments differ in what an interpreter or the loader reads only once."""
        return any(
            name.startswith(("PYTHON", "LD_")) and self._environment.get(name) != stem._environment.get(name)
            for name in {*self._environment, *stem._environment}
        )

    def _execute(self, theirs: socket.socket) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-P", "-m", "work_pools.node.forked.zygote", str(theirs.fileno())],
            env=self._environment,
            cwd="/",
            stdin=subprocess.DEVNULL,
            pass_fds=[theirs.fileno()],
            start_new_session=True,
        )
        self._pid = self._process.pid

    async def preload(
        self, root: str, entrypoints: Sequence[str]
    ) -> tuple[dict[str, Loaded], dict[str, Stamp]]:
        """What was loaded, by entrypoint, and the code files with their stamps.

        Raises:
            ZygoteGone: an import ended the process.
        """
        self._loading = asyncio.get_running_loop().create_future()
        await self._ask({"do": "preload", "root": root, "entrypoints": list(entrypoints)}, [])
        return await self._loading

    async def fork(self, descriptors: Sequence[int]) -> Started:
        """A new child that holds copies of ``descriptors``: channel, stdout, stderr, flags."""
        return await self._start({"do": "fork"}, descriptors)

    async def execute(
        self,
        argv: Sequence[str],
        environment: Mapping[str, str],
        cwd: str,
        descriptors: Sequence[int],
    ) -> Started:
        """A new child that becomes ``argv``."""
        request = {"do": "exec", "argv": list(argv), "env": dict(environment), "cwd": cwd}
        return await self._start(request, descriptors)

    async def idle(self) -> None:
        """Returns when no child is left."""
        while self._exits:
            await asyncio.wait(list(self._exits.values()))

    async def close(self) -> None:
        """End the zygote and everything it started."""
        loading = self._loading is not None and not self._loading.done()
        if self._control is not None:
            self._lost()
        if self._process is not None:
            if loading:
                # An import cannot be asked to end, and nothing is forked yet.
                self._process.kill()
            try:
                await asyncio.to_thread(self._process.wait, 5)
            except subprocess.TimeoutExpired:
                self._process.kill()
                await asyncio.to_thread(self._process.wait)
        elif self._end is not None:
            await asyncio.wait([self._end], timeout=5)
            if not self._end.done():
                signal_group(self._pid, signal.SIGKILL)

    async def _start(self, request: dict[str, Any], descriptors: Sequence[int]) -> Started:
        self._next += 1
        started: asyncio.Future[Started] = asyncio.get_running_loop().create_future()
        self._requests[self._next] = started
        await self._ask({**request, "id": self._next}, descriptors)
        return await started

    async def forget_leftovers(self, run_id: str) -> None:
        """Kill what the run started in other sessions and left behind."""
        await self._ask({"do": "sweep", "run": run_id}, [])

    async def _ask(self, request: dict[str, Any], descriptors: Sequence[int]) -> None:
        packet = json.dumps(request).encode()
        while True:
            if self._control is None:
                raise ZygoteGone("the zygote has ended")
            try:
                socket.send_fds(self._control, [packet], list(descriptors))
                return
            except BlockingIOError:
                await asyncio.sleep(0.01)
            except OSError as error:
                self._lost()
                raise ZygoteGone("the zygote has ended") from error

    def _read(self) -> None:
        assert self._control is not None
        while True:
            try:
                packet = self._control.recv(PACKET)
            except BlockingIOError:
                return
            except OSError:
                packet = b""
            if not packet:
                self._lost()
                return
            self._hear(json.loads(packet))
            if self._control is None:
                return

    def _hear(self, report: dict[str, Any]) -> None:
        match report.pop("is"):
            case "preloaded":
                loaded = {name: Loaded.from_dict(told) for name, told in report["loaded"].items()}
                files = {file: (stamp[0], stamp[1]) for file, stamp in report["files"].items()}
                if self._loading is not None and not self._loading.done():
                    self._loading.set_result((loaded, files))
            case "started":
                end: asyncio.Future[Exit] = asyncio.get_running_loop().create_future()
                self._exits[report["pid"]] = end
                self._requests.pop(report["id"]).set_result((report["pid"], end))
            case "failed":
                self._requests.pop(report["id"]).set_exception(ZygoteGone(report["reason"]))
            case "exited":
                waiting = self._exits.pop(report["pid"])
                if not waiting.done():
                    waiting.set_result(Exit.of(report["status"]))

    def _lost(self) -> None:
        """The zygote kills its children when it ends in order; this is for when it was killed itself."""
        if self._control is None:
            return
        asyncio.get_running_loop().remove_reader(self._control)
        self._control.close()
        self._control = None
        for pid, waiting in self._exits.items():
            signal_group(pid, signal.SIGKILL)
            if not waiting.done():
                waiting.set_result(Exit(signal=signal.SIGKILL))
        self._exits.clear()
        pending: list[asyncio.Future[Any]] = [
            *self._requests.values(),
            *([self._loading] if self._loading else []),
        ]
        for request in pending:
            if not request.done():
                request.set_exception(ZygoteGone("the zygote has ended"))
        self._requests.clear()
        self.gone.set()


def environment(extra: Mapping[str, str | None]) -> dict[str, str]:
    """This process's environment with ``extra`` in it; ``None`` takes a name out."""
    merged = {**os.environ, **extra}
    return {name: value for name, value in merged.items() if value is not None}
