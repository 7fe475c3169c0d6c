"""One run's life on this node: claimed, handed to a child, commanded, ended, settled."""

from __future__ import annotations

import asyncio
import logging
import signal
from collections.abc import Callable
from contextlib import suppress
from typing import Any
from uuid import UUID

from prefect.client.schemas.objects import FlowRun, State
from prefect.events import Event

from skald_work_pools.leases import Lease
from skald_work_pools.messages import (
    REVISION_LABEL,
    Broke,
    Emitted,
    Hooks,
    Logged,
    Message,
    Run,
    Stated,
    UpdateApplied,
    UpdateRejected,
)
from skald_work_pools.node.context import NodeContext
from skald_work_pools.node.forked.loading import Loaded
from skald_work_pools.node.forked.processes import Exit
from skald_work_pools.node.forked.shared_flags import Intent
from skald_work_pools.node.processes import oom
from skald_work_pools.node.processes.child_process import ChildProcess
from skald_work_pools.node.processes.zygote_client import ZygoteGone
from skald_work_pools.node.runs.deployments import RunConfiguration
from skald_work_pools.node.runs.launcher import Launcher
from skald_work_pools.node.runs.outcomes import Ended
from skald_work_pools.node.runs.run_finalizer import RunFinalizer
from skald_work_pools.node.runs.run_request import run_request, state_fields, stored_policy

CALM_AFTER = 10.0
"""Seconds after which a run's labels are written although others are still being started."""


class RunSupervisor:
    """``data`` is the run as the API gave it; ``devices`` are variables that say what it may use.

    ``answered`` hears the child's answers to updates.
    ``began`` hears the session id of the run's processes.
    """

    def __init__(
        self,
        context: NodeContext,
        run: FlowRun,
        data: dict[str, Any],
        job: RunConfiguration,
        loaded: Loaded | None,
        lease: Lease,
        devices: dict[str, str | None],
        answered: Callable[[UpdateApplied | UpdateRejected], None],
        began: Callable[[int], None],
    ) -> None:
        self.context = context
        self.run = run
        self.job = job
        self.lease = lease
        self.frozen = False
        self.over = False
        self.concurrency_lease: UUID | None = None
        self.child: ChildProcess | None = None
        self.proposed: tuple[int, dict[str, Any]] | None = None
        """The newest revision that the child was asked to judge, and its attachments."""
        self._learn(data)
        self._devices = devices
        self._launcher = Launcher(context, self.id, job.plan, loaded, self._devices, self.say)
        self._answered = answered
        self._began = began
        self._mine: set[str] = set()
        self.last: Stated | None = None
        self.broke = ""
        """What ended its process, where that could tell."""
        self.last_words = ""
        """Its last line of error output."""
        self.intent: Intent | None = None
        self.forced = False
        self.fenced = ""
        self._stopping: asyncio.Task[None] | None = None
        self.booked: asyncio.Task[None] | None = None
        self.policy_stored = asyncio.Event()
        """Set when the flow's retries are on the run, or need not be."""
        self.running = asyncio.Event()
        """Set when the task runs, or will not."""

    @property
    def id(self) -> str:
        return str(self.run.id)

    @property
    def parameter(self) -> str:
        """Name of the attachments parameter."""
        loaded = self._launcher.loaded
        if loaded is not None and loaded.task_type is not None:
            return loaded.task_type.parameter
        return next(iter(self.parameters), "attachments")

    @property
    def claimed(self) -> bool:
        """Whether Prefect has granted the run: until then its state is as others left it."""
        return bool(self._mine)

    def mine(self, state_id: str) -> bool:
        """Whether this attempt, or this node for it, set the state."""
        return state_id in self._mine

    def adopt(self, state_id: str) -> None:
        """Somebody set the state, such as a resume, and the attempt is this one still."""
        self._mine.add(state_id)

    async def live(self, pool: str) -> Ended:
        """Claim the run and see it through; returns when its processes are gone and its state is settled."""
        try:
            claimed = await self.context.api.claim(self.run.id)
            if isinstance(claimed, str):
                return Ended(why=claimed)
            self._mine.add(str(claimed.id))
            self.concurrency_lease = claimed.state_details.deployment_concurrency_lease_id
            kills = oom.kills()
            try:
                child, newest = await asyncio.gather(
                    self._launcher.launch(), self.context.api.newest(self.run.id)
                )
                if newest is not None:
                    # Whoever changed them after the poll was told that the task begins with them.
                    self._learn(newest)
                self.child = child
            except (ZygoteGone, OSError) as error:
                message = f"Node {self.context.name} could not start the task's process: {error}"
                self.context.logs.say(self.id, message, logging.ERROR)
                await self.context.api.crash(self.run.id, message)
                return Ended(why=str(error))
            try:
                if newest is not None and newest.get("run_count", 0) > self.run.run_count:
                    # Prefect grants a claim of a run that has ended, too, and this one was found before that.
                    child.kill()
                    await child.exited()
                    await self.context.api.undo(self.run.id, claimed)
                    return Ended(why="it has been run since it was found")
                end = await self._watch(child, claimed, pool)
                self.over = True
                self.running.set()
                out_of_memory = end.signal == signal.SIGKILL and not self.forced and oom.kills() > kills
                return await RunFinalizer(self).settle(end, out_of_memory)
            finally:
                child.close()
                await self._launcher.clean_up()
        finally:
            self.running.set()
            if self._stopping is not None:
                self._stopping.cancel()

    def cancel(self) -> None:
        """Prefect has the run Cancelling: end it, user code first."""
        self._stop("cancel")

    def hand_back(self) -> None:
        """The node stops: end the run here, another node shall take it."""
        self._stop("reschedule")

    def fence(self, reason: str) -> None:
        """The run is somebody else's now, or over: kill what is here and leave its state alone."""
        if not self.fenced and not self.over:
            self.fenced = reason
            self.say(f"kills its process: {reason}", logging.WARNING)
            if self.child is not None:
                self.child.kill()

    def kill(self, reason: str) -> None:
        """End its processes at once: the attempt is Crashed, for this reason."""
        if self.child is not None and self.intent is None and not self.over:
            self.broke = reason
            self.child.kill()

    def freeze(self) -> None:
        """Stop all of the group's processes where they are; the lease is kept."""
        if self.child is not None and not self.frozen and self.intent is None:
            self.frozen = self.child.signal(signal.SIGSTOP)
            self.say("paused, its processes are frozen")

    def thaw(self) -> None:
        if self.child is not None and self.frozen:
            self.frozen = False
            self.child.signal(signal.SIGCONT)
            self.say("resumed")

    def suspend(self) -> None:
        """Prefect has the run Suspended: its engine ends at the next task boundary."""
        if self.child is not None:
            self.child.flags.suspended = True

    async def send(self, message: Message) -> bool:
        """Whether the child got it."""
        try:
            assert self.child is not None
            await self.child.send(message)
        except (OSError, AssertionError, ValueError):
            return False
        return True

    def say(self, text: str, level: int = logging.INFO) -> None:
        self.context.logs.say(self.id, f"node {self.context.name}: {text}", level)

    def _stop(self, intent: Intent) -> None:
        if self.intent is not None:
            return
        self.intent = intent
        if self.child is not None:
            self._begin_stop()

    def _begin_stop(self) -> None:
        assert self.child is not None and self.intent is not None
        self.frozen = False
        self.child.flags.intent = self.intent
        self.child.signal(signal.SIGTERM)
        self.child.signal(signal.SIGCONT)
        self._stopping = asyncio.create_task(self._kill_after(self.context.cancel_grace))

    async def _kill_after(self, seconds: float) -> None:
        await asyncio.sleep(seconds)
        self.forced = True
        if self.child is not None:
            self.child.kill()

    async def hooks_process(self, kind: str) -> ChildProcess | None:
        """Raises ``ZygoteGone`` or ``OSError`` when none can be started; ``None`` when the flow has no such hooks."""
        return await self._launcher.launch_for_hooks(kind)

    def _learn(self, data: dict[str, Any]) -> None:
        self._data = data
        self.revision = int(data.get("labels", {}).get(REVISION_LABEL, 1))
        self.parameters: dict[str, Any] = dict(data.get("parameters") or {})

    async def _watch(self, child: ChildProcess, claimed: State[Any], pool: str) -> Exit:
        gpus = f", GPUs {', '.join(self.lease.gpu_uuids)}" if self.lease.gpu_uuids else ""
        self.say(f"started as process {child.pid} ({self._launcher.start}){gpus}")
        for ignored in self.job.ignored:
            self.say(ignored, logging.WARNING)
        self._began(child.pid)
        child.attach(self.hear, self._hear_lines)
        if self.fenced:
            child.kill()
        elif self.intent is not None:
            self._begin_stop()
        with suppress(OSError):
            await child.send(self.request(claimed))
        self.booked = self.context.aside(self._book(child, pool))
        return await child.exited()

    def request(self, state: State[Any]) -> Run:
        """What a process is handed for the run in this state."""
        return run_request(
            {**self._data, **state_fields(state)},
            self.job.plan,
            self._launcher.loaded,
            self.revision,
            self._devices,
            self.context.result_storage,
        )

    async def _book(self, child: ChildProcess, pool: str) -> None:
        """What need not precede user code: policy, labels, process id."""
        loaded = self._launcher.loaded
        policy = stored_policy(self.run.empirical_policy, loaded)
        fields: dict[str, Any] = {"infrastructure_pid": str(child.pid)}
        if loaded is not None and loaded.version is not None:
            fields["flow_version"] = loaded.version
        try:
            if policy is not None:
                fields["empirical_policy"] = policy
                await self.context.api.patch(self.run.id, fields)
                child.flags.policy_stored = True
        finally:
            self.policy_stored.set()
        with suppress(TimeoutError):
            await asyncio.wait_for(self.context.calm.wait(), CALM_AFTER)
        async with self.context.lane:
            await self.context.api.label(self.run.id, self.context.labels(pool))
            if policy is None and not self.over:
                await self.context.api.patch(self.run.id, fields)

    def hear(self, message: Message) -> None:
        match message:
            case Stated():
                self._mine.add(message.state_id)
                self.last = message
                self.running.set()
            case Broke():
                self.broke = message.cause
            case Logged():
                self.context.logs.add(message.record)
                self._hold_if_crowded()
            case Emitted():
                with suppress(ValueError):
                    self.context.emitter.emit(Event.model_validate(message.event), self.id)
            case Hooks():
                self._launcher.hooks = message.kinds
            case UpdateApplied() | UpdateRejected():
                self._answered(message)

    def _hear_lines(self, name: str, lines: list[str]) -> None:
        self.context.logs.output(self.id, name, lines)
        if name == "stderr" and (said := [line for line in lines if line.strip()]):
            self.last_words = said[-1].strip()
        self._hold_if_crowded()

    def _hold_if_crowded(self) -> None:
        child = self.child
        if child is not None and not child.flags.held and self.context.logs.hold(child.resume):
            child.hold()
