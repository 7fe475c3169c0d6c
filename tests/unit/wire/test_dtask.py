"""dtask's bodies as its own server reads and writes them."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from skald_bridge.wire import dtask
from skald_bridge.wire.dtask import OutOfBounds, Worker
from skald_bridge.wire.go_json import Malformed, quoted_time
from skald_work_pools.needs import Needs
from tests.unit.wire import dtask_cases as cases

AT = datetime(2023, 12, 14, 8, tzinfo=UTC)


@pytest.mark.parametrize("body", cases.REFUSED.values(), ids=cases.REFUSED)
def test_what_every_route_refuses(body):
    for read in (dtask.heartbeat, dtask.schedule, dtask.release):
        with pytest.raises(Malformed):
            read(body)


@pytest.mark.parametrize("body", cases.BAD_HEARTBEATS.values(), ids=cases.BAD_HEARTBEATS)
def test_heartbeats_that_are_refused(body):
    with pytest.raises(Malformed):
        dtask.heartbeat(body)


@pytest.mark.parametrize("body", cases.BAD_SCHEDULES.values(), ids=cases.BAD_SCHEDULES)
def test_requests_that_are_refused(body):
    with pytest.raises(Malformed):
        dtask.schedule(body)


@pytest.mark.parametrize(("body", "begin"), cases.GOOD_HEARTBEATS.values(), ids=cases.GOOD_HEARTBEATS)
def test_heartbeats_as_the_list_shows_them(body, begin):
    heard = dtask.heartbeat(body)
    shown = Worker(
        heard.worker_id, heard.address, heard.tags, heard.max_tasks, heard.current_tasks, AT, "online"
    )
    assert b"".join(dtask.workers([shown])).startswith(b"[" + begin)


def test_requests_of_dtask_have_nothing_of_ours():
    for body, _, _ in cases.GOOD_SCHEDULES.values():
        request = dtask.schedule(body)
        assert request == dtask.Schedule(request.task_id, request.required)


def test_the_list():
    one = Worker("a", "x:1", ("gpu",), 2, 1, AT.replace(microsecond=120_000), "online")
    other = Worker('<"b">', "", None, 0, 0, AT, "offline")
    assert b"".join(dtask.workers([])) == b"[]\n"
    assert b"".join(dtask.workers([one, other])) == (
        b'[{"WorkerID":"a","Address":"x:1","ResourceTags":["gpu"],"MaxTasks":2,"CurrentTasks":1,"Available":1,'
        b'"LastHeartbeat":"2023-12-14T08:00:00.12Z","Status":"online"},'
        b'{"WorkerID":"\\u003c\\"b\\"\\u003e","Address":"","ResourceTags":null,"MaxTasks":0,"CurrentTasks":0,'
        b'"Available":0,"LastHeartbeat":"2023-12-14T08:00:00Z","Status":"offline"}]\n'
    )


@pytest.mark.parametrize(
    ("microsecond", "shown"), [(0, "00Z"), (1, "00.000001Z"), (999_990, "00.99999Z"), (500_000, "00.5Z")]
)
def test_times(microsecond, shown):
    assert quoted_time(AT.replace(microsecond=microsecond)) == f'"2023-12-14T08:00:{shown}"'


def test_replies():
    assert dtask.granted("w", "x:1").body == b'{"worker_id":"w","address":"x:1"}\n'
    assert dtask.granted("w", "").body == b'{"worker_id":"w"}\n'
    assert dtask.granted("", "").body == b"{}\n"
    assert dtask.granted("w", "x:1", [("queued", "true")]).body == (
        b'{"worker_id":"w","address":"x:1","queued":true}\n'
    )
    assert dtask.queued("t", 3).body == b'{"status":"queued","task_id":"t","position":3}\n'
    assert dict(dtask.MALFORMED.headers)[b"x-content-type-options"] == b"nosniff"
    assert b"x-content-type-options" not in dict(dtask.NO_WORKER.headers)


def test_what_goes_beyond_dtask():
    request = dtask.schedule(
        b'{"task_id":"t","needs":{"gpu_memory":"2GiB","cpus":0.5},"priority":7,"wait":2.5,"lease":90,'
        b'"forbidden_tags":["slow"],"preferred_tags":["ssd","lan"]}'
    )
    assert request == dtask.Schedule(
        "t", (), ("slow",), ("ssd", "lan"), Needs(gpus=1, gpu_memory=2 * 2**30, cpus=0.5), 7, 2.5, True, 90.0
    )
    assert dtask.schedule(b'{"task_id":"t","wait":true}').wait == dtask.LONGEST_WAIT
    assert dtask.schedule(b'{"task_id":"t","wait":false}').wait == 0
    assert dtask.schedule(b'{"task_id":"t","wait":null,"needs":null,"priority":null,"lease":null}') == (
        dtask.Schedule("t")
    )
    later = dtask.schedule(b'{"task_id":"t","max_wait_ms":1500}')
    assert (later.wait, later.keeps_place) == (1.5, False)
    assert dtask.schedule(b'{"task_id":"t","max_wait_ms":9000000000000000000}').wait == 60
    assert dtask.schedule(b'{"task_id":"t","max_wait_ms":-5}').wait == 0
    assert dtask.heartbeat(b'{"worker_id":"w","leaving":true}').leaving


@pytest.mark.parametrize(
    ("body", "named"),
    [
        (b'{"task_id":"t","priority":11}', "priority"),
        (b'{"task_id":"t","priority":-1}', "priority"),
        (b'{"task_id":"t","priority":"high"}', "priority"),
        (b'{"task_id":"t","wait":-1}', "wait"),
        (b'{"task_id":"t","wait":1e9}', "wait"),
        (b'{"task_id":"t","wait":1e999}', "wait"),
        (b'{"task_id":"t","wait":"soon"}', "wait"),
        (b'{"task_id":"t","max_wait_ms":1.5}', "max_wait_ms"),
        (b'{"task_id":"t","lease":0}', "lease"),
        (b'{"task_id":"t","lease":1e6}', "lease"),
        (b'{"task_id":"t","needs":5}', "needs"),
        (b'{"task_id":"t","needs":{"gpus":-1}}', "gpus"),
        (b'{"task_id":"t","needs":{"teapots":1}}', "teapots"),
        (b'{"task_id":"t","needs":{"cpus":1e999}}', "needs"),
        (b'{"task_id":"t","forbidden_tags":"slow"}', "forbidden_tags"),
        (b'{"task_id":"t","preferred_tags":[1]}', "preferred_tags"),
        (b'{"task_id":"%s"}' % (b"t" * 257), "task_id"),
        (b'{"task_id":"t","required_tags":["%s"]}' % (b"t" * 257), "required_tags"),
        (b'{"task_id":"t","required_tags":[%s""]}' % (b'"",' * 1000), "required_tags"),
    ],
)  # fmt: skip
def test_what_is_out_of_bounds_is_named(body, named):
    with pytest.raises(OutOfBounds, match=named):
        dtask.schedule(body)


def test_heartbeats_out_of_bounds():
    for name in ("worker_id", "address"):
        with pytest.raises(OutOfBounds, match=name):
            dtask.heartbeat(b'{"%s":"%s"}' % (name.encode(), b"x" * 257))
        dtask.heartbeat(b'{"%s":"%s"}' % (name.encode(), b"x" * 256))


def test_deep_nesting_is_refused_and_nothing_worse():
    with pytest.raises(Malformed):
        dtask.schedule(b'{"x":' + b"[" * 100_000)
