"""One function says what of an input did not come out, whatever task it was."""

from __future__ import annotations

from dataclasses import replace

import pytest

from skald_bridge.media.comparison import Content, Intended, compare, together

READ = Content(250, 10.0, ("video", "audio"), (0.0, 0.02), (640, 360), (10.0, 10.02))


def test_the_same_is_no_difference():
    assert compare(READ, READ, Intended()) == []


@pytest.mark.parametrize(
    ("changed", "told"),
    [
        ({"pictures": 238}, "expected 250 pictures, made 238"),
        ({"pictures": 0}, "expected 250 pictures, made 0"),
        ({"pictures": 500}, "expected 250 pictures, made 500"),
        ({"seconds": 9.5}, "expected 10.00 s of pictures, made 9.50 s"),
        ({"streams": ("video",), "starts": (0.0,)}, "expected picture and sound, made picture"),
        ({"displayed": (360, 640)}, "expected 640x360 as shown, made 360x640"),
        ({"starts": (0.0, 0.5)}, "the sound begins at 0.50 s instead of 0.02 s of the picture"),
        ({"starts": (0.0, -0.4)}, "the sound begins at -0.40 s instead of 0.02 s of the picture"),
        ({"ends": (10.0, 8.0)}, "the sound ends at 8.00 s instead of 10.02 s of the picture"),
    ],
)
def test_a_difference_is_told(changed, told):
    assert compare(READ, replace(READ, **changed), Intended()) == [told]


def test_what_was_intended_is_no_difference():
    made = Content(50, 2.0, ("video",), (0.0,), (320, 180))
    intended = Intended(pictures=50, seconds=2.0, streams=("video",), displayed=(320, 180))
    assert compare(READ, made, intended) == []


def test_an_intention_that_was_not_kept_is_told():
    assert compare(READ, READ, Intended(streams=("video",), displayed=(320, 180))) == [
        "expected picture, made picture and sound",
        "expected 320x180 as shown, made 640x360",
    ]


def test_times_count_within_one_picture():
    slow = Intended(picture_seconds=0.2)
    assert compare(READ, replace(READ, seconds=10.2, starts=(0.0, 0.2)), slow) == []
    assert len(compare(READ, replace(READ, seconds=10.3, starts=(0.0, 0.3)), slow)) == 2
    assert compare(READ, replace(READ, seconds=10.04), Intended()) == []


def test_unknown_times_of_the_sound_are_not_compared():
    assert compare(READ, replace(READ, starts=(), ends=()), Intended()) == []


def test_a_sound_that_was_cut_on_purpose_ends_earlier():
    made = replace(READ, pictures=50, seconds=2.0, ends=(2.0, 2.02))
    assert compare(READ, made, Intended(pictures=50, seconds=2.0)) == []


def test_parts_are_one_content():
    part = Content(50, 2.0, ("video", "audio"), (0.0, 0.02), (640, 360), (2.0, 2.02))
    assert compare(READ, together([part] * 5), Intended()) == []
    lost = replace(part, pictures=48)
    assert compare(READ, together([part, lost, part, part, lost]), Intended()) == [
        "expected 250 pictures, made 246"
    ]


def test_a_sound_that_begins_in_a_later_part():
    silent = Content(50, 2.0, ("video",), (0.0,), (640, 360), (2.0,))
    part = Content(50, 2.0, ("video", "audio"), (0.0, 0.5), (640, 360), (2.0, 2.0))
    whole = together([silent, part, replace(part, starts=(0.0, 0.0)), silent])
    assert whole == Content(200, 8.0, ("video", "audio"), (0.0, 2.5), (640, 360), (8.0, 6.0))
    with pytest.raises(ValueError, match="no parts"):
        together([])
