"""One run's life on this node: claimed, handed to a child, commanded, ended, settled."""

from __future__ import annotations

import asyncio
import logging
import shutil
import signal
import sys
import tempfile
from collections.abc import Callable
from contextlib import suppress
from typing import Any
from uuid import UUID

from prefect.client.schemas.objects import FlowRun, State
from prefect.events import Event

from work_pools.leases import Lease
from work_pools.messages import (
    REVISION_LABEL,
    Applied,
    Emitted,
    Hooks,
    Logged,
    Message,
    Rejected,
    Run,
    Stated,
)
from work_pools.node.context import NodeContext
from work_pools.node.forked.loading import Loaded
from work_pools.node.forked.processes import RUN_ID_ENV, Exit
from work_pools.node.forked.shared_flags import Intent
from work_pools.node.processes import oom
from work_pools.node.processes.child_process import ChildProcess
from work_pools.node.processes.zygote_client import ZygoteGone
from work_pools.node.runs.deployments import Job
from work_pools.node.runs.outcomes import Ended
from work_pools.node.runs.run_finalizer import RunFinalizer
from work_pools.task_type import Start

CALM_AFTER = 10.0
"""Seconds after which a run's labels are written although others are still being started."""


class RunSupervisor:
    """``told`` is the run as the API told it; ``answered`` hears the child's answers to updates.

    ``began`` hears the session id of the run's processes.
    """

    def __init__(
        self,
        context: NodeContext,
        run: FlowRun,
        told: dict[str, Any],
        job: Job,
        loaded: Loaded | None,
        lease: Lease,
        gpu_node: bool,
        answered: Callable[[Applied | Rejected], None],
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
        self._learn(told)
        self.loaded = loaded
        self._gpu_node = gpu_node
        self._answered = answered
        self._began = began
        self._mine: set[str] = set()
        self.last: Stated | None = None
        self.intent: Intent | None = None
        self.forced = False
        self.fenced = ""
        self._stopping: asyncio.Task[None] | None = None
        self._folder = ""
        self._start: Start = "cold"
        self._hooks: tuple[str, ...] | list[str] | None = None
        """Kinds of hooks that the flow has; ``None`` while nobody has loaded it."""
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
        if self.loaded and self.loaded.task_type:
            return self.loaded.task_type.parameter
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
                child, told = await asyncio.gather(self._child(), self.context.api.told(self.run.id))
                if told is not None:
                    # Whoever changed them after the poll was told that the task begins with them.
                    self._learn(told)
                self.child = child
            except (ZygoteGone, OSError) as error:
                message = f"Node {self.context.name} could not start the task's process: {error}"
                self.context.logs.say(self.id, message, logging.ERROR)
                await self.context.api.crash(self.run.id, message)
                return Ended(why=str(error))
            try:
                end = await self._watch(child, claimed, pool)
                self.over = True
                self.running.set()
                out_of_memory = end.signal == signal.SIGKILL and not self.forced and oom.kills() > kills
                return await RunFinalizer(self).settle(end, out_of_memory)
            finally:
                child.close()
                if self._folder:
                    await asyncio.to_thread(shutil.rmtree, self._folder, ignore_errors=True)
        finally:
            self.running.set()
            if self._stopping is not None:
                self._stopping.cancel()

    # -- commands -------------------------------------------------------------------------------------------

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

    # -- start ----------------------------------------------------------------------------------------------

    def _learn(self, told: dict[str, Any]) -> None:
        self._told = told
        self.revision = int(told.get("labels", {}).get(REVISION_LABEL, 1))
        self.parameters: dict[str, Any] = dict(told.get("parameters") or {})

    async def _child(self) -> ChildProcess:
        """A process of the warmest kind that its code and environment allow."""
        plan, codebases = self.job.plan, self.context.codebases
        reason = plan.reason or (self.loaded.problem if self.loaded else "")
        if plan.codebase is not None and not reason:
            try:
                version = await codebases.current(plan.codebase)
                self.loaded = version.loaded
                self._hooks = version.loaded.hooks
                shared = codebases.environment(dict(plan.codebase.env))
                if version.choice.start == "cold":
                    reason = version.choice.why
                elif plan.own_env and not self.context.stems.serve_both(self.environment(), shared):
                    reason = f"it has variables of its own ({', '.join(sorted(plan.own_env))})"
                else:
                    self._start = "late" if plan.own_env else version.choice.start
                    return await version.child(self.environment(), own=bool(plan.own_env))
            except ZygoteGone as error:
                reason = str(error)
        return await self.ordinary_process(reason)

    async def ordinary_process(self, reason: str) -> ChildProcess:
        """A new interpreter, as Prefect's process worker starts one, with a folder of its own to begin in."""
        self._start = "cold"
        self.say(f"a new interpreter is used: {reason}")
        if not self._folder:
            self._folder = await asyncio.to_thread(tempfile.mkdtemp, prefix="skald-")
        env = self.environment()
        stem = await self.context.stems.get(env)
        argv = [sys.executable, "-m", "work_pools.node.forked.child"]
        return await ChildProcess.start(lambda fds: stem.execute(argv, env, self._folder, fds))

    async def hooks_process(self, kind: str) -> ChildProcess | None:
        """A process for hooks of this kind: the run's own was killed before its engine could; ``None`` without any.

        Raises:
            ZygoteGone: none can be started.
        """
        if self._hooks is not None and kind not in self._hooks:
            return None
        return await self._child()

    def environment(self) -> dict[str, str]:
        """The whole environment of a process of this run."""
        own = {**self._devices(), RUN_ID_ENV: self.id}
        return self.context.codebases.environment({**self.job.plan.env, **own})

    async def _watch(self, child: ChildProcess, claimed: State[Any], pool: str) -> Exit:
        gpus = f", GPUs {', '.join(self.lease.gpu_uuids)}" if self.lease.gpu_uuids else ""
        self.say(f"started as process {child.pid} ({self._start}){gpus}")
        self._began(child.pid)
        child.attach(self.hear, lambda name, lines: self.context.logs.output(self.id, name, lines))
        if self.fenced:
            child.kill()
        elif self.intent is not None:
            self._begin_stop()
        with suppress(OSError):
            await child.send(self.request(claimed))
        self.booked = self.context.aside(self._book(child, pool))
        return await child.exited()

    def request(self, state: State[Any]) -> Run:
        return Run(
            flow_run={**self._told, **_state_fields(state)},
            entrypoint=self.job.plan.entrypoint,
            path=self.job.plan.codebase.root if self.job.plan.codebase else "",
            revision=self.revision,
            env=self._devices(),
            result_storage=self.context.result_storage,
            books=self.loaded is not None and not self.loaded.problem,
        )

    def _devices(self) -> dict[str, str | None]:
        if not self._gpu_node:
            return {}
        return {"CUDA_VISIBLE_DEVICES": ",".join(self.lease.gpu_uuids)}

    async def _book(self, child: ChildProcess, pool: str) -> None:
        """What need not precede user code: policy, labels, process id."""
        policy = self._policy()
        fields: dict[str, Any] = {"infrastructure_pid": str(child.pid)}
        if self.loaded is not None and self.loaded.version is not None:
            fields["flow_version"] = self.loaded.version
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

    def _policy(self) -> dict[str, Any] | None:
        """The run's policy with the flow's retries in it; ``None`` when it has no effect."""
        loaded, policy = self.loaded, self.run.empirical_policy
        retries = policy.retries if policy.retries is not None else (loaded.retries if loaded else None)
        if not retries:
            return None
        delay = policy.retry_delay
        if delay is None and loaded is not None and isinstance(loaded.retry_delay, int | float):
            delay = int(loaded.retry_delay)
        made = policy.model_copy(update={"retries": retries, "retry_delay": delay})
        return made.model_dump(mode="json")

    # -- what the child says --------------------------------------------------------------------------------

    def hear(self, message: Message) -> None:
        match message:
            case Stated():
                self._mine.add(message.state_id)
                self.last = message
                self.running.set()
            case Logged():
                self.context.logs.add(message.record)
            case Emitted():
                with suppress(ValueError):
                    self.context.emitter.emit(Event.model_validate(message.event), self.id)
            case Hooks():
                self._hooks = message.kinds
            case Applied() | Rejected():
                self._answered(message)


def _state_fields(state: State[Any]) -> dict[str, Any]:
    told = state.model_dump(mode="json")
    return {"state": told, "state_id": told["id"], "state_type": told["type"], "state_name": told["name"]}
