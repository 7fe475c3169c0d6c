"""Decisions without I/O: where to cut, which renditions, which encoder, how long to wait."""

from __future__ import annotations

from itertools import islice

import pytest
from hypothesis import given
from hypothesis import strategies as st

from skald_bridge.media.cutting import plan_cuts
from skald_bridge.media.ffmpeg import written_seconds
from skald_bridge.media.findings import find
from skald_bridge.media.measure import Measures
from skald_bridge.media.probe import Probe, timestamp
from skald_bridge.media.recorder import waits
from skald_bridge.media.renditions import NVENC, X264, choose_encoder, ladder
from skald_bridge.media.report import escaped, table
from skald_bridge.media.sheet import picture_times


def probed(height: int, fps: float = 25) -> Probe:
    return Probe("mp4", 10.0, height * 16 // 9, height, fps, "h264", "yuv420p")


def test_cuts_lie_on_key_frames_where_these_lie_well():
    plan = plan_cuts([0.0, 1.2, 3.04, 5.48, 7.48, 9.68], 10.0, 2.5)
    assert plan.copied
    assert plan.starts == (3.04, 5.48, 7.48)


def test_cuts_lie_anywhere_when_key_frames_are_rare():
    plan = plan_cuts([0.0], 9.0, 3.0)
    assert not plan.copied
    assert plan.starts == (3.0, 6.0)
    assert plan_cuts([0.0], 2.0, 30.0).starts == ()


@given(
    st.lists(st.floats(0, 600), max_size=50),
    st.floats(0.5, 600),
    st.floats(0.5, 700),
)
def test_cuts_ascend_inside_the_video(keys, seconds, part):
    starts = plan_cuts(sorted(keys), seconds, part).starts
    assert list(starts) == sorted(set(starts))
    assert all(0 < start < seconds for start in starts)


@pytest.mark.parametrize(
    ("heights", "source", "names"),
    [
        ([1080, 720, 480], 720, ["720p", "480p"]),
        ([480, 1080, 480], 1080, ["1080p", "480p"]),
        ([1080], 272, ["272p"]),
        ([361], 720, ["360p"]),
        ([1080], 271, ["270p"]),
    ],
)
def test_no_rendition_is_taller_than_the_source(heights, source, names):
    assert [rung.name for rung in ladder(heights, probed(source))] == names


def test_taller_and_faster_pictures_get_more_bits():
    low, high = (ladder([h], probed(1080))[0].max_kbps for h in (360, 1080))
    assert low < high < ladder([1080], probed(1080, fps=60))[0].max_kbps


@pytest.mark.parametrize(
    ("available", "gpus", "works", "name"),
    [
        ({NVENC, X264}, "GPU-1", True, NVENC),
        ({NVENC, X264}, "", True, X264),
        ({NVENC, X264}, "-1", True, X264),
        ({X264}, "GPU-1", True, X264),
        ({NVENC, X264}, "GPU-1", False, X264),
    ],
)
def test_the_lease_decides_the_encoder(available, gpus, works, name):
    encoder = choose_encoder(frozenset(available), gpus, lambda: works)
    assert encoder.name == name
    assert encoder.reason


@pytest.mark.parametrize(
    ("line", "seconds"),
    [
        ("out_time_us=1500000\n", 1.5),
        ("out_time_ms=1500000\n", 1.5),
        ("out_time_us=N/A", None),
        ("out_time_us=-100", 0.0),
        ("frame=10", None),
        ("", None),
    ],
)
def test_progress_lines(line, seconds):
    assert written_seconds(line) == seconds


def test_waits_double_up_to_a_bound():
    assert list(islice(waits(0.5, 4), 6)) == [0.5, 1, 2, 4, 4, 4]


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0, "0:00.0"), (59.96, "1:00.0"), (61.25, "1:01.2"), (3725.5, "1:02:05.5")],
)
def test_timestamps(seconds, text):
    assert timestamp(seconds) == text


def test_a_scene_that_begins_close_by_is_shown():
    measures = Measures(times=[i / 10 for i in range(100)], change=[0.0] * 100, seconds=10.0)
    measures.luma, measures.black = [0.5] * 100, [0.0] * 100
    measures.change[30] = 0.5
    times = picture_times(find(measures), 5)
    assert times == [1.0, 3.2, 5.0, 7.0, 9.0]
    assert len(picture_times(find(measures), 1)) == 1


def test_markdown_shows_text_as_it_is():
    assert escaped("a|b `c` <script>\nd") == "a\\|b \\`c\\` \\<script\\> d"
    assert table(["x"], [["a|b"]]).splitlines()[-1] == "| a\\|b |"
