"""Tasks that wait and tasks that nodes have, with what they need, in few questions however many there are."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any

from skald_bridge.adapters.prefect_api import PrefectApi
from skald_bridge.adapters.prefect_mapping import moment, task_id_of
from skald_bridge.adapters.prefect_reading import TaskReader
from skald_bridge.adapters.prefect_types import layers_of
from skald_bridge.adapters.prefect_unreadable import is_stub
from skald_bridge.domain.facts import Task
from skald_bridge.domain.lifecycle import StateType
from skald_bridge.domain.queue import Holding, Lane, Part, Queued, QueuePage, needs_of, parts
from skald_bridge.domain.why import Pool, Waiting
from skald_work_pools.messages import NODE_LOGGER
from skald_work_pools.needs import Needs
from skald_work_pools.pages import PAGE, batches

MOST_HELD = 2000
"""So many of the tasks that nodes have are read."""
_SAID = 2
"""So many different messages of nodes are told of a task."""
_SOON_FIRST = "NEXT_SCHEDULED_START_TIME_ASC"
_IN_LINE = {"type": {"any_": [StateType.SCHEDULED]}}
_HAD = [StateType.PENDING, StateType.RUNNING, StateType.PAUSED, StateType.CANCELLING]


@dataclass(frozen=True)
class _Deployment:
    """``layers``: what the code declares, and job variables over it."""

    limit: int | None = None
    layers: Sequence[Mapping[str, Any]] = ()


@dataclass(frozen=True)
class _Found:
    run: Mapping[str, Any]
    lane: Lane
    place: int | None = None


@dataclass
class _Asked:
    """The lanes, and what is asked for of each."""

    now: datetime
    lanes: dict[tuple[str, str], Lane] = field(default_factory=dict)

    def body(self, lane: Lane) -> dict[str, Any]:
        """Chooses the lane's tasks that are due."""
        runs = {"state": _IN_LINE, "next_scheduled_start_time": {"before_": self.now.isoformat()}}
        return {
            "flow_runs": runs,
            "work_pools": {"name": {"any_": [lane.pool.name]}},
            "work_pool_queues": {"name": {"any_": [lane.queue]}},
        }

    def later(self) -> dict[str, Any]:
        """Chooses tasks of these pools that are to start later."""
        runs = {"state": _IN_LINE, "next_scheduled_start_time": {"after_": self.now.isoformat()}}
        pools = sorted({lane.pool.name for lane in self.lanes.values()})
        return {"flow_runs": runs, "work_pools": {"name": {"any_": pools}}}


class QueueReader:
    """``Engine.queue`` and ``Engine.at_work``."""

    def __init__(self, api: PrefectApi, reader: TaskReader) -> None:
        self._api = api
        self._reader = reader

    async def queue(
        self, *, pool: str | None = None, limit: int = PAGE, offset: int = 0, later: bool = False
    ) -> QueuePage:
        asked = await self._asked(pool)
        lanes = list(asked.lanes.values())
        after = asked.later()
        *counts, to_come = await asyncio.gather(
            *(self._count(asked.body(lane)) for lane in lanes), self._count(after)
        )
        total = sum(counts)
        wanted = parts(
            [replace(lane, waiting=count) for lane, count in zip(lanes, counts, strict=True)], offset, limit
        )
        read = await asyncio.gather(*(self._part(asked, part) for part in wanted))
        found = sorted(
            (each for some in read for each in some),
            key=lambda each: (each.place or 0, each.lane.pool.name),
        )
        if later and (room := limit - max(0, min(limit, total - offset))):
            found += await self._later(asked, after, room, max(0, offset - total))
        return QueuePage(tuple(await self._queued(found)), total, to_come)

    async def at_work(self) -> list[Holding]:
        body = {"flow_runs": {"state": {"type": {"any_": _HAD}}}, "sort": "START_TIME_ASC"}
        runs = await self._api.pages("/flow_runs/filter", body, MOST_HELD)
        tasks, deployments = await asyncio.gather(self._tasks(runs), self._deployments(runs))
        return [Holding(tasks[id_], _needs(run, deployments)) for run in runs if (id_ := run["id"]) in tasks]

    async def _asked(self, only: str | None) -> _Asked:
        chosen = {"work_pools": {"name": {"any_": [only]}}} if only is not None else {}
        pools, queues = await asyncio.gather(
            self._api.pages("/work_pools/filter", chosen), self._api.pages("/work_queues/filter", {})
        )
        known = {
            row["name"]: Pool(row["name"], row["type"], bool(row["is_paused"]), row["concurrency_limit"])
            for row in pools
        }
        asked = _Asked(datetime.now(UTC))
        for row in queues:
            if (pool := known.get(row.get("work_pool_name") or "")) is not None:
                asked.lanes[pool.name, row["name"]] = Lane(
                    0, pool, row["name"], row["priority"], bool(row["is_paused"]), row["concurrency_limit"]
                )
        return asked

    async def _count(self, body: Mapping[str, Any]) -> int:
        return int(await self._api.call("POST", "/flow_runs/count", body))

    async def _part(self, asked: _Asked, part: Part) -> list[_Found]:
        body = {**asked.body(part.lane), "sort": _SOON_FIRST, "offset": part.offset}
        runs = await self._api.pages("/flow_runs/filter", body, part.limit)
        return [_Found(run, part.lane, part.place + number) for number, run in enumerate(runs)]

    async def _later(self, asked: _Asked, body: Mapping[str, Any], limit: int, offset: int) -> list[_Found]:
        runs = await self._api.pages(
            "/flow_runs/filter", {**body, "sort": _SOON_FIRST, "offset": offset}, limit
        )
        return [
            _Found(run, lane)
            for run in runs
            if (lane := asked.lanes.get((run.get("work_pool_name") or "", run.get("work_queue_name") or "")))
        ]

    async def _queued(self, found: Iterable[_Found]) -> list[Queued]:
        # A run that waits within its process for its next attempt waits for no node; others may come up twice.
        by_run = {
            each.run["id"]: each
            for each in found
            if not is_stub(each.run)
            and (each.run.get("empirical_policy") or {}).get("retry_type") != "in_process"
        }
        runs = [each.run for each in by_run.values()]
        tasks, deployments, said = await asyncio.gather(
            self._tasks(runs), self._deployments(runs), self._said(runs)
        )
        return [
            Queued(task, _waiting(each, deployments), each.place, said.get(run, ()))
            for run, each in by_run.items()
            if (task := tasks.get(run)) is not None
        ]

    async def _tasks(self, runs: Sequence[Mapping[str, Any]]) -> dict[str, Task]:
        """By the run's id."""
        made = {task.id: task for task in await self._reader.tasks_of(runs)}
        return {run["id"]: made[id_] for run in runs if (id_ := task_id_of(run)) in made}

    async def _deployments(self, runs: Iterable[Mapping[str, Any]]) -> dict[str, _Deployment]:
        found: dict[str, _Deployment] = {}
        for some in batches(sorted({run["deployment_id"] for run in runs if run.get("deployment_id")})):
            rows = await self._api.pages("/deployments/filter", {"deployments": {"id": {"any_": some}}})
            for row in rows:
                limit = (row.get("global_concurrency_limit") or {}).get("limit")
                found[row["id"]] = _Deployment(limit, layers_of(row))
        return found

    async def _said(self, runs: Sequence[Mapping[str, Any]]) -> dict[str, tuple[str, ...]]:
        """What nodes said of runs since they wait, as far as one answer holds it."""
        since = {
            run["id"]: at
            for run in runs
            if (at := moment((run.get("state") or {}).get("timestamp"))) is not None
        }
        found: dict[str, tuple[str, ...]] = {}
        for some in batches(since):
            body = {"logs": {"flow_run_id": {"any_": some}}, "sort": "TIMESTAMP_DESC"}
            for row in await self._api.pages("/logs/filter", body, PAGE):
                run, at = row["flow_run_id"], moment(row["timestamp"])
                told = found.get(run, ())
                if (
                    row["name"] == NODE_LOGGER
                    and at is not None
                    and at >= since[run]
                    and len(told) < _SAID
                    and row["message"] not in told
                ):
                    found[run] = (*told, row["message"])
        return found


def _waiting(found: _Found, deployments: Mapping[str, _Deployment]) -> Waiting:
    lane, run = found.lane, found.run
    due = moment(run.get("next_scheduled_start_time"))
    limit = deployments.get(run.get("deployment_id") or "", _Deployment()).limit
    return Waiting(lane.pool, due, lane.paused, lane.limit, limit, _needs(run, deployments))


def _needs(run: Mapping[str, Any], deployments: Mapping[str, _Deployment]) -> Needs:
    deployment = deployments.get(run.get("deployment_id") or "", _Deployment())
    return needs_of(*deployment.layers, run.get("job_variables") or {})
