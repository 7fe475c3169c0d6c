"""Looks after the Jobs and pods of runs in Kubernetes: what Prefect's own worker leaves open, from outside."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Protocol

from skald_bridge.domain.errors import NotFound, Rejected
from skald_bridge.domain.facts import Task
from skald_bridge.domain.ids import NodeId, TaskId
from skald_bridge.domain.lifecycle import StateType
from skald_bridge.domain.pods import (
    Action,
    Cancelled,
    Delete,
    Job,
    Patience,
    Place,
    Reschedule,
    Say,
    decide,
)
from skald_bridge.ports import Clock, Cluster
from skald_bridge.wire.pod_facts import RUN_LABEL, jobs_by_run

BUSY_SECONDS = 2.0
IDLE_SECONDS = 5.0
LATELY = timedelta(minutes=10)
"""So long after a run's cancellation or crash its Job is still looked for."""
_LOOKED_FOR = (StateType.CANCELLED, StateType.CRASHED)
_log = logging.getLogger("skald_bridge.pods")


class PodRuns(Protocol):
    """Prefect's runs in work pools of type kubernetes. Methods raise ``Unavailable``; commands ``Rejected`` too."""

    async def in_pools(self, pools: Sequence[str], namespace: str, since: datetime) -> list[Task]:
        """Those that live, and those cancelled or crashed since; of one that is there twice the later counts.

        Without those whose Jobs are known to be in another namespace.
        """
        ...

    async def ended_in_pools(self, pools: Sequence[str], runs: Sequence[str]) -> list[Task]:
        """Those of the runs, by Prefect's ids, that have ended, in one of the pools."""
        ...

    async def fail(self, task: TaskId, reason: str, *, cancelled: bool = False) -> None: ...

    async def reschedule(self, task: Task, reason: str) -> None: ...

    async def say(self, task: Task, text: str, state: str | None) -> None:
        """As a log entry that is not there yet, and as a Pending state of this name."""
        ...

    async def place(self, task: Task, executor: NodeId) -> None: ...


class Pods:
    """One look a step."""

    def __init__(
        self,
        runs: PodRuns,
        cluster: Cluster,
        pools: Sequence[str],
        clock: Clock,
        patience: Patience | None = None,
    ) -> None:
        self._runs, self._cluster, self._pools, self._clock = runs, cluster, pools, clock
        self._patience = patience or Patience()
        self._settled: set[str] = set()
        """Runs that have ended, all of whose Jobs have: nothing is left to be done about them."""
        self._cleaned: set[str] = set()
        """Cancelled runs whose Jobs are gone, and crashed ones of whose Jobs that have succeeded all is said."""
        self._said: set[tuple[str, str]] = set()

    async def step(self) -> float:
        """Returns the seconds until the next look."""
        # Jobs first: what is decided of them is decided by a state that is at least as new.
        jobs = await asyncio.to_thread(self._at_work)
        now = self._clock.now()
        tasks = {
            task.run: task
            for task in await self._runs.in_pools(self._pools, self._cluster.namespace, now - LATELY)
        }
        others = [run for run in jobs if run not in tasks and run not in self._settled]
        ended = (
            {task.run: task for task in await self._runs.ended_in_pools(self._pools, others)}
            if others
            else {}
        )
        for task in (*tasks.values(), *ended.values()):
            try:
                await self._look(task, jobs.get(task.run, []), now)
            except (NotFound, Rejected) as error:
                # It went on by itself just now: the next look sees it as it is then.
                _log.debug("run %s: %s", task.run, error)
        self._forget(jobs, tasks, ended)
        busy = any(task.state is not None and not task.state.type.terminal for task in tasks.values())
        return BUSY_SECONDS if busy else IDLE_SECONDS

    async def _look(self, task: Task, jobs: Sequence[Job], now: datetime) -> None:
        namespace = self._cluster.namespace
        actions = decide(task, jobs, namespace, now, self._patience)
        ended = task.state.type if task.state is not None and task.state.type in _LOOKED_FOR else None
        if not jobs and (actions or (ended and task.run not in self._cleaned)):
            # The list holds no Job that has succeeded, and none that was made since. The pod of a task that was out
            # of memory succeeds: its runner outlives it.
            jobs = (await asyncio.to_thread(self._of, task.run)).get(task.run, [])
            actions = decide(task, jobs, namespace, now, self._patience)
            if ended is StateType.CRASHED or (ended and not jobs):
                self._cleaned.add(task.run)
        for action in actions:
            await self._act(task, action)

    async def _act(self, task: Task, action: Action) -> None:
        match action:
            case Delete(job, reason):
                if await asyncio.to_thread(self._cluster.delete, "Job", job):
                    _log.info("run %s: deleted Job %s: %s", task.run, job, reason)
            case Cancelled(reason):
                await self._runs.fail(task.id, reason, cancelled=True)
            case Reschedule(reason):
                _log.warning("run %s: %s", task.run, reason)
                await self._runs.reschedule(task, reason)
            case Say(text, state):
                if (task.run, text) not in self._said:
                    await self._runs.say(task, text, state)
                    self._said.add((task.run, text))
            case Place(executor):
                await self._runs.place(task, executor)

    def _forget(
        self, jobs: Mapping[str, Sequence[Job]], tasks: Mapping[str, Task], ended: Mapping[str, Task]
    ) -> None:
        self._settled |= {run for run in ended if all(job.ended for job in jobs[run])}
        self._settled &= jobs.keys() - tasks.keys()
        self._cleaned &= tasks.keys()
        self._said = {said for said in self._said if said[0] in jobs}

    def _at_work(self) -> dict[str, list[Job]]:
        """All but those that have succeeded."""
        return jobs_by_run(
            self._cluster.list("Job", RUN_LABEL, "status.successful=0"),
            self._cluster.list("Pod", RUN_LABEL, "status.phase!=Succeeded"),
        )

    def _of(self, run: str) -> dict[str, list[Job]]:
        selector = f"{RUN_LABEL}={run}"
        return jobs_by_run(self._cluster.list("Job", selector), self._cluster.list("Pod", selector))
