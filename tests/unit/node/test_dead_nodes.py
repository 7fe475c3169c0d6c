from __future__ import annotations

from datetime import UTC, datetime, timedelta
from uuid import uuid4

import pytest
from prefect.client.schemas.objects import Worker, WorkerStatus

from skald_work_pools.node.reconcile.dead_nodes import LONGEST_GAP, DeadNodeWatch, answered, given_up, living

NOW = datetime(2026, 1, 1, 12, tzinfo=UTC)
LONG = DeadNodeWatch(0.0, 1000.0)


def worker(
    name: str, silent: float, *, online: bool = False, interval: int | None = 30, beaten: bool = True
) -> Worker:
    return Worker(
        name=name,
        work_pool_id=uuid4(),
        last_heartbeat_time=NOW - timedelta(seconds=silent) if beaten else None,
        heartbeat_interval_seconds=interval,
        status=WorkerStatus.ONLINE if online else WorkerStatus.OFFLINE,
    )


@pytest.mark.parametrize(
    ("found", "dead"),
    [
        (worker("a", 149), False),
        (worker("a", 150), True),
        (worker("a", 150, interval=None), True),
        (worker("a", 5, interval=1), True),
        (worker("a", 4, interval=1), False),
        (worker("a", 150, online=True), False),
        (worker("a", 0, beaten=False), True),
    ],
)
def test_a_node_is_given_up_two_heartbeats_after_prefect_called_it_offline(found: Worker, dead: bool) -> None:
    assert given_up([found], NOW, LONG) == ({"a"} if dead else frozenset())


def test_nobody_is_given_up_while_the_server_was_not_there_for_as_long() -> None:
    """It was away: it could hear nobody."""
    short = DeadNodeWatch(0.0, 59.0)
    assert given_up([worker("a", 10_000)], NOW, short) == frozenset()
    assert given_up([worker("a", 10_000, interval=10)], NOW, short) == {"a"}


def test_a_gap_between_answers_begins_the_watch_anew() -> None:
    watch = answered(None, 100.0)
    assert watch.seconds == 0
    for now in (120.0, 140.0, 160.0):
        watch = answered(watch, now)
    assert watch.seconds == 60
    assert answered(watch, 160 + LONGEST_GAP).seconds == 60 + LONGEST_GAP
    assert answered(watch, 161 + LONGEST_GAP).seconds == 0


def test_of_many_workers_only_those_online_live() -> None:
    many = [worker(f"n-{number}", 1, online=number % 2 == 0) for number in range(500)]
    assert living(many) == {f"n-{number}" for number in range(0, 500, 2)}
