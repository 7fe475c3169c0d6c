from __future__ import annotations

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from skald_bridge.media.findings import Span, Thresholds, find, scene_cuts, stretches
from skald_bridge.media.loudness import STEP as SOUND_STEP
from skald_bridge.media.measure import HEIGHT, WIDTH, Measures, join

RATE = 0.04


def pictures(*runs: tuple[int, int], sound: list[float] | None = None) -> Measures:
    """Runs of (gray value, count) at 25 pictures a second."""
    made = Measures(sound=sound is not None, loudness=sound or [])
    for value, count in runs:
        for _ in range(count):
            made.add(round(len(made.times) * RATE, 3), np.full((HEIGHT, WIDTH), value, np.uint8))
    made.seconds = round(len(made.times) * RATE, 3)
    return made


def test_scenes_black_and_stillness():
    found = find(pictures((100, 50), (200, 50), (0, 25)))
    assert found.scenes == [2.0, 4.0]
    assert found.black == [Span(4.0, 5.0)]
    assert [span.start for span in found.still] == [0.0, 2.04]
    assert found.silence is None
    assert found.motion_peak_at == 4.0


def test_silence_needs_a_sound_track_and_a_length():
    quiet = [-60.0] * 20 + [-10.0] * 20 + [-60.0] * 4
    found = find(pictures((100, 55), sound=quiet))
    assert found.silence == [Span(0.0, 20 * SOUND_STEP)]
    assert find(pictures((100, 55), sound=quiet), Thresholds(silence_db=-80)).silence == []


def test_a_pan_is_no_scene():
    assert scene_cuts([0, 1, 2, 3, 4], [0, 0.1, 0.12, 0.11, 0], 0.06) == []
    assert scene_cuts([0, 1, 2, 3, 4], [0, 0.01, 0.2, 0.01, 0], 0.06) == [2]


def test_a_cut_between_parts_is_seen():
    whole = find(join([pictures((100, 50)), pictures((200, 50))]))
    assert whole.scenes == [2.0]
    assert whole.pictures == 100
    assert whole.seconds == 4.0


def test_silence_runs_on_over_a_cut():
    first = pictures((100, 25), sound=[-10.0] * 15 + [-60.0] * 5)
    second = pictures((100, 25), sound=[-60.0] * 5 + [-10.0] * 15)
    assert find(join([first, second])).silence == [Span(0.75, 1.25)]
    assert find(first).silence == []


def test_parts_with_and_without_sound_stay_in_step():
    mute, loud = pictures((100, 25)), pictures((100, 25), sound=[-5.0] * 20)
    whole = join([mute, loud])
    assert len(whole.loudness) == 40
    assert find(whole).silence == [Span(0.0, 1.0)]


@given(st.lists(st.lists(st.integers(0, 255), min_size=1, max_size=8), min_size=1, max_size=5))
def test_joining_parts_is_measuring_the_whole(parts):
    whole = pictures(*[(value, 1) for part in parts for value in part])
    joined = join([pictures(*[(value, 1) for value in part]) for part in parts])
    assert joined.change == whole.change
    assert joined.times == pytest.approx(whole.times)
    assert find(joined) == find(whole)


@given(st.lists(st.integers(0, 255), max_size=8))
def test_measures_travel_as_json(values):
    made = pictures(*[(value, 1) for value in values], sound=[-20.0])
    again = Measures.of(json.loads(json.dumps(made.json())))
    assert again.json() == made.json()
    assert find(again) == find(made)


@given(st.lists(st.booleans(), max_size=40))
def test_stretches_cover_exactly_what_holds(holds):
    times = [float(index) for index in range(len(holds))]
    spans = stretches(times, holds, float(len(holds)))
    for at, true in zip(times, holds, strict=True):
        assert any(span.start <= at < span.end for span in spans) == true


def test_nothing_gives_nothing():
    found = find(Measures())
    assert (found.scenes, found.black, found.pictures, found.motion_peak) == ([], [], 0, 0.0)
