"""The zygote: one thread that has code loaded, forks a child per run and reaps it.

``python -m skald_work_pools.node.forked.zygote FD`` speaks packets with its node over the socket FD. It begins as a
stem, with Prefect and no user code. Requests:

``import``: load Prefect. ``probe`` and ``load``: an entrypoint, in ``root`` and ``env``, observed or to be shared.
``branch``: a fork that is a zygote itself, on the socket it carries. ``fork``, ``spare`` and ``exec``: a child
that has the loaded flow, loads one by itself, or becomes a command; they carry channel, stdout, stderr and flags.

Reports: ``imported``, ``probed``, ``loaded``, ``started``, ``failed`` and ``exited``. When the node is gone, all that
was forked is killed.
"""

from __future__ import annotations

import contextlib
import os
import select
import signal
import socket
import sys
import time
from collections.abc import Generator
from typing import Any, NoReturn

from skald_work_pools.node.forked import interpreter_start, packets
from skald_work_pools.node.forked.patches import reads_of_environment
from skald_work_pools.node.forked.processes import (
    adopt_orphans,
    children,
    descendants,
    die_with,
    kill,
    signal_group,
)

SWEEP_SECONDS = 2.0
"""What the leftovers of a run get to be gone after SIGKILL; a process in the kernel's hands may take longer."""

CLEAN_UP_SECONDS = 5


class Zygote:
    """Serves one node until its socket closes."""

    def __init__(self, control: socket.socket) -> None:
        self._control = control
        control.settimeout(None)
        self._running: set[int] = set()
        self._flow: Any = None
        self._probed = False
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
        if self._probed:
            from skald_work_pools.node.forked.inheritance import clean_up_temporary

            signal.alarm(CLEAN_UP_SECONDS)
            clean_up_temporary()
        os._exit(0)

    def _serve_one(self) -> bool:
        request, descriptors = packets.receive(self._control)
        if request is None:
            return False
        try:
            match request["do"]:
                case "import":
                    self._import_prefect()
                case "probe":
                    self._probe(request)
                case "load":
                    self._load(request)
                case _:
                    self._start(request, descriptors)
        finally:
            for descriptor in descriptors:
                os.close(descriptor)
        return True

    def _import_prefect(self) -> None:
        asked = import_prefect()
        from skald_work_pools.node.forked.stamps import stamp_of

        files = {
            file: stamp_of(file)
            for module in list(sys.modules.values())
            if isinstance(file := getattr(module, "__file__", None), str)
        }
        self._report(is_="imported", environment=sorted(asked), files=files)

    def _probe(self, request: dict[str, Any]) -> None:
        from skald_work_pools.node.forked import loading
        from skald_work_pools.node.forked.stamps import place_of, stamp_of

        self._probed = True
        place = place_of(request["root"])
        paths = [os.path.join(request["root"], name) for name in request["settings"]]
        settings = {path: stamp_of(path) for path in paths}
        try:
            loading.enter(request["root"], request["env"])
            with _signals_of_a_fresh_process():
                loaded = loading.probe(request["entrypoint"])
        except OSError as error:
            loaded = loading.Loaded(problem=loading.reason(error))
        loaded.reads.places[request["root"]] = place
        loaded.reads.files.update(settings)
        self._report(is_="probed", loaded=loaded.to_dict())

    def _load(self, request: dict[str, Any]) -> None:
        from skald_work_pools.node.forked import loading

        problem, findings = "", []
        try:
            loading.enter(request["root"], request["env"])
            with _signals_of_a_fresh_process():
                self._flow, found = loading.load_to_share(request["entrypoint"])
            findings = [{"start": each.start, "why": each.why} for each in found]
        except BaseException as error:
            problem = loading.reason(error)
        self._report(is_="loaded", problem=problem, findings=findings)

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
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
            signal.signal(signal.SIGINT, signal.default_int_handler)
            for descriptor in (self._wake_read, self._wake_write, self._control.detach()):
                os.close(descriptor)
            os.setsid()
            die_with(parent)
            if request["do"] == "branch":
                Zygote(socket.socket(fileno=os.dup(descriptors[0]))).serve()
            # What the run leaves behind, however it was forked, stays below this process and is found by it.
            adopt_orphans()
            from skald_work_pools.node.forked import child

            match request["do"]:
                case "exec":
                    child.replace(request, descriptors)
                case "spare":
                    code = child.run_imported(request, descriptors)
                case _:
                    code = child.run_forked(self._flow, descriptors)
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
                self._bury_leftovers()
                self._report(is_="exited", pid=pid, status=status)

    def _bury_leftovers(self) -> None:
        """Kill what an ended run left behind.

        A living run's processes stay below their run; so whatever is a child of this process and was not
        started by it belongs to a run that has ended.
        """
        deadline = time.monotonic() + SWEEP_SECONDS
        while left := [pid for pid in children(os.getpid()) if pid not in self._running]:
            for pid in left:
                kill(pid, *descendants(pid))
                with contextlib.suppress(ChildProcessError):
                    if _has_ended(pid):
                        os.waitpid(pid, 0)
            if time.monotonic() > deadline:
                return
            time.sleep(0.001)

    def _kill_all(self) -> None:
        for pid in self._running:
            signal_group(pid, signal.SIGKILL)
        kill(*descendants(os.getpid()))

    def _report(self, *, is_: str, **content: Any) -> None:
        packets.send(self._control, {"is": is_, **content})


@contextlib.contextmanager
def _signals_of_a_fresh_process() -> Generator[None, None, None]:
    """While user code is imported; children that end meanwhile are reaped with the next."""
    own = {number: signal.getsignal(number) for number in (signal.SIGCHLD, signal.SIGINT)}
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        yield
    finally:
        for number, handler in own.items():
            signal.signal(number, handler)


def _has_ended(pid: int) -> bool:
    return os.waitid(os.P_PID, pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is not None


def import_prefect() -> set[str]:
    """Load what every flow needs, once for all that is forked; the environment variables that it asked for."""
    import gc

    given = interpreter_start.given_environment()
    by_site = interpreter_start.loaded_by_site(dict(sys.modules))
    changes = interpreter_start.changes(given, os.environ)
    asked = {*changes, *interpreter_start.names_mentioned(by_site)}
    with reads_of_environment(lambda name, _: asked.add(name)):
        from skald_work_pools.node.forked import child, loading  # noqa: F401
        from skald_work_pools.prefect_private import clients, engines, events, execution, hooks, logs  # noqa: F401

        loading.changed_by_start = changes
        clients.share_ssl_contexts()
        execution.rehearse()
    loading.looked_for_at_start = interpreter_start.found_at_start(sys.modules)
    gc.collect()
    gc.freeze()
    return asked


if __name__ == "__main__":
    Zygote(socket.socket(fileno=int(sys.argv[1]))).serve()
