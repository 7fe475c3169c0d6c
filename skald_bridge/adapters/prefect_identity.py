"""Which flow run is which task: a task born in Skalds keeps the id it has there.

Such a run carries that id in its idempotency key, so a repeat creates nothing, and in a tag of the same text,
so events tell it. Of a run that Prefect's users make, the task's id is the run's.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from cachetools import FIFOCache

from skald_bridge.adapters.prefect_api import PrefectApi
from skald_bridge.adapters.prefect_mapping import TASK_TAG, is_uuid, task_id_of
from skald_bridge.domain.errors import Failing, NotFound
from skald_bridge.domain.ids import TaskId
from skald_work_pools.pages import batches

REMEMBERED = 50_000
Unreadable = Callable[[str, Exception], object]


def unheard(_run: str, _error: Exception) -> None:
    return


class KnownRuns:
    """Which run is which task, of those seen lately; a pair never changes, so each is asked for once."""

    def __init__(self, unreadable: Unreadable = unheard) -> None:
        """``unreadable`` hears of runs that Prefect has and cannot show, or that cannot be understood; often of the
        same."""
        self._tell_unreadable = unreadable
        self._runs: FIFOCache[TaskId, str] = FIFOCache(REMEMBERED)
        self._tasks: FIFOCache[str, TaskId] = FIFOCache(REMEMBERED)
        self._pools: FIFOCache[str, str | None] = FIFOCache(REMEMBERED)
        self._unreadable: FIFOCache[TaskId, str] = FIFOCache(REMEMBERED)

    def is_unreadable(self, task: TaskId) -> bool:
        return task in self._unreadable

    def left_out(self, path: str, id_: str) -> None:
        """An entry that Prefect cannot show."""
        if path == "/flow_runs/filter":
            self.leave_out(id_, Failing("Prefect answers 500 to whoever asks for it"))

    def leave_out(self, run: str, error: Exception) -> None:
        task = self._tasks.get(run) or TaskId(run)
        self._unreadable[task] = run
        self._tell_unreadable(run, error)

    def learn(self, runs: Iterable[Mapping[str, Any]]) -> None:
        """Remember whose these runs are, Prefect's JSON of each."""
        for run in runs:
            task, id_ = task_id_of(run), str(run["id"])
            self._unreadable.pop(task, None)
            self._runs[task] = id_
            self._tasks[id_] = task
            self._pools[id_] = run.get("work_pool_name")

    def task(self, run: str) -> TaskId | None:
        """The task of a run."""
        return self._tasks.get(run)

    def run(self, task: TaskId) -> str | None:
        """The run of a task."""
        return self._runs.get(task)

    def run_and_pool(self, task: TaskId) -> tuple[str, str | None] | None:
        """The run of a task, and its work pool."""
        run = self._runs.get(task)
        return None if run is None else (run, self._pools.get(run))


class RunIds:
    """Finds runs by task; asks for those that are not known."""

    def __init__(self, api: PrefectApi, known: KnownRuns) -> None:
        self._api = api
        self.known = known

    async def rows(self, tasks: Sequence[TaskId]) -> list[Mapping[str, Any]]:
        """Prefect's JSON of those tasks' runs that exist."""
        found: list[Mapping[str, Any]] = []
        unknown: list[TaskId] = []
        for some in batches(tasks):
            by_run = {self.known.run(task) or task: task for task in some}
            ids = [run for run in by_run if is_uuid(run)]
            rows = await self._filtered_rows({"id": {"any_": ids}}) if ids else []
            found += rows
            met = {by_run[row["id"]] for row in rows}
            unknown += [task for task in some if task not in met and self.known.run(task) is None]
        for some in batches(unknown):
            keys = [TASK_TAG + task for task in some]
            found += await self._filtered_rows({"idempotency_key": {"any_": keys}})
        self.known.learn(found)
        return found

    async def row(self, task: TaskId) -> Mapping[str, Any]:
        """Raises ``NotFound``."""
        if is_uuid(run := self.known.run(task) or task):
            try:
                found: Mapping[str, Any] = await self._api.call("GET", f"/flow_runs/{run}")
            except NotFound:
                if self.known.run(task) is not None:
                    raise _no_task(task) from None
            else:
                self.known.learn([found])
                return found
        rows = await self._filtered_rows({"idempotency_key": {"any_": [TASK_TAG + task]}})
        if not rows:
            raise _no_task(task)
        self.known.learn(rows)
        return rows[-1]

    async def run_id(self, task: TaskId) -> str:
        """Raises ``NotFound``."""
        return self.known.run(task) or str((await self.row(task))["id"])

    async def run_ids(self, tasks: Sequence[TaskId]) -> dict[str, TaskId]:
        """Run to task, of those that exist."""
        if missing := [task for task in tasks if self.known.run(task) is None]:
            await self.rows(missing)
        return {run: task for task in tasks if (run := self.known.run(task)) is not None}

    async def _filtered_rows(self, wanted: Mapping[str, Any]) -> list[Mapping[str, Any]]:
        return await self._api.pages("/flow_runs/filter", {"flow_runs": wanted})


def _no_task(task: TaskId) -> NotFound:
    return NotFound(f"No task {task}", remedy="`skald tasks` lists them with their ids.")
