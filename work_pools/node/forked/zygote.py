"""The zygote: one thread that has the flows loaded, forks a child per run and reaps it.

``python -m work_pools.node.forked.zygote FD`` speaks JSON with its node over the sequenced-packet socket FD.
Requests: ``import`` (Prefect alone), ``preload``, ``sweep``, ``fork`` and ``exec``, which carry descriptors
(channel, stdout, stderr, flags), and ``branch``: a fork that is a zygote itself, on the socket it carries.
Reports: ``preloaded``, ``started``, ``failed`` and ``exited``. When the node is gone, all that was forked is
killed.
"""

from __future__ import annotations

import array
import contextlib
import json
import os
import select
import signal
import socket
import sys
from typing import Any, NoReturn

from work_pools.node.forked.processes import (
    adopt_orphans,
    children,
    descendants,
    die_with,
    signal_group,
    works_for,
)

PACKET = 1 << 20
DESCRIPTORS = 4


class Zygote:
    """Serves one node until its socket closes."""

    def __init__(self, control: socket.socket) -> None:
        self._control = control
        self._running: set[int] = set()
        self._preload: Any = None
        self._wake_read, self._wake_write = os.pipe()

    def serve(self) -> NoReturn:
        for end in (self._wake_read, self._wake_write):
            os.set_blocking(end, False)
        signal.signal(signal.SIGCHLD, lambda *_: None)
        signal.set_wakeup_fd(self._wake_write, warn_on_full_buffer=False)
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        adopt_orphans()
        control = self._control.fileno()
        try:
            while True:
                ready, _, _ = select.select([control, self._wake_read], [], [])
                if self._wake_read in ready:
                    with contextlib.suppress(BlockingIOError):
                        os.read(self._wake_read, 4096)
                    self._reap()
                if control in ready and not self._serve_one():
                    break
        except (BrokenPipeError, ConnectionResetError):
            pass
        finally:
            self._kill_all()
        os._exit(0)

    def _serve_one(self) -> bool:
        packet, descriptors = _receive(self._control)
        if not packet:
            return False
        request = json.loads(packet)
        try:
            match request["do"]:
                case "preload":
                    self._load(request)
                case "import":
                    import_prefect()
                case "sweep":
                    self._sweep(request["run"])
                case _:
                    self._start(request, descriptors)
        finally:
            for descriptor in descriptors:
                os.close(descriptor)
        return True

    def _load(self, request: dict[str, Any]) -> None:
        from work_pools.node.forked.preload import preload

        self._preload = preload(request["root"], request["entrypoints"])
        loaded = {entrypoint: each.to_dict() for entrypoint, each in self._preload.loaded.items()}
        self._report(is_="preloaded", loaded=loaded, files=self._preload.files)

    def _start(self, request: dict[str, Any], descriptors: list[int]) -> None:
        parent = os.getpid()
        try:
            pid = os.fork()
        except OSError as error:
            self._report(is_="failed", id=request["id"], reason=f"fork: {error.strerror}")
            return
        if pid == 0:
            self._become_child(parent, request, descriptors)
        self._running.add(pid)
        self._report(is_="started", id=request["id"], pid=pid)

    def _become_child(self, parent: int, request: dict[str, Any], descriptors: list[int]) -> NoReturn:
        code = 70
        try:
            signal.set_wakeup_fd(-1)
            for number in (signal.SIGCHLD, signal.SIGTERM):
                signal.signal(number, signal.SIG_DFL)
            signal.signal(signal.SIGINT, signal.default_int_handler)
            for descriptor in (self._wake_read, self._wake_write, self._control.detach()):
                os.close(descriptor)
            from work_pools.node.forked import child

            if request["do"] == "exec":
                child.replace(parent, request, descriptors)
            if request["do"] == "branch":
                branch(parent, request["env"], descriptors)
            code = child.run_forked(parent, descriptors, self._preload.flows)
        finally:
            os._exit(code)

    def _reap(self) -> None:
        """Report who ended; a leader stays unreaped until its group is killed, so that no id is reused."""
        while True:
            try:
                ended = os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT)
            except ChildProcessError:
                return
            if ended is None:
                return
            pid = ended.si_pid
            ours = pid in self._running
            self._running.discard(pid)
            if ours:
                signal_group(pid, signal.SIGKILL)
            _, status = os.waitpid(pid, 0)
            if ours:
                self._report(is_="exited", pid=pid, status=status)

    def _sweep(self, run_id: str) -> None:
        """Kill the orphans of an ended run: processes that left its group before it ended."""
        for pid in children(os.getpid()):
            if pid not in self._running and works_for(pid, run_id):
                for each in (pid, *descendants(pid)):
                    with contextlib.suppress(ProcessLookupError, PermissionError):
                        os.kill(each, signal.SIGKILL)

    def _kill_all(self) -> None:
        for pid in self._running:
            signal_group(pid, signal.SIGKILL)
        for pid in descendants(os.getpid()):
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.kill(pid, signal.SIGKILL)

    def _report(self, *, is_: str, **content: Any) -> None:
        self._control.send(json.dumps({"is": is_, **content}).encode())


def import_prefect() -> None:
    """What every flow needs, once for all zygotes that branch off."""
    import gc

    from work_pools import prefect_private

    prefect_private.share_ssl_contexts()
    prefect_private.rehearse()
    gc.collect()
    gc.freeze()


def branch(parent: int, environment: dict[str, str], descriptors: list[int]) -> NoReturn:
    """In a fresh fork: be a zygote with this environment."""
    os.setsid()
    die_with(parent)
    prefect_before = _prefect_settings()
    os.environ.clear()
    os.environ.update(environment)
    if _prefect_settings() != prefect_before and "prefect.context" in sys.modules:
        from prefect.context import refresh_global_settings_context

        refresh_global_settings_context()
    Zygote(socket.socket(fileno=os.dup(descriptors[0]))).serve()


def _prefect_settings() -> dict[str, str]:
    return {name: value for name, value in os.environ.items() if name.startswith("PREFECT_")}


def _receive(control: socket.socket) -> tuple[bytes, list[int]]:
    descriptors = array.array("i")
    packet, ancillary, _, _ = control.recvmsg(PACKET, socket.CMSG_LEN(DESCRIPTORS * descriptors.itemsize))
    for level, kind, data in ancillary:
        if level == socket.SOL_SOCKET and kind == socket.SCM_RIGHTS:
            descriptors.frombytes(data[: len(data) - len(data) % descriptors.itemsize])
    return packet, list(descriptors)


if __name__ == "__main__":
    Zygote(socket.socket(fileno=int(sys.argv[1]))).serve()
