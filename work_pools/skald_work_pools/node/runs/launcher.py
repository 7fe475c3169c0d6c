"""Starts the processes of one run, of the warmest kind that its code and environment allow."""

from __future__ import annotations

import asyncio
import os
import shutil
import socket
import sys
import tempfile
from collections.abc import Callable, Collection, Mapping

from skald_work_pools.node.context import NodeContext
from skald_work_pools.node.forked.interpreter_start import found_at_start, outranking
from skald_work_pools.node.forked.loading import Loaded
from skald_work_pools.node.forked.processes import RUN_ID_ENV
from skald_work_pools.node.processes.child_process import ChildProcess
from skald_work_pools.node.processes.launch_plan import LaunchPlan
from skald_work_pools.node.processes.zygote_client import ZygoteGone
from skald_work_pools.task_type import Start


class Launcher:
    """``devices`` are environment variables that only this run has; ``say`` writes into its log."""

    def __init__(
        self,
        context: NodeContext,
        run_id: str,
        plan: LaunchPlan,
        loaded: Loaded | None,
        devices: Mapping[str, str | None],
        say: Callable[[str], None],
    ) -> None:
        self._context = context
        self._run_id = run_id
        self._plan = plan
        self._devices = devices
        self._say = say
        self._folder = ""
        self.loaded = loaded
        """What is known of the code; ``None`` where it is fetched for each run."""
        self.start: Start = "cold"
        """How the newest process was started."""
        self.hooks: Collection[str] | None = None
        """Kinds of hooks that the flow has; ``None`` while nobody has loaded it."""

    async def launch(self) -> ChildProcess:
        """A process that waits for the run.

        Raises:
            ZygoteGone, OSError: none can be started; ``FileNotFoundError``: the folder of its code is not here.
        """
        await self._need_folder()
        plan, codebases = self._plan, self._context.codebases
        reason = plan.reason or (self.loaded.problem if self.loaded else "")
        if plan.codebase is not None and not reason:
            try:
                version = await codebases.current(plan.codebase)
                self.loaded, self.hooks = version.loaded, version.loaded.hooks
                shared = codebases.environment(dict(plan.codebase.env))
                if version.choice.start == "cold":
                    reason = version.choice.why
                elif plan.own_env and not self._context.stems.serve_both(self._environment(), shared):
                    reason = f"it has variables of its own ({', '.join(sorted(plan.own_env))})"
                else:
                    self.start = "late" if plan.own_env else version.choice.start
                    return await version.child(self._environment(), own=bool(plan.own_env))
            except ZygoteGone as error:
                reason = str(error)
        return await self._new_interpreter(reason)

    async def launch_for_hooks(self, kind: str) -> ChildProcess | None:
        """A process for hooks of this kind: the run's own was killed before its engine could; ``None`` without any.

        Raises:
            ZygoteGone, OSError: none can be started.
        """
        if self.hooks is not None and kind not in self.hooks:
            return None
        return await self.launch()

    async def clean_up(self) -> None:
        if self._folder:
            await asyncio.to_thread(shutil.rmtree, self._folder, ignore_errors=True)

    async def _need_folder(self) -> None:
        missing = self._plan.missing
        if missing and not await asyncio.to_thread(os.path.isdir, missing):
            raise FileNotFoundError(
                f"the folder of its code, {missing}, is not on this machine ({socket.gethostname()}). Put the code "
                "there on every node of the pool, deploy from git, or install it as a package and deploy by its "
                "module path"
            )

    async def _new_interpreter(self, reason: str) -> ChildProcess:
        """As Prefect's process worker starts one: in the folder of its code, or in one that the code is fetched to."""
        self.start = "cold"
        self._say(f"a new interpreter is used: {reason}")
        env, code = self._environment(), self._plan.codebase
        if code is not None and outranking(code.root, found_at_start(sys.modules)):
            env["PYTHONPATH"] = os.pathsep.join(filter(None, (code.root, env.get("PYTHONPATH"))))
        if code is None and not self._folder:
            self._folder = await asyncio.to_thread(tempfile.mkdtemp, prefix="skald-")
        folder = code.root if code is not None else self._folder
        stem = await self._context.stems.default()
        argv = [sys.executable, "-m", "skald_work_pools.node.forked.child"]
        return await ChildProcess.start(lambda fds: stem.execute(argv, env, folder, fds))

    def _environment(self) -> dict[str, str]:
        """The whole environment of a process of this run."""
        own = {**self._devices, RUN_ID_ENV: self._run_id}
        return self._context.codebases.environment({**self._plan.env, **own})
