"""Answers about Skalds and the system, in Skalds' names."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from fastapi import Path
from pydantic import Field

from skald_bridge.api.models import Wire

SkaldPath = Annotated[
    str, Path(alias="skald_id", min_length=1, max_length=200, description="The Skald's id: a node's name.")
]
Kind = Literal["node", "edge"]
Online = Literal["online", "offline"]


class SkaldOut(Wire):
    id: str
    type: Kind
    status: Online
    last_heartbeat: str = Field(description="Unix time in milliseconds, as text.")
    supported_tasks: list[str]
    current_tasks: list[str]
    heartbeat: int
    task_count: int


class SkaldsOut(Wire):
    items: list[SkaldOut]
    total: int


class SkaldTask(Wire):
    id: str
    class_name: str


class AssignedTask(SkaldTask):
    assigned_at: int


class SkaldTasksOut(Wire):
    skald_id: str
    tasks: list[AssignedTask]
    total_tasks: int


class SkaldDetails(Wire):
    can_accept_tasks: bool
    last_heartbeat_age: int = Field(description="Milliseconds.")
    tasks: list[SkaldTask]


class SkaldStatusOut(Wire):
    skald_id: str
    status: Online
    type: Kind
    heartbeat: int
    last_update: int
    task_count: int
    is_online: bool
    uptime: int | None = Field(description="Seconds since the node was started; null where it does not say.")
    details: SkaldDetails


class SkaldHeartbeatOut(Wire):
    skald_id: str
    heartbeat: int
    last_update: int
    heartbeat_age: int = Field(description="Milliseconds.")
    is_online: bool
    timestamp: int


class Pinged(Wire):
    skald_id: str
    online: bool
    last_heartbeat: int


class PingOut(Wire):
    """``success`` is whether the Skald is online."""

    success: bool
    message: str
    data: Pinged


class StatisticsDetails(Wire):
    online_nodes: int
    online_edges: int
    busy_nodes: int
    idle_nodes: int


class StatisticsOut(Wire):
    total_skalds: int
    online_skalds: int
    offline_skalds: int
    node_skalds: int
    edge_skalds: int
    available_nodes: int
    total_running_tasks: int
    average_tasks_per_skald: float
    details: StatisticsDetails


class HealthOut(Wire):
    status: Literal["healthy", "degraded"]
    timestamp: int
    services: dict[str, str] = Field(description="healthy, or what is wrong.")
    set_aside: dict[str, int] = Field(
        default_factory=dict, description="Items that could not be handled since the start, by kind."
    )
    set_aside_last: str | None = Field(None, description="The newest of them, and why.")


class ComponentOut(Wire):
    name: str
    running: bool
    details: dict[str, Any]


class SystemStatusOut(Wire):
    mode: str
    components: list[ComponentOut]
    uptime: int = Field(description="Seconds.")
    version: str


class SkaldCounts(Wire):
    total: int
    online: int
    offline: int
    nodes: int
    edges: int
    available_nodes: int
    busy_nodes: int
    idle_nodes: int


class TaskCounts(Wire):
    monitored: int
    running: int
    failed: int
    finished: int
    cancelled: int
    assigning: int
    total: int
    total_assigned: int


class SystemLoad(Wire):
    skald_utilization: float = Field(description="Percent.")
    node_utilization: float = Field(description="Percent.")


class Performance(Wire):
    average_tasks_per_skald: float
    task_distribution: dict[str, int]
    system_load: SystemLoad


class SystemMetricsOut(Wire):
    timestamp: int
    skalds: SkaldCounts
    tasks: TaskCounts
    performance: Performance


class SummaryOut(Wire):
    total_skalds: int
    online_skalds: int
    total_tasks: int
    running_tasks: int
    finished_tasks: int
    failed_tasks: int
    assigning_tasks: int
    cancelled_tasks: int
    node_skalds: int
    edge_skalds: int


class EventsStatusOut(Wire):
    connected_clients: int
    timestamp: int
    status: Literal["active"] = "active"
