"""Cameras that do what cameras do: set their clock, stop their picture, change its size, hang up."""

from __future__ import annotations

from pathlib import Path

import pytest

from skald_blocks import MediaStore
from skald_bridge.media.errors import BadMedia, Unanswered
from skald_bridge.media.inputs import Policy, Source, check, remote_source
from skald_bridge.media.recorder import Recorder
from tests.services.camera import Camera, camera
from tests.services.encoded import T, X, decoded, encode


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return encode(tmp_path_factory.mktemp("camera") / "small.h264", f"{T} {X}")


@pytest.fixture(scope="module")
def large(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return encode(tmp_path_factory.mktemp("camera") / "large.h264", f"{T} -s 640x480 {X}")


def recorder(cam: Camera, store: MediaStore, **options) -> Recorder:
    source = options.pop("source", None) or remote_source(cam.url(), "rtsp")
    return Recorder(source, store, "x", segment_seconds=lambda: 60, **options)


def failed(made: Recorder) -> str:
    with pytest.raises(Unanswered) as error:
        made.run()
    return str(error.value)


def rising(path: str) -> int:
    times = decoded(path).pictures
    assert times == sorted(set(times))
    return len(times)


@pytest.mark.parametrize("jump", [-3600, 3600, -2, 5, 26 * 3600])
@pytest.mark.parametrize("sound", [False, True])
def test_a_clock_that_is_set_makes_a_cut_and_no_time(store, small, jump, sound):
    with camera(small, jump_after=1, jump=jump, sound=sound) as cam:
        made = recorder(cam, store, seconds=3).run()
    assert made.seconds == pytest.approx(3, abs=0.1)
    assert len(made.segments) == 2
    assert sum(rising(segment.url) for segment in made.segments) == made.pictures == 75
    assert (made.reconnects, made.gaps, made.warnings) == (0, [], [])


@pytest.mark.parametrize("container", ["mp4", "mkv", "ts"])
def test_another_size_begins_another_segment(store, small, large, container):
    with camera(small, large, change_after=1) as cam:
        made = recorder(cam, store, seconds=3, container=container).run()
    assert [decoded(segment.url).width for segment in made.segments] == [320, 640]
    assert sum(rising(segment.url) for segment in made.segments) == 75
    assert made.reconnects == 0


@pytest.mark.parametrize("container", ["mp4", "mkv", "ts"])
def test_g711_is_recorded_with_sound_that_plays(store, small, container):
    with camera(small, sound=True) as cam:
        made = recorder(cam, store, seconds=2, container=container).run()
    segment = decoded(made.segments[0].url)
    assert segment.sound == "aac"
    assert segment.sound_begins - segment.pictures[0] == pytest.approx(0, abs=0.14)
    assert segment.sound_seconds == pytest.approx(2, abs=0.5)


def test_a_picture_that_stops_while_the_sound_goes_on(store, small):
    with camera(small, sound=True, stall_after=1, stays=True) as cam:
        text = failed(recorder(cam, store, give_up_after=1.0))
        assert cam.connections == 3
    assert "3 times in a row; 1 segments are safe" in text


def test_a_picture_that_stops_again_after_every_connection(store, small):
    with camera(small, sound=True, stall_after=1) as cam:
        made = recorder(cam, store, give_up_after=1.5)
        text = failed(made)
        assert cam.connections == 3
    assert "sent no picture, only sound" in text
    assert len(made.recording.segments) == 3
    assert len(made.recording.gaps) == 2
    assert all(gap.seconds >= 1.5 for gap in made.recording.gaps)
    assert all("only sound" in gap.reason for gap in made.recording.gaps)


def test_pictures_that_last_long_enough_are_recorded_for_ever(store, small):
    with camera(small, sound=True, stall_after=1.2) as cam:
        made = recorder(cam, store, give_up_after=1.0, seconds=5).run()
        assert cam.connections >= 4
    assert made.seconds == pytest.approx(5, abs=0.2)


def test_a_stream_without_key_frames(store, small):
    with camera(small, key_frames=False) as cam:
        text = failed(recorder(cam, store, give_up_after=1.0))
        assert cam.connections == 3
    assert "no key frame" in text
    assert store.list() == []


def test_packets_that_cannot_be_decoded(store, small):
    with camera(small, garbage=True) as cam:
        text = failed(recorder(cam, store, give_up_after=1.0))
        assert cam.connections == 3
    assert "sent no picture that can be decoded" in text
    assert store.list() == []


def test_the_gap_of_each_break_is_measured(store, small):
    with camera(small, hang_up_after=1) as cam:
        made = recorder(cam, store, seconds=2.5).run()
    assert made.reconnects == len(made.gaps) == 2
    for gap, segment in zip(made.gaps, made.segments, strict=False):
        assert gap.after == segment.name
        assert 0.3 < gap.seconds < 3  # it waited half a second, and then connected
        assert gap.began > segment.began
        assert "stopped sending" in gap.reason


def test_a_camera_that_speaks_udp_alone(store, small):
    with camera(small, tcp=False) as cam:
        assert recorder(cam, store, seconds=1).run().pictures >= 25


@pytest.mark.parametrize("password", ["hunter2", "p@ss/w:rd", "50%off", "ä ö#?&=", "a'b\"c", "%41"])
def test_digest_authentication_with_any_password(store, small, password):
    with camera(small, user="admin", password=password.replace("%41", "A")) as cam:
        source = check(cam.url(f"admin:{password}@"), Policy(()))
        assert isinstance(source, Source)
        heard: list[str] = []
        made = recorder(
            cam, store, source=source, seconds=1, on_change=lambda _, text: heard.append(text)
        ).run()
    assert made.pictures >= 25
    assert password not in source.display + str(heard) + str(made.json())


def test_a_wrong_password_fails_at_once(store, small):
    with camera(small, user="admin", password="right") as cam:
        source = remote_source(cam.url("admin:hunter2@"), "rtsp")
        with pytest.raises(BadMedia, match="refuses us") as error:
            recorder(cam, store, source=source).run()
        assert cam.connections == 1
    assert "hunter2" not in str(error.value)


def test_a_redirect_is_followed(store, small):
    with camera(small) as cam, camera(small, redirect=cam.url()) as first:
        assert recorder(first, store, seconds=1).run().pictures >= 25


class Interrupt(BaseException):
    pass


def test_a_later_try_goes_on_with_the_recording(store, small):
    def length() -> float:
        if first.recording.segments:
            raise Interrupt
        return 0.9

    with camera(small) as cam:
        source = remote_source(cam.url(), "rtsp")
        first = Recorder(source, store, "x", segment_seconds=length, seconds=4, task="t")
        with pytest.raises(Interrupt):
            first.run()
        before = [segment.name for segment in first.recording.segments]
        made = recorder(cam, store, seconds=4, task="t").run()
    assert len(before) == 2
    assert [segment.name for segment in made.segments][:2] == before
    assert made.seconds == pytest.approx(4, abs=0.2)
    assert sum(rising(segment.url) for segment in made.segments) == made.pictures
    (gap,) = made.gaps
    assert (gap.after, gap.reason) == (before[-1], "the task was started anew")
    assert 0 <= gap.seconds < 5
