"""Runs in work pools of type kubernetes, for who looks after their pods."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from skald_bridge.adapters.prefect_api import PrefectApi
from skald_bridge.adapters.prefect_commands import TaskCommands, state_json
from skald_bridge.adapters.prefect_reading import TaskReader
from skald_bridge.domain.facts import Task
from skald_bridge.domain.ids import NodeId
from skald_bridge.domain.lifecycle import TERMINAL, StateType
from skald_work_pools.messages import NODE_LABEL, NODE_LOGGER
from skald_work_pools.pages import batches


class KubernetesRuns:
    """``services.pods.PodRuns``."""

    def __init__(self, api: PrefectApi, reader: TaskReader, commands: TaskCommands) -> None:
        self._api = api
        self._reader = reader
        self._commands = commands
        self.fail = commands.fail

    async def in_pools(self, pools: Sequence[str], namespace: str, since: datetime) -> list[Task]:
        ended = {
            "state": {"type": {"any_": [StateType.CANCELLED, StateType.CRASHED]}},
            "end_time": {"after_": since.isoformat()},
        }
        live = {"state": {"type": {"not_any_": sorted(TERMINAL)}}}
        # One that ends between the questions is found by the second too, and that is the newer.
        found = [await self._in_pools(pools, live), await self._in_pools(pools, ended)]
        return await self._reader.tasks_of(
            row for rows in found for row in rows if _may_be_in(namespace, row)
        )

    async def ended_in_pools(self, pools: Sequence[str], runs: Sequence[str]) -> list[Task]:
        found: list[Task] = []
        for some in batches(runs):
            wanted = {"id": {"any_": list(some)}, "state": {"type": {"any_": sorted(TERMINAL)}}}
            found += await self._reader.tasks_of(await self._in_pools(pools, wanted))
        return found

    async def reschedule(self, task: Task, reason: str) -> None:
        await self._commands.propose(
            task.id, state_json(StateType.SCHEDULED, message=reason, scheduled_time=_now()), "rescheduled"
        )

    async def say(self, task: Task, text: str, state: str | None) -> None:
        if text not in {message for _, message in await self._reader.node_log(task.id)}:
            entry = {
                "name": NODE_LOGGER,
                "level": logging.WARNING,
                "message": text,
                "timestamp": _now(),
                "flow_run_id": task.run,
            }
            await self._api.call("POST", "/logs/", [entry])
        if state is not None and task.state is not None and task.state.name != state:
            # From one Pending state to another Prefect lets a run go where the name is another.
            await self._commands.propose(task.id, state_json(StateType.PENDING, state, text), f"made {state}")

    async def place(self, task: Task, executor: NodeId) -> None:
        await self._api.call("PATCH", f"/flow_runs/{task.run}/labels", {NODE_LABEL: executor})

    async def _in_pools(self, pools: Sequence[str], wanted: Mapping[str, Any]) -> list[Any]:
        body = {"flow_runs": wanted, "work_pools": {"name": {"any_": list(pools)}}, "sort": "ID_DESC"}
        return await self._api.pages("/flow_runs/filter", body)


def _may_be_in(namespace: str, run: Mapping[str, Any]) -> bool:
    """By what Prefect's worker notes once it has made a Job: ``NAMESPACE:JOB``; it may be an earlier attempt's."""
    noted, _, _job = (run.get("infrastructure_pid") or "").rpartition(":")
    return not noted or noted == namespace


def _now() -> str:
    return datetime.now(UTC).isoformat()
