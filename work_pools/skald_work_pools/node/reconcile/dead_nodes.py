"""Which nodes are given up: not heard of for long, by a server that was there all the time. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta

from prefect.client.schemas.objects import Worker, WorkerStatus

from skald_work_pools.node.server.name_claims import HEARTBEATS, INTERVAL

LONGEST_GAP = 45.0
"""Seconds between two answers of the server. In a longer gap it may have been away, and heard nobody."""
MORE = 2
"""Heartbeats that a node gets beyond those after which Prefect calls it offline: it may only be held up."""


@dataclass(frozen=True)
class DeadNodeWatch:
    """For how long the server has answered, seen from here; seconds of one clock."""

    since: float
    last: float

    @property
    def seconds(self) -> float:
        return self.last - self.since


def answered(watch: DeadNodeWatch | None, now: float) -> DeadNodeWatch:
    """The server has answered now; after a gap the watch begins anew."""
    if watch is None or now - watch.last > LONGEST_GAP:
        return DeadNodeWatch(now, now)
    return DeadNodeWatch(watch.since, now)


def given_up(workers: Iterable[Worker], now: datetime, watch: DeadNodeWatch) -> frozenset[str]:
    """Names of the workers that are offline and were silent for long enough; ``now`` is the server's clock."""
    return frozenset(
        worker.name
        for worker in workers
        if worker.status != WorkerStatus.ONLINE
        and watch.seconds >= MORE * _interval(worker).total_seconds()
        and (
            worker.last_heartbeat_time is None
            or now - worker.last_heartbeat_time >= (HEARTBEATS + MORE) * _interval(worker)
        )
    )


def living(workers: Iterable[Worker]) -> frozenset[str]:
    return frozenset(worker.name for worker in workers if worker.status == WorkerStatus.ONLINE)


def _interval(worker: Worker) -> timedelta:
    seconds = worker.heartbeat_interval_seconds
    return timedelta(seconds=seconds) if seconds else INTERVAL
