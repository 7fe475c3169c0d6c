"""Times over jumps; where decoding can begin; how a picture is turned."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from skald_bridge.media.decodable import begins
from skald_bridge.media.displayed import HLG, PQ, Geometry, geometry, tone_mapped
from skald_bridge.media.timeline import Timeline

ONE = 1 << 16


def moved(line: Timeline, stream: int, times: list[float], seconds: float = 0.04) -> list[float]:
    return [round(at + line.offset(stream, at, seconds), 4) for at in times]


def test_times_that_ascend_stay_as_they_are():
    line = Timeline(forward=True)
    assert moved(line, 0, [5.0, 5.04, 5.08, 12.0]) == [5.0, 5.04, 5.08, 12.0]
    assert line.jumps == 0


def test_a_jump_back_goes_on_where_it_was():
    line = Timeline()
    assert moved(line, 0, [1.4, 2.4, 1.4, 1.44]) == [1.4, 2.4, 2.44, 2.48]
    assert line.jumps == 1


def test_small_steps_back_are_no_jump():
    line = Timeline()
    assert moved(line, 0, [1.0, 1.04, 1.0, 1.08]) == [1.0, 1.04, 1.0, 1.08]


def test_only_transport_streams_leap_forward():
    assert moved(Timeline(forward=True), 0, [0.0, 3600.0, 3600.04]) == [0.0, 0.04, 0.08]
    assert moved(Timeline(), 0, [0.0, 3600.0, 3600.04]) == [0.0, 3600.0, 3600.04]


def test_streams_keep_their_distance_over_a_jump():
    line = Timeline()
    moved(line, 0, [10.0, 10.04])
    moved(line, 1, [10.0, 10.02], 0.02)
    picture = moved(line, 0, [0.0, 0.04])
    sound = moved(line, 1, [0.01, 0.03], 0.02)
    assert sound[0] - picture[0] == pytest.approx(0.01)
    assert line.jumps == 1


@given(st.lists(st.lists(st.integers(0, 500), min_size=1, max_size=20).map(sorted), max_size=6))
def test_stretches_never_overlap(stretches):
    line = Timeline(forward=True)
    times = [at for stretch in stretches for at in moved(line, 0, [t / 25 for t in stretch])]
    assert all(after >= at - 0.5 for at, after in zip(times, times[1:], strict=False))  # noqa: RUF007


IDR, NON_IDR = b"\x00\x00\x00\x01\x65\x88", b"\x00\x00\x00\x01\x06\x05\x00\x00\x01\x41\x9a"
AVCC = b"\x01\x64\x00\x1f\xff\xe1"


@pytest.mark.parametrize(
    ("codec", "data", "extradata", "true"),
    [
        ("h264", IDR, None, True),
        ("h264", NON_IDR, None, False),
        ("h264", NON_IDR + IDR, None, True),
        ("h264", b"\x00\x00\x00\x02\x65\x88", AVCC, True),
        ("h264", b"\x00\x00\x00\x02\x41\x88\x00\x00\x00\x02\x65\x88", AVCC, True),
        ("h264", b"\x00\x00\x00\x02\x41\x88", AVCC, False),
        ("h264", b"", None, False),
        ("hevc", b"\x00\x00\x01\x26\x01", None, True),
        ("hevc", b"\x00\x00\x01\x2a\x01", None, True),
        ("hevc", b"\x00\x00\x01\x02\x01", None, False),
        ("mpeg2video", b"\x00\x00\x01\xb3", None, True),
        ("vp9", b"", None, True),
    ],
)
def test_where_decoding_can_begin(codec, data, extradata, true):
    assert begins(codec, data, extradata) is true


@pytest.mark.parametrize(
    ("matrix", "shape"),
    [
        (None, Geometry(320, 240)),
        ((ONE, 0, 0, 0, ONE, 0), Geometry(320, 240)),
        ((0, -ONE, 0, ONE, 0, 0), Geometry(240, 320, swapped=True, upside_down=True)),
        ((0, ONE, 0, -ONE, 0, 0), Geometry(240, 320, swapped=True, left_right=True)),
        ((-ONE, 0, 0, 0, -ONE, 0), Geometry(320, 240, left_right=True, upside_down=True)),
        ((-ONE, 0, 0, 0, ONE, 0), Geometry(320, 240, left_right=True)),
    ],
)
def test_how_a_picture_is_turned(matrix, shape):
    assert geometry(320, 240, None, matrix) == shape


@pytest.mark.parametrize(
    ("aspect", "size"),
    [(Fraction(64, 45), (1024, 576)), (Fraction(1, 2), (720, 1152)), (Fraction(0), (720, 576))],
)
def test_pixels_that_are_not_square(aspect, size):
    shape = geometry(720, 576, aspect)
    assert (shape.width, shape.height) == size


def test_sizes_are_even():
    assert Geometry(321, 241).at_height(120) == (160, 120)
    assert Geometry(1080, 1920).at_height(240) == (136, 240)
    assert Geometry(1, 4000).at_height(240) == (2, 240)


@pytest.mark.parametrize("transfer", [PQ, HLG])
def test_tone_mapping_keeps_black_gray_and_the_order_of_light(transfer):
    ramp = np.linspace(0, 65535, 64).astype(np.uint16)[None, :, None].repeat(3, axis=2)
    shown = tone_mapped(ramp, transfer)
    assert shown[0, 0].tolist() == [0, 0, 0]
    assert shown[0, -1].tolist() == [255, 255, 255]
    assert np.all(np.diff(shown[0, :, 0].astype(int)) >= 0)
    assert np.abs(np.ptp(shown.astype(int), axis=2)).max() <= 1
