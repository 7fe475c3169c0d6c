"""The node's end of one zygote: start it, have it load code and make children, hear who ended."""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Mapping, Sequence
from typing import Any

from skald_work_pools.node.forked import packets
from skald_work_pools.node.forked.findings import Finding
from skald_work_pools.node.forked.loading import Loaded
from skald_work_pools.node.forked.processes import Exit, signal_group
from skald_work_pools.node.forked.stamps import Reads

Started = tuple[int, "asyncio.Future[Exit]"]
"""A child's pid, which is its group's number too, and its end, once all that it had started has ended as well."""
SETTINGS_FILES = ("prefect.toml", ".env", "pyproject.toml")
"""What Prefect reads from the working directory as it starts."""
_log = logging.getLogger("skald.node.zygote")
_ROOM = 1 << 20
"""Bytes that may wait in a control socket."""


class ZygoteGone(RuntimeError):
    """The zygote has ended; what it had started is dead."""


class NotLoaded(RuntimeError):
    """The code could not be loaded; the message says why."""


class ZygoteClient:
    """One zygote process; all methods on one event loop."""

    def __init__(self, environment: Mapping[str, str]) -> None:
        self.environment = dict(environment)
        self._requests: dict[int, asyncio.Future[Started]] = {}
        self._exits: dict[int, asyncio.Future[Exit]] = {}
        self._answer: asyncio.Future[dict[str, Any]] | None = None
        self._process: subprocess.Popen[bytes] | None = None
        self._end: asyncio.Future[Exit] | None = None
        self._pid = 0
        self._control: socket.socket | None = None
        self._next = 0
        self.gone = asyncio.Event()
        self.outdated = False
        """Whether what it has imported is not what it would import now."""
        self._imported = Reads()

    @property
    def pid(self) -> int:
        return self._pid

    async def execute_self(self, folder: str = "/") -> None:
        """Come up as an interpreter of its own, started in ``folder``: a stem."""
        ours, theirs = self._sockets()
        with theirs:
            self._execute(theirs, folder)
        self._listen(ours)

    async def branch_off(self, stem: ZygoteClient) -> None:
        """Come up as a fork of ``stem``, in 10 ms, with what it has loaded.

        Raises:
            ZygoteGone: ``stem`` has ended.
        """
        ours, theirs = self._sockets()
        with theirs:
            try:
                self._pid, self._end = await stem._start({"do": "branch"}, [theirs.fileno()])
            except BaseException:
                ours.close()
                raise
        self._listen(ours)

    async def import_prefect(self) -> frozenset[str]:
        """Load what every flow needs; the names of the environment variables that this depended on."""
        report = await self._asked({"do": "import"})
        self._imported = Reads(files={file: tuple(stamp) for file, stamp in report["files"].items() if stamp})
        return frozenset(report["environment"])

    def look(self) -> bool:
        """Whether what it has imported has changed since; takes some milliseconds."""
        if not self.outdated and (path := self._imported.changed()) is not None:
            _log.warning("%s has changed: what was loaded with it is loaded anew", path)
            self.outdated = True
        return self.outdated

    async def probe(self, root: str, entrypoint: str) -> Loaded:
        """Load the entrypoint under observation; the zygote is of no other use afterwards.

        Raises:
            ZygoteGone: the import ended the process.
        """
        request = {"do": "probe", "settings": SETTINGS_FILES, **self._place(root, entrypoint)}
        report = await self._asked(request)
        return Loaded.from_dict(report["loaded"])

    async def load(self, root: str, entrypoint: str) -> list[Finding]:
        """Load the entrypoint to fork children that have it; what speaks against that, empty when nothing does.

        Raises:
            NotLoaded: the import failed.
            ZygoteGone: it ended the process.
        """
        report = await self._asked({"do": "load", **self._place(root, entrypoint)})
        if report["problem"]:
            raise NotLoaded(report["problem"])
        return [Finding(**finding) for finding in report["findings"]]

    async def fork(self, descriptors: Sequence[int]) -> Started:
        """A child that has the loaded flow, and copies of ``descriptors``: channel, stdout, stderr, flags."""
        return await self._start({"do": "fork"}, descriptors)

    async def fork_and_import(
        self, root: str, entrypoint: str, environment: Mapping[str, str], descriptors: Sequence[int]
    ) -> Started:
        """A child that loads the entrypoint by itself."""
        request = {"do": "spare", "root": root, "entrypoint": entrypoint, "env": dict(environment)}
        return await self._start(request, descriptors)

    async def execute(
        self, argv: Sequence[str], environment: Mapping[str, str], cwd: str, descriptors: Sequence[int]
    ) -> Started:
        """A child that becomes ``argv``."""
        request = {"do": "exec", "argv": list(argv), "env": dict(environment), "cwd": cwd}
        return await self._start(request, descriptors)

    async def idle(self) -> None:
        """Returns when no child is left."""
        while self._exits:
            await asyncio.wait(list(self._exits.values()))

    async def close(self, *, hurry: bool = False) -> None:
        """End the zygote and everything it started; with ``hurry``, also in the middle of an import."""
        if self._control is not None:
            self._lost()
        if self._process is not None:
            if hurry:
                self._process.kill()
            try:
                await asyncio.to_thread(self._process.wait, 5)
            except subprocess.TimeoutExpired:
                self._process.kill()
                await asyncio.to_thread(self._process.wait)
        elif self._end is not None:
            if not hurry:
                await asyncio.wait([self._end], timeout=5)
            if not self._end.done():
                signal_group(self._pid, signal.SIGKILL)

    def _execute(self, theirs: socket.socket, folder: str) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-P", "-m", "skald_work_pools.node.forked.zygote", str(theirs.fileno())],
            env=self.environment,
            cwd=folder,
            stdin=subprocess.DEVNULL,
            pass_fds=[theirs.fileno()],
            start_new_session=True,
        )
        self._pid = self._process.pid

    def _place(self, root: str, entrypoint: str) -> dict[str, Any]:
        return {"root": root, "entrypoint": entrypoint, "env": self.environment}

    def _sockets(self) -> tuple[socket.socket, socket.socket]:
        pair = packets.connected_pair()
        for each in pair:
            each.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, _ROOM)
        return pair

    def _listen(self, control: socket.socket) -> None:
        control.setblocking(False)
        self._control = control
        asyncio.get_running_loop().add_reader(control, self._read)

    async def _start(self, request: dict[str, Any], descriptors: Sequence[int]) -> Started:
        self._next += 1
        started: asyncio.Future[Started] = asyncio.get_running_loop().create_future()
        self._requests[self._next] = started
        await self._send({**request, "id": self._next}, descriptors)
        return await started

    async def _asked(self, request: dict[str, Any]) -> dict[str, Any]:
        """The zygote answers one such request at a time."""
        self._answer = asyncio.get_running_loop().create_future()
        await self._send(request)
        return await self._answer

    async def _send(self, request: dict[str, Any], descriptors: Sequence[int] = ()) -> None:
        while True:
            if self._control is None:
                raise ZygoteGone("the zygote has ended")
            try:
                packets.send(self._control, request, descriptors)
                return
            except BlockingIOError:
                await asyncio.sleep(0.01)
            except OSError as error:
                self._lost()
                raise ZygoteGone("the zygote has ended") from error

    def _read(self) -> None:
        while self._control is not None:
            try:
                report, _ = packets.receive(self._control)
            except BlockingIOError:
                return
            except OSError:
                report = None
            if report is None:
                self._lost()
                return
            self._hear(report)

    def _hear(self, report: dict[str, Any]) -> None:
        match report["is"]:
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
            case _:
                if self._answer is not None and not self._answer.done():
                    self._answer.set_result(report)

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
            *([self._answer] if self._answer else []),
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
