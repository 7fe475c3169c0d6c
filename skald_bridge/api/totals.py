"""Sums over Skalds and tasks; pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from skald_bridge.api.system_models import (
    Performance,
    SkaldCounts,
    StatisticsDetails,
    StatisticsOut,
    SummaryOut,
    SystemLoad,
    SystemMetricsOut,
    TaskCounts,
)
from skald_bridge.api.views import Skald, kind_of
from skald_bridge.domain.lifecycle import LifecycleStatus

Statuses = Mapping[LifecycleStatus, int]


def statistics(skalds: Iterable[Skald]) -> StatisticsOut:
    every = list(skalds)
    online = [skald for skald in every if skald.online]
    nodes = _nodes(online)
    busy = sum(bool(skald.tasks) for skald in nodes)
    running = sum(len(skald.tasks) for skald in online)
    return StatisticsOut(
        total_skalds=len(every),
        online_skalds=len(online),
        offline_skalds=len(every) - len(online),
        node_skalds=len(_nodes(every)),
        edge_skalds=len(every) - len(_nodes(every)),
        available_nodes=len(nodes),
        total_running_tasks=running,
        average_tasks_per_skald=running / len(online) if online else 0,
        details=StatisticsDetails(
            online_nodes=len(nodes),
            online_edges=len(online) - len(nodes),
            busy_nodes=busy,
            idle_nodes=len(nodes) - busy,
        ),
    )


def summary(skalds: Iterable[Skald], tasks: Statuses) -> SummaryOut:
    found = statistics(skalds)
    return SummaryOut(
        total_skalds=found.total_skalds,
        online_skalds=found.online_skalds,
        total_tasks=sum(tasks.values()),
        running_tasks=tasks.get(LifecycleStatus.RUNNING, 0),
        finished_tasks=tasks.get(LifecycleStatus.FINISHED, 0),
        failed_tasks=tasks.get(LifecycleStatus.FAILED, 0),
        assigning_tasks=tasks.get(LifecycleStatus.ASSIGNING, 0),
        cancelled_tasks=tasks.get(LifecycleStatus.CANCELLED, 0),
        node_skalds=found.node_skalds,
        edge_skalds=found.edge_skalds,
    )


def system_metrics(skalds: Iterable[Skald], tasks: Statuses, live: int, timestamp: int) -> SystemMetricsOut:
    """``live``: tasks whose process is at work."""
    every = list(skalds)
    found = statistics(every)
    available = _nodes(skald for skald in every if skald.online)
    return SystemMetricsOut(
        timestamp=timestamp,
        skalds=SkaldCounts(
            total=found.total_skalds,
            online=found.online_skalds,
            offline=found.offline_skalds,
            nodes=found.node_skalds,
            edges=found.edge_skalds,
            available_nodes=found.available_nodes,
            busy_nodes=found.details.busy_nodes,
            idle_nodes=found.details.idle_nodes,
        ),
        tasks=TaskCounts(
            monitored=live,
            running=tasks.get(LifecycleStatus.RUNNING, 0),
            failed=tasks.get(LifecycleStatus.FAILED, 0),
            finished=tasks.get(LifecycleStatus.FINISHED, 0),
            cancelled=tasks.get(LifecycleStatus.CANCELLED, 0),
            assigning=tasks.get(LifecycleStatus.ASSIGNING, 0),
            total=sum(tasks.values()),
            total_assigned=found.total_running_tasks,
        ),
        performance=Performance(
            average_tasks_per_skald=round(found.average_tasks_per_skald, 2),
            task_distribution={skald.id: len(skald.tasks) for skald in available},
            system_load=SystemLoad(
                skald_utilization=_percent(found.online_skalds, found.total_skalds),
                node_utilization=_percent(found.details.busy_nodes, len(available)),
            ),
        ),
    )


def _nodes(skalds: Iterable[Skald]) -> list[Skald]:
    return [skald for skald in skalds if kind_of(skald) == "node"]


def _percent(part: int, whole: int) -> float:
    return round(100 * part / max(1, whole), 2)
