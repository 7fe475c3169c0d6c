"""A run's own process: made by fork before its run is known, or by exec where it cannot be preloaded."""

from __future__ import annotations

import atexit
import contextlib
import os
import socket
import sys
import threading
import traceback
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, NoReturn
from uuid import UUID

from work_pools.messages import CHANNEL_FD_ENV, Emitted, Logged, Run, Stated, Warm
from work_pools.node.forked import channel
from work_pools.node.forked.processes import RUN_ID_ENV, die_with
from work_pools.node.forked.shared_flags import SharedFlags

if TYPE_CHECKING:
    from prefect.client.schemas.objects import FlowRun
    from prefect.flows import Flow

FLAGS_FD_ENV = "SKALD_FLAGS_FD"
Finder = Callable[[Run, "FlowRun"], "Flow[..., Any]"]


def run_forked(parent: int, descriptors: list[int], flows: dict[str, Flow[..., Any]]) -> int:
    """In a fresh fork: warm up, wait for a run, run it; returns the exit code."""
    _enter(parent, descriptors)
    _reseed()
    return _serve(descriptors[0], descriptors[3], lambda run, _: flows[run.entrypoint])


def replace(parent: int, request: dict[str, Any], descriptors: list[int]) -> NoReturn:
    """In a fresh fork: become ``request["argv"]``; its environment names its channel and page."""
    _enter(parent, descriptors)
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
    return _serve(channel_fd, flags_fd, _find)


def _enter(parent: int, descriptors: list[int]) -> None:
    os.setsid()
    die_with(parent)
    nothing = os.open(os.devnull, os.O_RDONLY)
    for source, target in ((nothing, 0), (descriptors[1], 1), (descriptors[2], 2)):
        os.dup2(source, target)
    for descriptor in (nothing, descriptors[1], descriptors[2]):
        os.close(descriptor)


def _serve(channel_fd: int, flags_fd: int, find: Finder) -> int:
    from work_pools import prefect_private

    node = channel.Channel(socket.socket(fileno=channel_fd))
    page = SharedFlags(flags_fd)
    channel.adopt(node)
    prefect_private.share_ssl_contexts()
    prefect_private.forward_logs(lambda log: node.send(Logged(log)))
    prefect_private.forward_events(lambda event: node.send(Emitted(event)))
    prefect_private.install(_host(node, page))
    with contextlib.suppress(Exception):
        prefect_private.warm()
    node.send(Warm(os.getpid()))
    request = node.receive()
    if not isinstance(request, Run):
        return 0
    try:
        return _run(request, node, find)
    finally:
        _end_threads()


def _run(request: Run, node: channel.Channel, find: Finder) -> int:
    from prefect.client.schemas.objects import FlowRun

    from work_pools import prefect_private

    run = FlowRun.model_validate(request.flow_run)
    for name, value in {RUN_ID_ENV: str(run.id), **request.env}.items():
        if value is None:
            os.environ.pop(name, None)
        else:
            os.environ[name] = value
    prefect_private.know_result_storage(UUID(request.result_storage) if request.result_storage else None)
    try:
        flow = find(request, run)
    except Exception as error:
        _say_unloadable(run, error)
        return 1
    try:
        if request.hooks:
            prefect_private.run_hooks(flow, run, request.hooks)
            return 0
        node.take_updates()
        prefect_private.execute(flow, run, books=find is not _find)
    except SystemExit as end:
        return end.code if isinstance(end.code, int) else int(end.code is not None)
    except BaseException:
        traceback.print_exc()
        return 1
    return 0


def _find(request: Run, run: FlowRun) -> Flow[..., Any]:
    from prefect.flows import load_flow_from_flow_run
    from prefect.utilities.asyncutils import run_coro_as_sync

    flow = run_coro_as_sync(load_flow_from_flow_run(run, use_placeholder_flow=False))
    assert flow is not None
    return flow


def _say_unloadable(run: FlowRun, error: Exception) -> None:
    from prefect.logging.loggers import flow_run_logger

    flow_run_logger(run).error("The flow could not be loaded", exc_info=error)


def _host(node: channel.Channel, page: SharedFlags) -> Any:
    from work_pools import prefect_private

    class Host(prefect_private.Host):
        def intent(self) -> str | None:
            return page.intent

        def suspension_seen(self) -> bool:
            seen = page.suspended
            if seen:
                page.suspended = False
            return seen

        def policy_stored(self) -> bool:
            return page.policy_stored

        def stated(self, state: Any) -> None:
            with contextlib.suppress(OSError):
                node.send(Stated(str(state.id), state.type.value, state.name or ""))

    return Host()


def _reseed() -> None:
    """numpy's global generator is the zygote's, the same in every fork; Python's own reseeds itself."""
    if numpy_random := sys.modules.get("numpy.random"):
        numpy_random.seed()


def _end_threads() -> None:
    """What the interpreter does at its end; without it client-side events and logs are lost."""
    with contextlib.suppress(Exception):
        threading._shutdown()  # type: ignore[attr-defined]
    with contextlib.suppress(Exception):
        atexit._run_exitfuncs()
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(Exception):
            stream.flush()


if __name__ == "__main__":
    code = main()
    os._exit(code)
