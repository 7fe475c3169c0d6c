"""A run's own process: made by fork, often before its run is known, or a new interpreter."""

from __future__ import annotations

import atexit
import contextlib
import gc
import io
import os
import socket
import sys
import threading
import time
import traceback
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, NoReturn
from uuid import UUID

from skald_work_pools.messages import CHANNEL_FD_ENV, Broke, Emitted, Hooks, Logged, Run, Stated, Warm
from skald_work_pools.node.forked import channel
from skald_work_pools.node.forked.installed import is_installed
from skald_work_pools.node.forked.loading import HOOKS, change_environment
from skald_work_pools.node.forked.processes import RUN_ID_ENV
from skald_work_pools.node.forked.shared_flags import SharedFlags

if TYPE_CHECKING:
    from prefect.client.schemas.objects import FlowRun
    from prefect.flows import Flow

FLAGS_FD_ENV = "SKALD_FLAGS_FD"
HELD_SECONDS = 30.0
"""What a log record waits at most for the node to have room for it."""
_OURS = ("skald_bridge", "skald_work_pools", "skald_blocks")
_OUR_THREADS = ("skald-", "RunSyncEventLoop", "GlobalEventLoop", "EventsWorker", "APILogWorker")
Finder = Callable[[Run, "FlowRun"], "Flow[..., Any]"]


def run_forked(flow: Flow[..., Any], descriptors: list[int]) -> int:
    """In a fresh fork that has the flow: warm up, wait for a run, run it; returns the exit code."""
    _take_streams(descriptors)
    _reseed()
    try:
        return _serve(descriptors[0], descriptors[3], lambda *_: flow)
    finally:
        close_down()


def run_imported(request: dict[str, Any], descriptors: list[int]) -> int:
    """In a fresh fork without user code: load the flow by itself, then as ``run_forked``."""
    from skald_work_pools.node.forked import loading

    _take_streams(descriptors)
    loading.enter(request["root"], request["env"])
    flow: Flow[..., Any] | None = None
    failure: BaseException | None = None
    try:
        flow = loading.load(request["entrypoint"])
    except BaseException as error:
        failure = error

    def find(*_: Any) -> Flow[..., Any]:
        if flow is None:
            raise failure or RuntimeError("the flow was not loaded")
        return flow

    try:
        return _serve(descriptors[0], descriptors[3], find)
    finally:
        close_down()


def replace(request: dict[str, Any], descriptors: list[int]) -> NoReturn:
    """In a fresh fork: become ``request["argv"]``; its environment names its channel and flags."""
    _take_streams(descriptors)
    for descriptor in (descriptors[0], descriptors[3]):
        os.set_inheritable(descriptor, True)
    named = {CHANNEL_FD_ENV: str(descriptors[0]), FLAGS_FD_ENV: str(descriptors[3])}
    os.chdir(request["cwd"])
    os.execve(request["argv"][0], request["argv"], {**request["env"], **named})  # noqa: S606


def main() -> int:
    """In an ordinary process: find the flow as Prefect does, storage and pull steps included, and run it."""
    channel_fd, flags_fd = (int(os.environ.pop(name)) for name in (CHANNEL_FD_ENV, FLAGS_FD_ENV))
    for descriptor in (channel_fd, flags_fd):
        os.set_inheritable(descriptor, False)
    # What is begun before its code is imported is what the code finds: nothing, as in Prefect's own process.
    return _serve(channel_fd, flags_fd, _find, ahead=False)


def _take_streams(descriptors: list[int]) -> None:
    nothing = os.open(os.devnull, os.O_RDONLY)
    for source, target in ((nothing, 0), (descriptors[1], 1), (descriptors[2], 2)):
        os.dup2(source, target)
    for descriptor in (nothing, descriptors[1], descriptors[2]):
        os.close(descriptor)


def _serve(channel_fd: int, flags_fd: int, find: Finder, *, ahead: bool = True) -> int:
    """``ahead``: what takes a while is done before the run is known."""
    from skald_work_pools.prefect_private import clients, engines, events, logs

    sock = socket.socket(fileno=channel_fd)
    # User code may have set a default timeout.
    sock.settimeout(None)
    node = channel.Channel(sock)
    flags = SharedFlags(flags_fd)
    channel.adopt(node)
    clients.share_ssl_contexts()
    logs.forward_logs(lambda log: _log(log, node, flags))
    events.forward_events(lambda event: node.send(Emitted(event)))
    engines.install(_host(node, flags))
    if ahead:
        with contextlib.suppress(Exception):
            clients.warm()
    node.send(Warm(os.getpid()))
    request = node.receive()
    if not isinstance(request, Run):
        _dismissed()
    try:
        return _run(request, node, find)
    except SystemExit as end:
        code = end.code if isinstance(end.code, int) else int(end.code is not None)
        # Prefect's engine ends the process while it handles what it did not expect.
        if code and isinstance(unexpected := end.__context__, Exception):
            _say_broken(node, "", unexpected)
        return code
    except BaseException as error:
        traceback.print_exc()
        _say_broken(node, "", error)
        return 1


def _dismissed() -> NoReturn:
    """No run came: what user code does at a run's end is not done."""
    from skald_work_pools.node.forked.inheritance import clean_up_temporary

    with contextlib.suppress(Exception):
        clean_up_temporary()
    os._exit(0)


def _run(request: Run, node: channel.Channel, find: Finder) -> int:
    from prefect.client.schemas.objects import FlowRun

    from skald_work_pools.prefect_private import clients, execution, hooks

    run = FlowRun.model_validate(request.flow_run)
    change_environment({RUN_ID_ENV: str(run.id), **request.env})
    clients.know_result_storage(UUID(request.result_storage) if request.result_storage else None)
    try:
        flow = find(request, run)
    except Exception as error:
        _say_unloadable(run, error)
        _say_broken(node, "the flow could not be loaded: ", error)
        return 1
    if request.hooks:
        hooks.run_hooks(flow, run, request.hooks)
        return 0
    if not request.books:
        node.send(Hooks([kind for kind in HOOKS if hooks.hooks_of(flow, kind)]))
    node.take_updates()
    execution.execute(flow, run, books=request.books)
    return 0


def _find(request: Run, run: FlowRun) -> Flow[..., Any]:
    """Where the code is, is known, or Prefect is asked to fetch it."""
    from skald_work_pools.node.forked import loading
    from skald_work_pools.prefect_private.execution import fetch_code

    if request.path:
        loading.enter(request.path, dict(os.environ))
        return loading.load(request.entrypoint)
    place = fetch_code(run)
    loading.enter(place.folder, place.environment)
    sys.path[1:1] = [entry for entry in place.sys_path if entry not in sys.path]
    return loading.load(place.entrypoint)


def _say_unloadable(run: FlowRun, error: Exception) -> None:
    from prefect.logging.loggers import flow_run_logger

    flow_run_logger(run).error("The flow could not be loaded", exc_info=error)


def _say_broken(node: channel.Channel, what: str, error: BaseException) -> None:
    from skald_work_pools.node.forked.loading import reason

    with contextlib.suppress(OSError):
        node.send(Broke(what + " ".join(reason(error).split())))


def _log(log: dict[str, Any], node: channel.Channel, flags: SharedFlags) -> None:
    deadline = time.monotonic() + HELD_SECONDS
    while flags.held and time.monotonic() < deadline:
        time.sleep(0.01)
    node.send(Logged(log))


def _host(node: channel.Channel, flags: SharedFlags) -> Any:
    from skald_work_pools.prefect_private import host

    class Host(host.Host):
        def intent(self) -> str | None:
            return flags.intent

        def suspension_seen(self) -> bool:
            seen = flags.suspended
            if seen:
                flags.suspended = False
            return seen

        def policy_stored(self) -> bool:
            return flags.policy_stored

        def stated(self, state: Any) -> None:
            with contextlib.suppress(OSError):
                node.send(Stated(str(state.id), state.type.value, state.name or ""))

    return Host()


def _reseed() -> None:
    """numpy's global generator is the zygote's, the same in every fork; Python's own reseeds itself."""
    if numpy_random := sys.modules.get("numpy.random"):
        numpy_random.seed()


def close_down() -> None:
    """What the interpreter does at its end, but for taking Prefect apart, which costs as much as a whole run."""
    with contextlib.suppress(Exception):
        threading._shutdown()  # type: ignore[attr-defined]
    with contextlib.suppress(Exception):
        atexit._run_exitfuncs()
    with contextlib.suppress(Exception):
        _take_user_modules_apart()
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(Exception):
            stream.flush()


def _take_user_modules_apart() -> None:
    """Objects of user code meet their ends: ``__del__`` is called, files are written out.

    While a thread of user code still runs, its modules are left alone.
    """
    others = [
        each
        for each in threading.enumerate()
        if each is not threading.main_thread() and not each.name.startswith(_OUR_THREADS)
    ]
    modules = [
        module
        for module in list(sys.modules.values())
        if isinstance(file := getattr(module, "__file__", None), str)
        and not is_installed(file)
        and module.__name__.partition(".")[0] not in _OURS
    ]
    for module in reversed(modules if not others else []):
        names = vars(module)
        for name in sorted(names, key=lambda name: not name.startswith("_")):
            if name != "__builtins__":
                names[name] = None
    gc.collect()
    for each in gc.get_objects():
        if isinstance(each, io.IOBase) and not each.closed:
            with contextlib.suppress(Exception):
                each.flush()


if __name__ == "__main__":
    sys.exit(main())
