"""What every Pulse does; the alive test is the one of a Skalds System Controller."""

from __future__ import annotations

from datetime import timedelta

from skald_bridge.domain.ids import NodeId
from skald_bridge.ports import Pulse
from tests.contract.records import AT, task_id

PERIOD = timedelta(seconds=3)


async def test_five_beats_always_hold_more_than_three_values(pulse: Pulse) -> None:
    task = task_id()
    seen = []
    for number in range(450):
        now = AT + number * PERIOD
        await pulse.beat_tasks([task], now)
        seen.append(await pulse.heartbeat(task, now))
    assert set(seen) == set(range(200))
    assert all(len(set(seen[at : at + 5])) > 3 for at in range(len(seen) - 5))


async def test_a_beat_expires(pulse: Pulse) -> None:
    task = task_id()
    await pulse.beat_tasks([task], AT)
    await pulse.beat_nodes({NodeId("n1"): ["Probe"]}, AT)
    assert await pulse.heartbeat(task, AT + timedelta(seconds=7)) is not None
    assert await pulse.heartbeat(task, AT + timedelta(seconds=8)) is None
    assert (await pulse.nodes(AT + timedelta(seconds=7))).keys() == {"n1"}
    assert await pulse.nodes(AT + timedelta(seconds=8)) == {}
    assert await pulse.heartbeat(task_id(), AT) is None


async def test_ends_stay_an_hour(pulse: Pulse) -> None:
    for value, exception in [(200, None), (-1, "no such file"), (-2, None)]:
        task = task_id()
        await pulse.beat_tasks([task], AT)
        await pulse.end_task(task, value, exception, AT)
        late = AT + timedelta(minutes=59)
        assert await pulse.heartbeat(task, late) == value
        assert await pulse.exception(task, late) == exception
        gone = AT + timedelta(minutes=61)
        assert await pulse.heartbeat(task, gone) is None
        assert await pulse.exception(task, gone) is None


async def test_a_task_that_runs_again_beats_again(pulse: Pulse) -> None:
    task = task_id()
    await pulse.end_task(task, -1, "no such file", AT)
    beats = []
    for number in range(1, 4):
        await pulse.beat_tasks([task], AT + number * PERIOD)
        beats.append(await pulse.heartbeat(task, AT + number * PERIOD))
    assert len(set(beats)) == 3 and all(beat in range(200) for beat in beats)


async def test_nodes_count_up(pulse: Pulse) -> None:
    await pulse.beat_nodes({NodeId("n1"): ["Probe"], NodeId("n2"): []}, AT)
    first = await pulse.nodes(AT)
    await pulse.beat_nodes({NodeId("n1"): ["Probe"]}, AT + PERIOD)
    second = await pulse.nodes(AT + PERIOD)
    assert second[NodeId("n1")] != first[NodeId("n1")]
    assert second[NodeId("n2")] == first[NodeId("n2")]
