"""Reading tasks and nodes from Prefect."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from skald_bridge.adapters.prefect_api import PrefectApi
from skald_bridge.adapters.prefect_identity import RunIds
from skald_bridge.adapters.prefect_mapping import (
    moment,
    node_of,
    progress_of,
    stands_for_task,
    state_of,
    subtask_of,
    task_of,
)
from skald_bridge.adapters.prefect_newest import newest
from skald_bridge.adapters.prefect_unreadable import is_stub
from skald_bridge.domain.errors import Failing, InvalidInput, NotFound
from skald_bridge.domain.facts import Node, Progress, State, Subtask, Task
from skald_bridge.domain.history import ordered
from skald_bridge.domain.ids import StateId, TaskId
from skald_bridge.domain.lifecycle import TERMINAL, StateType
from skald_work_pools.messages import NODE_LOGGER, NODE_VARIABLE_PREFIX
from skald_work_pools.pages import PAGE, batches, pages

POOL_TYPE = "skald"
_LIVE = {"type": {"not_any_": sorted(TERMINAL)}}


class TaskReader:
    """The questions of the ``Engine`` port."""

    def __init__(self, api: PrefectApi, runs: RunIds) -> None:
        self._api = api
        self._runs = runs

    async def task(self, task: TaskId) -> Task:
        found = await self.tasks_of([await self._runs.row(task)])
        if not found:
            raise Failing(f"Task {task} cannot be understood", remedy="The bridge's log says why.")
        return found[0]

    async def read(self, tasks: Sequence[TaskId]) -> dict[TaskId, Task]:
        return {task.id: task for task in await self.tasks_of(await self._runs.rows(tasks))}

    async def tasks(
        self, *, states: Sequence[str] = (), class_name: str | None = None, limit: int = PAGE, offset: int = 0
    ) -> list[Task]:
        """``states`` are state types or names, in any case."""
        state = {"state": _state_filter(states)} if states else {}
        body = {"flows": {"name": {"any_": [class_name]}}} if class_name is not None else {}

        async def read(wanted: Mapping[str, Any], sort: str, size: int, start: int) -> list[Any]:
            asked = {**body, "flow_runs": {**state, **wanted}, "sort": sort}
            return await self._api.page("/flow_runs/filter", asked, size, start)

        return await self.tasks_of((await newest(read, offset + limit, datetime.now(UTC)))[offset:])

    async def live_tasks(self) -> list[Task]:
        return await self._filtered({"state": _LIVE})

    async def changed_since(self, since: datetime | None) -> AsyncIterator[list[Task]]:
        wanted: dict[str, Any] = {}
        if since is not None:
            wanted = {"operator": "or_", "state": _LIVE, "end_time": {"after_": since.isoformat()}}
        body = {"flow_runs": wanted, "sort": "ID_DESC"}

        async def read(limit: int, offset: int) -> list[Mapping[str, Any]]:
            return await self._api.page("/flow_runs/filter", body, limit, offset)

        async for runs in pages(read):
            yield await self.tasks_of(run for run in runs if not is_stub(run))

    async def history(self, task: TaskId) -> list[State]:
        try:
            run = await self._runs.run_id(task)
        except NotFound:
            return []
        rows = await self._api.call("GET", "/flow_run_states/", params={"flow_run_id": run})
        return ordered([state_of(row) for row in rows])

    async def stored(self, states: Sequence[StateId]) -> set[StateId]:
        async def ask(state: StateId) -> bool:
            try:
                await self._api.call("GET", f"/flow_run_states/{state}")
            except NotFound:
                return False
            return True

        answers = await asyncio.gather(*map(ask, states))
        return {state for state, there in zip(states, answers, strict=True) if there}

    async def subtasks(self, task: TaskId) -> list[Subtask]:
        runs = await self._api.pages(
            "/task_runs/filter",
            {
                "task_runs": {"flow_run_id": {"any_": [await self._runs.run_id(task)]}},
                "sort": "EXPECTED_START_TIME_ASC",
            },
        )
        return [subtask_of(run) for run in runs if not stands_for_task(run)]

    async def progress(self, tasks: Sequence[TaskId]) -> dict[TaskId, Progress]:
        newest: dict[TaskId, Progress] = {}
        by_run = await self._runs.run_ids(tasks)
        for ids in batches(by_run):
            rows = await self._api.pages(
                "/artifacts/filter",
                {
                    "artifacts": {
                        "flow_run_id": {"any_": ids},
                        "type": {"any_": ["progress"]},
                        "key": {"any_": [f"progress-{run}" for run in ids]},
                    },
                    "sort": "UPDATED_DESC",
                },
            )
            for row in rows:
                newest.setdefault(by_run[row["flow_run_id"]], progress_of(row))
        return newest

    async def nodes(self) -> list[Node]:
        pools = await self._api.pages("/work_pools/filter", {"work_pools": {"type": {"any_": [POOL_TYPE]}}})
        if not pools:
            return []
        announced = await self.announcements()
        found = [
            node_of(worker, pool["name"], announced.get(pool["name"], {}))
            for pool in pools
            for worker in await self._api.pages(f"/work_pools/{pool['name']}/workers/filter", {})
        ]
        return sorted(found, key=lambda node: (node.pool, node.id))

    async def node_log(self, task: TaskId) -> list[tuple[datetime, str]]:
        rows = await self._api.pages(
            "/logs/filter",
            {"logs": {"flow_run_id": {"any_": [await self._runs.run_id(task)]}}, "sort": "TIMESTAMP_ASC"},
        )
        return [(_at(row), row["message"]) for row in rows if row["name"] == NODE_LOGGER]

    async def class_names(self) -> list[str]:
        deployments = await self._api.pages("/deployments/filter", {"sort": "CREATED_DESC"})
        names = await self._api.flow_names(row["flow_id"] for row in deployments)
        return sorted({names[row["flow_id"]] for row in deployments})

    async def version(self) -> str:
        return str(await self._api.call("GET", "/admin/version"))

    async def _filtered(self, flow_runs: Mapping[str, Any]) -> list[Task]:
        return await self.tasks_of(
            await self._api.pages("/flow_runs/filter", {"flow_runs": flow_runs, "sort": "ID_DESC"})
        )

    async def tasks_of(self, runs: Iterable[Mapping[str, Any]]) -> list[Task]:
        """From Prefect's JSON; without those that cannot be understood."""
        unique = list({run["id"]: run for run in runs}.values())
        self._runs.known.learn(unique)
        flows = await self._api.flow_names(run["flow_id"] for run in unique)
        deployments = await self._api.deployment_names(
            run["deployment_id"] for run in unique if run.get("deployment_id")
        )
        found = []
        for run in unique:
            deployment = deployments.get(run.get("deployment_id") or "") or None
            try:
                found.append(task_of(run, flows[run["flow_id"]], deployment))
            except Exception as error:
                self._runs.known.leave_out(run["id"], error)
        return found

    async def announcements(self) -> dict[str, dict[str, Any]]:
        """Pool to node name to what the node announced."""
        rows = await self._api.pages(
            "/variables/filter", {"variables": {"name": {"like_": NODE_VARIABLE_PREFIX}}}
        )
        found: dict[str, dict[str, Any]] = {}
        for row in rows:
            value = row["value"]
            pool, name = (value.get("pool"), value.get("name")) if isinstance(value, dict) else (None, None)
            if isinstance(pool, str) and isinstance(name, str):
                found.setdefault(pool, {})[name] = value
        return found


def _at(row: Mapping[str, Any]) -> datetime:
    return moment(row["timestamp"]) or datetime.fromtimestamp(0, UTC)


def _state_filter(states: Sequence[str]) -> dict[str, Any]:
    """Types where all are types, else names.

    Raises:
        InvalidInput: types and names are mixed.
    """
    upper = [state.upper() for state in states]
    types = [state for state in upper if state in StateType.__members__]
    if len(types) == len(upper):
        return {"type": {"any_": types}}
    if types and any(state not in StateType.__members__ for state in upper):
        raise InvalidInput(
            f"states: {', '.join(states)} mixes state types and state names",
            remedy=f"Give either types ({', '.join(StateType)}) or names such as Late, AwaitingRetry.",
        )
    return {"name": {"any_": list(states)}}
