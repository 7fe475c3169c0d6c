"""What every Pulse does; the alive test is the one of a Skalds System Controller."""

from __future__ import annotations

from datetime import timedelta

from skald_bridge.domain.effects import EndPulse
from skald_bridge.domain.ids import NodeId
from skald_bridge.domain.pulse import SILENT, NodeBeat, NodeMode, Vitals
from skald_bridge.ports import Pulse
from tests.contract.records import AT, task_id
from tests.contract.stores import PulseUnderTest

PERIOD = timedelta(seconds=3)
N1, N2 = NodeBeat(NodeId("n1"), task_types=("Probe",)), NodeBeat(NodeId("n2"), NodeMode.EDGE)


async def test_five_beats_always_hold_more_than_three_values(pulse: Pulse) -> None:
    task = task_id()
    seen = []
    for number in range(450):
        now = AT + number * PERIOD
        await pulse.beat([], [task], now)
        seen.append((await pulse.vitals([task], now)).get(task, SILENT).heartbeat)
    assert set(seen) == set(range(200))
    assert all(len(set(seen[at : at + 5])) > 3 for at in range(len(seen) - 5))


async def test_beats_at_one_moment_differ_too(pulse: Pulse) -> None:
    task, seen = task_id(), []
    for _ in range(5):
        await pulse.beat([], [task], AT)
        seen.append((await pulse.vitals([task], AT)).get(task, SILENT).heartbeat)
    assert len(set(seen)) == 5


async def test_a_beat_lives_8_seconds(tested: PulseUnderTest) -> None:
    task, pulse = task_id(), tested.pulse
    await pulse.beat([N1], [task], AT)
    assert (await pulse.vitals([task], AT)).get(task, SILENT).heartbeat is not None
    assert (await pulse.nodes(AT)).keys() == {"n1"}
    assert 6 < await tested.beat_lives(task) <= 8
    assert 6 < await tested.node_lives(N1.id) <= 8
    assert (await pulse.vitals([task_id()], AT)).get(task_id(), SILENT).heartbeat is None
    assert await tested.beat_lives(task_id()) == 0


async def test_ends_stay_an_hour(tested: PulseUnderTest) -> None:
    pulse = tested.pulse
    for value, exception in [(200, None), (-1, "no such file"), (-2, None)]:
        task = task_id()
        await pulse.beat([], [task], AT)
        await pulse.end([EndPulse(task, value, exception)], AT)
        assert (await pulse.vitals([task], AT)).get(task, SILENT).heartbeat == value
        assert (await pulse.vitals([task], AT)).get(task, SILENT).exception == exception
        assert 3590 < await tested.beat_lives(task) <= 3600
        left = await tested.exception_lives(task)
        assert 3590 < left <= 3600 if exception else left == 0


async def test_errors_that_end_nothing_stay_an_hour(tested: PulseUnderTest) -> None:
    task, pulse = task_id(), tested.pulse
    await pulse.note_error(task, "frame 7 is broken 🎬", AT)
    await pulse.beat([], [task], AT)
    assert (await pulse.vitals([task], AT)).get(task, SILENT).error == "frame 7 is broken 🎬"
    assert 3590 < await tested.error_lives(task) <= 3600
    assert (await pulse.vitals([task_id()], AT)).get(task_id(), SILENT).error is None


async def test_a_task_that_runs_again_beats_again(pulse: Pulse) -> None:
    task = task_id()
    await pulse.end([EndPulse(task, -1, "no such file")], AT)
    beats = []
    for number in range(1, 4):
        await pulse.beat([], [task], AT + number * PERIOD)
        beats.append((await pulse.vitals([task], AT + number * PERIOD)).get(task, SILENT).heartbeat)
        assert (await pulse.vitals([task], AT + number * PERIOD)).get(task, SILENT).exception is None
    assert len(set(beats)) == 3 and all(beat in range(200) for beat in beats)


async def test_a_late_beat_does_not_overwrite_an_end(pulse: Pulse) -> None:
    task, other = task_id(), task_id()
    await pulse.beat([], [task, other], AT)
    await pulse.end([EndPulse(task, -1, "no such file")], AT + PERIOD)
    for late in (AT + PERIOD / 2, AT + PERIOD):
        await pulse.beat([], [task, other], late)
    assert (await pulse.vitals([task], AT + PERIOD)).get(task, SILENT).heartbeat == -1
    assert (await pulse.vitals([task], AT + PERIOD)).get(task, SILENT).exception == "no such file"
    assert (await pulse.vitals([other], AT + PERIOD)).get(other, SILENT).heartbeat in range(200)


async def test_nodes_count_up(pulse: Pulse) -> None:
    await pulse.beat([N1, N2], [], AT)
    first = await pulse.nodes(AT)
    await pulse.beat([N1], [], AT + PERIOD)
    second = await pulse.nodes(AT + PERIOD)
    assert second[N1.id] != first[N1.id]
    assert second[N2.id] == first[N2.id]


async def test_the_vitals_of_many_at_once(pulse: Pulse) -> None:
    beating, failed, complaining, silent = (task_id() for _ in range(4))
    await pulse.beat([], [beating, complaining], AT)
    await pulse.note_error(complaining, "frame 7 is broken", AT)
    await pulse.end([EndPulse(failed, -1, "no such file")], AT)
    beat = (await pulse.vitals([beating], AT)).get(beating, SILENT).heartbeat
    assert await pulse.vitals([silent, failed, beating, complaining], AT) == {
        beating: Vitals(beat),
        failed: Vitals(-1, "no such file"),
        complaining: Vitals(beat, error="frame 7 is broken"),
    }
    assert await pulse.vitals([], AT) == {}


async def test_the_vitals_of_more_than_fit_into_one_command(pulse: Pulse) -> None:
    tasks = [task_id() for _ in range(2500)]
    await pulse.beat([], tasks, AT)
    found = await pulse.vitals(tasks, AT)
    assert list(found) == tasks and len(set(found.values())) == 1
