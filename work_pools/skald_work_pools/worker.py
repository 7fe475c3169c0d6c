"""Prefect's worker of type ``skald``: a generator node."""

from __future__ import annotations

import asyncio
import logging
import signal
import socket
from collections.abc import AsyncGenerator, Callable, Iterable
from contextlib import ExitStack, asynccontextmanager, suppress
from dataclasses import replace
from typing import Any

import anyio
import anyio.abc
import httpx
import prefect
from prefect.client.orchestration import get_client
from prefect.client.schemas.objects import FlowRun
from prefect.settings import PREFECT_CLIENT_MAX_RETRIES, get_current_settings, temporary_settings
from prefect.workers.base import BaseWorker, BaseWorkerResult

from skald_work_pools.job import SkaldJobConfiguration, SkaldVariables
from skald_work_pools.node.lock import NameTaken, NodeLock
from skald_work_pools.node.server.announcements import first_announcement
from skald_work_pools.node.server.claim_keeper import ClaimKeeper, take_name
from skald_work_pools.node.service import NodeService
from skald_work_pools.node.settings import NodeSettings
from skald_work_pools.prefect_private.worker import NodeWorker

RELEASE_SECONDS = 5.0
"""What giving the name back may take when the node does not come up."""
_log = logging.getLogger("skald.node")


class SkaldWorkerResult(BaseWorkerResult):
    """``identifier`` is the process id."""


class SkaldWorker(NodeWorker, BaseWorker[SkaldJobConfiguration, SkaldVariables, SkaldWorkerResult]):
    """Runs tasks on this machine's cpus and GPUs, in processes forked from loaded code.

    Environment: ``SKALD_TAGS``, ``SKALD_GRACE``, ``SKALD_CANCEL_GRACE``, ``SKALD_SPARES``, ``SKALD_HOME``.
    """

    type = "skald"
    job_configuration = SkaldJobConfiguration
    job_configuration_variables = SkaldVariables

    _description = "Run media and AI tasks on the CPUs and GPUs of your machines; tasks start in a blink."
    _display_name = "Skald node"
    _documentation_url = "https://docs.prefect.io/v3/concepts/workers"
    _logo_url = "https://raw.githubusercontent.com/PrefectHQ/prefect/main/docs/logos/logo-mark-gradient.png"

    def __init__(self, *args: Any, settings: NodeSettings | None = None, **kwargs: Any) -> None:
        kwargs["name"] = kwargs.get("name") or socket.gethostname()
        super().__init__(*args, **kwargs)
        self.settings = settings or NodeSettings.from_environment()
        self.service: NodeService | None = None
        self._claim: ClaimKeeper | None = None
        self._hurry = asyncio.Event()
        self._ready = False

    async def start(
        self, run_once: bool = False, with_healthcheck: bool = False, printer: Callable[..., None] = print
    ) -> None:
        """Run until SIGTERM or SIGINT, or one poll and its tasks with ``run_once``."""
        with ExitStack() as stack:
            # The node repeats its requests itself, sooner than a client that doubles its seconds.
            stack.enter_context(temporary_settings({PREFECT_CLIENT_MAX_RETRIES: 0}))
            lock = stack.enter_context(NodeLock(self.settings.home, self.work_pool_name, self.name))
            if with_healthcheck:
                self.serve_health(stack)
            stop = asyncio.Event()
            stack.enter_context(self._signals(stop, printer))
            async with self._up(lock, stop), anyio.create_task_group() as loops:
                assert self.service is not None
                self._ready = True
                loops.start_soon(self._heartbeats)
                await self.say_started()
                printer(f"Worker {self.name!r} started!")
                if run_once:
                    await self.service.loaded.wait()
                    await self.service.poll()
                else:
                    serving = asyncio.create_task(self.service.serve())
                    await stop.wait()
                    serving.cancel()
                await self.service.stop(float("inf") if run_once else self.settings.grace, self._hurry)
                loops.cancel_scope.cancel()
            if self._claim is not None and self._claim.reason:
                raise NameTaken(self._claim.reason)
        printer(f"Worker {self.name!r} stopped!")

    async def get_and_submit_flow_runs(self) -> list[FlowRun]:
        """Poll once; runs that do not fit are left Scheduled for other nodes."""
        assert self.service is not None
        return await self.service.poll()

    async def run(
        self,
        flow_run: FlowRun,
        configuration: SkaldJobConfiguration,
        task_status: anyio.abc.TaskStatus[int] | None = None,
    ) -> SkaldWorkerResult:
        """Not how a node works: it admits runs before it claims them."""
        raise NotImplementedError(
            "Flows are not submitted to a skald node directly; deploy the flow to its work pool and run that."
        )

    async def _heartbeats(self) -> None:
        """Tell Prefect that the node lives, and learn of changes to its pool."""
        while True:
            await asyncio.sleep(self.heartbeat_interval_seconds)
            try:
                await self.sync_with_backend()
            except httpx.HTTPError as error:
                _log.debug("heartbeat: %s", error or type(error).__name__)

    @asynccontextmanager
    async def _up(self, lock: NodeLock, stop: asyncio.Event) -> AsyncGenerator[None, None]:
        await require_same_major_version()
        announcement = first_announcement(self.name, self.work_pool_name, self.settings.tags, self.limit)
        async with get_client() as client:
            # Before the first heartbeat: a node that is refused must not keep the name of another fresh.
            claimed = await take_name(client, announcement, lock)
        async with self:
            self._claim = ClaimKeeper(self.client, announcement, claimed, self.heartbeat_interval_seconds)
            try:
                await self._serve_as(self._claim, stop)
                yield
            except BaseException:
                with suppress(httpx.HTTPError, TimeoutError):
                    await asyncio.wait_for(self._claim.release(), RELEASE_SECONDS)
                raise

    async def _serve_as(self, claim: ClaimKeeper, stop: asyncio.Event) -> None:
        """Bring the service up, which stops the node when the name is found to be another one's."""
        while not self.knows_its_pool:
            _log.warning("waiting for work pool %r", self.work_pool_name)
            await asyncio.sleep(2)
            with suppress(httpx.HTTPError):
                await self.sync_with_backend()

        def superseded() -> None:
            self._hurry.set()
            stop.set()

        self.service = NodeService(
            client=self.client,
            name=self.name,
            claim=claim,
            pool=lambda: self.work_pool,
            queues=tuple(sorted(self.queue_names)),
            limit=self.limit,
            settings=self.settings,
            query_seconds=get_current_settings().worker.query_seconds,
            heartbeat_seconds=get_current_settings().flows.heartbeat_frequency,
            polled=self.polled,
            superseded=superseded,
            child_env={"PREFECT__WORKER_NAME": self.name, "PREFECT__WORKER_ID": self.worker_id},
        )
        await self.service.start()

    def _signals(self, stop: asyncio.Event, printer: Callable[..., None]) -> ExitStack:
        """SIGTERM and SIGINT stop the node; a second one hurries it. Before it is up they end it at once."""
        loop = asyncio.get_running_loop()
        starting = asyncio.current_task()

        def asked() -> None:
            if not self._ready and starting is not None:
                starting.cancel()
            elif stop.is_set():
                self._hurry.set()
                printer("Stopping at once: tasks are handed back.")
            else:
                printer(f"Stopping: tasks get {self.settings.grace:g} s; once more to hurry.")
            stop.set()

        stack = ExitStack()
        for number in (signal.SIGTERM, signal.SIGINT):
            before = signal.getsignal(number)
            try:
                loop.add_signal_handler(number, asked)
            except (ValueError, RuntimeError):
                break
            stack.callback(signal.signal, number, before)
            stack.callback(loop.remove_signal_handler, number)
        return stack


async def require_same_major_version() -> None:
    """A server that does not answer is waited for later.

    Raises:
        IncompatibleServer: it answers with another major version than the Prefect installed here.
    """
    async with get_client() as client:
        try:
            server = await client.api_version()
        except Exception as error:
            _log.warning("the Prefect server does not answer: %s", error or type(error).__name__)
            return
    if server.partition(".")[0] != prefect.__version__.partition(".")[0]:
        raise IncompatibleServer(
            f"The Prefect server at {client.api_url} is version {server}, this node has Prefect "
            f"{prefect.__version__}. Install the same major version, or set another PREFECT_API_URL."
        )


class IncompatibleServer(RuntimeError):
    """The server speaks another major version; the message says which."""


async def run_node(
    pool: str,
    *,
    name: str | None = None,
    limit: int | None = None,
    tags: Iterable[str] = (),
    grace: float = 30.0,
    queues: Iterable[str] = (),
) -> None:
    """Run a node until SIGTERM or SIGINT; the pool is made where it is missing.

    Args:
        limit: most tasks at once.
        tags: what the node has besides its devices; added to ``SKALD_TAGS``.
        grace: seconds that tasks get when the node is stopped.
        queues: only these work queues of the pool; all without any.

    Raises:
        NameTaken: a node of this name runs already.
    """
    given = NodeSettings.from_environment()
    settings = replace(given, tags=given.tags | frozenset(tags), grace=grace)
    worker = SkaldWorker(
        work_pool_name=pool,
        work_queues=list(queues) or None,
        name=name,
        limit=limit,
        settings=settings,
    )
    await worker.start(printer=_log.info)
