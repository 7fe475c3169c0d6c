"""Clocks that jump, and gaps that are gaps."""

from __future__ import annotations

from skald_bridge.media.source_clock import SourceClock


def played(timeline: SourceClock, times, track=0, length=0.04, waited=None):
    """Times on the timeline and the places where it jumped."""
    out, jumps = [], []
    for at in times:
        placed = timeline.place(track, at, length, waited)
        out.append(round(at + placed.offset, 3))
        if placed.jumped:
            jumps.append(at)
    return out, jumps


def steps(first: float, count: int, step: float = 0.04) -> list[float]:
    return [round(first + index * step, 3) for index in range(count)]


def test_a_clock_that_steps_back():
    out, jumps = played(SourceClock(forward=True), [*steps(10, 5), *steps(1.4, 5)])
    assert out == steps(10, 10)
    assert jumps == [1.4]


def test_a_leap_ahead_of_a_transport_stream_is_a_clock_that_was_set():
    out, jumps = played(SourceClock(forward=True), [*steps(0, 3), *steps(3600, 3)])
    assert out == steps(0, 6)
    assert jumps == [3600]


def test_a_gap_in_a_container_that_keeps_times_is_a_gap():
    times = [*steps(0, 3), *steps(3600, 3)]
    assert played(SourceClock(forward=False), times) == (times, [])


def test_a_camera_that_paused_has_a_gap_and_one_whose_clock_leaps_has_none():
    paused = SourceClock(forward=True)
    assert paused.place(0, 0.0, 0.04, 0.0).offset == 0
    assert paused.place(0, 8.0, 0.04, 8.0).jumped is False
    set_clock = SourceClock(forward=True)
    set_clock.place(0, 0.0, 0.04, 0.0)
    assert set_clock.place(0, 8.0, 0.04, 0.04).jumped is True


def test_sound_follows_the_picture_over_a_jump():
    timeline = SourceClock(forward=True)
    played(timeline, steps(10, 25), track=1)
    played(timeline, steps(10, 50, 0.02), track=0, length=0.02)
    picture, jumps = played(timeline, steps(2, 5), track=1)
    sound, again = played(timeline, steps(2.01, 5, 0.02), track=0, length=0.02)
    assert jumps == [2]
    assert again == []
    assert picture[0] == 11.0
    assert sound[0] == 11.01


def test_late_sound_of_the_clock_before_stays_where_it_belongs():
    timeline = SourceClock(forward=True)
    played(timeline, steps(10, 25), track=1)
    played(timeline, steps(10, 40, 0.02), track=0, length=0.02)
    played(timeline, steps(2, 3), track=1)
    late, _ = played(timeline, steps(10.8, 10, 0.02), track=0, length=0.02)
    assert late == steps(10.8, 10, 0.02)


def test_a_packet_a_little_out_of_order_is_no_jump():
    assert played(SourceClock(forward=True), [0, 0.04, 0.03, 0.08])[1] == []


def test_forth_and_back_again_finds_the_first_clock():
    out, jumps = played(SourceClock(forward=True), [*steps(5, 3), 99, *steps(5.16, 2)])
    assert out == [5, 5.04, 5.08, 5.12, 5.16, 5.2]
    assert jumps == [99]
