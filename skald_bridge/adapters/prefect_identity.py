"""Which flow run is which task: a task born in Skalds keeps the id it has there.

Such a run carries that id in its idempotency key, so a repeat creates nothing, and in a tag of the same text,
so events tell it. Of a run that Prefect's users make, the task's id is the run's.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from cachetools import FIFOCache

from skald_bridge.adapters.prefect_api import PrefectApi
from skald_bridge.adapters.prefect_connection import Connect
from skald_bridge.adapters.prefect_mapping import TASK_TAG, is_uuid, task_id_of
from skald_bridge.domain.errors import Failing, NotFound
from skald_bridge.domain.ids import TaskId
from skald_work_pools.pages import batches

REMEMBERED = 50_000
Unreadable = Callable[[str, Exception], object]


def unheard(_run: str, _error: Exception) -> None:
    return


class Identity(PrefectApi):
    """Finds runs by task; a pair never changes, so each is asked for once."""

    def __init__(self, connect: Connect | None = None, *, unreadable: Unreadable = unheard) -> None:
        """``unreadable`` hears of runs that Prefect has and cannot show, or that cannot be understood; often of the
        same."""
        super().__init__(connect)
        self._tell_unreadable = unreadable
        self._runs: FIFOCache[TaskId, str] = FIFOCache(REMEMBERED)
        self._tasks_of: FIFOCache[str, TaskId] = FIFOCache(REMEMBERED)
        self._pools_of: FIFOCache[str, str | None] = FIFOCache(REMEMBERED)
        self._unreadable: FIFOCache[TaskId, str] = FIFOCache(REMEMBERED)

    def is_unreadable(self, task: TaskId) -> bool:
        return task in self._unreadable

    def left_out(self, path: str, id_: str) -> None:
        if path == "/flow_runs/filter":
            self._leave_out(id_, Failing("Prefect answers 500 to whoever asks for it"))

    def _leave_out(self, run: str, error: Exception) -> None:
        task = self._tasks_of.get(run) or TaskId(run)
        self._unreadable[task] = run
        self._tell_unreadable(run, error)

    def learn(self, runs: Iterable[Mapping[str, Any]]) -> None:
        """Remember whose these runs are, Prefect's JSON of each."""
        for run in runs:
            task, id_ = task_id_of(run), str(run["id"])
            self._unreadable.pop(task, None)
            self._runs[task] = id_
            self._tasks_of[id_] = task
            self._pools_of[id_] = run.get("work_pool_name")

    def known_task(self, run: str) -> TaskId | None:
        """The task of a run that was seen lately."""
        return self._tasks_of.get(run)

    def known_run(self, task: TaskId) -> tuple[str, str | None] | None:
        """The run and work pool of a task that was seen lately."""
        run = self._runs.get(task)
        return None if run is None else (run, self._pools_of.get(run))

    async def rows(self, tasks: Sequence[TaskId]) -> list[Mapping[str, Any]]:
        """Prefect's JSON of those tasks' runs that exist."""
        found: list[Mapping[str, Any]] = []
        unknown: list[TaskId] = []
        for some in batches(tasks):
            by_run = {self._runs.get(task, task): task for task in some}
            ids = [run for run in by_run if is_uuid(run)]
            rows = await self._filtered_rows({"id": {"any_": ids}}) if ids else []
            found += rows
            met = {by_run[row["id"]] for row in rows}
            unknown += [task for task in some if task not in met and task not in self._runs]
        for some in batches(unknown):
            keys = [TASK_TAG + task for task in some]
            found += await self._filtered_rows({"idempotency_key": {"any_": keys}})
        self.learn(found)
        return found

    async def row(self, task: TaskId) -> Mapping[str, Any]:
        """Raises ``NotFound``."""
        if is_uuid(run := self._runs.get(task, task)):
            try:
                found: Mapping[str, Any] = await self.call("GET", f"/flow_runs/{run}")
            except NotFound:
                if task in self._runs:
                    raise _no_task(task) from None
            else:
                self.learn([found])
                return found
        rows = await self._filtered_rows({"idempotency_key": {"any_": [TASK_TAG + task]}})
        if not rows:
            raise _no_task(task)
        self.learn(rows)
        return rows[-1]

    async def run_id(self, task: TaskId) -> str:
        """Raises ``NotFound``."""
        return self._runs.get(task) or str((await self.row(task))["id"])

    async def run_ids(self, tasks: Sequence[TaskId]) -> dict[str, TaskId]:
        """Run to task, of those that exist."""
        if missing := [task for task in tasks if task not in self._runs]:
            await self.rows(missing)
        return {run: task for task in tasks if (run := self._runs.get(task)) is not None}

    async def _filtered_rows(self, wanted: Mapping[str, Any]) -> list[Mapping[str, Any]]:
        return await self.pages("/flow_runs/filter", {"flow_runs": wanted})


def _no_task(task: TaskId) -> NotFound:
    return NotFound(f"No task {task}", remedy="`skald tasks` lists them with their ids.")
