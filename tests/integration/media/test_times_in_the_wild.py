"""Times that jump, are missing or lie: every picture once, in order, at the time at which it is shown."""

from __future__ import annotations

from itertools import pairwise

import pytest

from skald_bridge.media.contents import read
from skald_bridge.media.inputs import local_source
from skald_bridge.media.measure import measure
from skald_bridge.media.probe import probe
from tests.integration.media.inputs import FAST, OPEN_GOP, decoded, ffmpeg, pictures, tone
from tests.integration.media.working import Worked, assert_all_kept, assert_times_kept

SOUND = ("-c:a", "aac")


def assert_even(times: list[float], count: int, step: float = 0.04) -> None:
    assert len(times) == count
    assert all(after - at == pytest.approx(step, abs=0.012) for at, after in pairwise(times))


@pytest.mark.parametrize("sound", [False, True])
@pytest.mark.parametrize("more", [(), ("-bf", "2", "-preset", "veryfast")])
def test_two_transport_streams_joined(worked: Worked, tmp_path, sound, more):
    one, video = tmp_path / "one.ts", tmp_path / "joined.ts"
    ffmpeg(
        *pictures(3), *(tone(3) if sound else ()), *FAST, "-g", "25", *more, *(SOUND if sound else ()), one
    )
    video.write_bytes(one.read_bytes() * 2)
    found = worked.analyzed(video, thumbnail_seconds=1)
    assert found.findings.pictures == 150
    assert found.findings.seconds == pytest.approx(6, abs=0.1)
    assert found.warnings == []
    times = measure(local_source(video)).times
    assert_even(times[:75], 75)
    assert_even(times[75:], 75)
    assert 0.03 < times[75] - times[74] < 0.2  # where they are joined, the longer sound counts
    assert len(list(tmp_path.rglob("thumbnails/*.jpg"))) in (6, 7)
    if sound:
        assert found.findings.silence == []
    (path,), warnings = worked.transcoded(video)
    # Where the longer sound leaves a gap between the two, ffmpeg may close it, and that is told.
    assert warnings == [] or (
        sound and more and all("s of pictures, made 6.00 s" in each for each in warnings)
    )
    assert len(decoded(path)) == 150
    path, warnings = worked.piped(video)
    assert warnings == []
    assert len(decoded(path)) == 150


def test_a_clock_that_leaps_forward_in_a_transport_stream(worked: Worked, tmp_path):
    for name, offset in (("a", 0), ("b", 3600)):
        ffmpeg(*pictures(2), *FAST, "-output_ts_offset", offset, tmp_path / f"{name}.ts")
    video = tmp_path / "leap.ts"
    video.write_bytes((tmp_path / "a.ts").read_bytes() + (tmp_path / "b.ts").read_bytes())
    found = worked.analyzed(video)
    assert (found.findings.pictures, found.warnings) == (100, [])
    assert found.findings.seconds == pytest.approx(4, abs=0.1)
    (path,), warnings = worked.transcoded(video)
    assert (len(decoded(path)), warnings) == (100, [])


def test_a_clock_that_wraps_around(worked: Worked, tmp_path):
    video = tmp_path / "wrap.ts"
    ffmpeg(*pictures(4), *tone(4), *FAST, "-g", "25", *SOUND, "-output_ts_offset", 95443.7 - 2, video)
    assert worked.analyzed(video).findings.seconds == pytest.approx(4, abs=0.1)
    (path,), warnings = worked.transcoded(video)
    assert warnings == []
    assert_even(decoded(path), 100)
    path, warnings = worked.piped(video)
    assert warnings == []
    assert_even(decoded(path), 100)


@pytest.mark.parametrize("more", [(), ("-bf", "2", "-preset", "veryfast")])
def test_a_raw_stream_without_times(worked: Worked, tmp_path, more):
    video = tmp_path / "raw.h264"
    ffmpeg(*pictures(4), *FAST, "-g", "25", *more, video)
    found = worked.analyzed(video, thumbnail_seconds=1)
    assert (found.findings.pictures, found.warnings) == (100, [])
    assert found.findings.seconds == pytest.approx(4, abs=0.1)
    (path,), warnings = worked.transcoded(video)
    assert warnings == []
    assert_even(decoded(path), 100)
    path, warnings = worked.piped(video)
    assert warnings == []
    assert_even(decoded(path), 100)


@pytest.mark.parametrize("codec", [("-c:v", "mpeg4", "-bf", "2"), ("-c:v", "mjpeg"), (*FAST, "-bf", "2")])
def test_an_avi_has_no_display_times(worked: Worked, tmp_path, codec):
    video = tmp_path / "old.avi"
    ffmpeg(*pictures(4), *tone(4), *codec, "-g", "25", "-c:a", "mp3", video)
    assert worked.analyzed(video).findings.pictures == len(decoded(video))
    (path,), warnings = worked.transcoded(video)
    assert warnings == []
    assert len(decoded(path)) == len(decoded(video))
    path, warnings = worked.piped(video)
    assert warnings == []
    assert len(decoded(path)) == len(decoded(video))


def test_a_container_without_duration(worked: Worked, tmp_path):
    video = tmp_path / "live.mkv"
    ffmpeg(*pictures(4), *tone(4), *FAST, "-g", "25", *SOUND, "-f", "matroska", "-live", "1", video)
    assert worked.analyzed(video).findings.seconds == pytest.approx(4, abs=0.05)
    assert_all_kept(worked, video)


def test_a_header_that_promises_more(worked: Worked, tmp_path):
    whole, video = tmp_path / "whole.mp4", tmp_path / "part.mkv"
    ffmpeg(*pictures(8), *FAST, "-g", "25", whole)
    ffmpeg("-i", whole, "-c", "copy", video)
    data = video.read_bytes()
    # a recorder that died has written its header for all of it: the size is unknown, the duration is not
    at = data.index(b"\x18\x53\x80\x67") + 4
    data = data[:at] + b"\x01" + b"\xff" * 7 + data[at + 8 :]
    video.write_bytes(data[: len(data) // 2])
    count = len(decoded(video))
    assert 60 < count < 140
    found = worked.analyzed(video)
    assert found.findings.pictures in (count, count - 1)
    assert "the input says it lasts 8.0 s, but holds" in found.warnings[0]
    (path,), warnings = worked.transcoded(video)
    assert len(decoded(path)) == count
    assert "the input says it lasts 8.0 s, but holds" in warnings[0]
    path, warnings = worked.piped(video)
    assert abs(len(decoded(path)) - count) <= 1
    assert "the input says it lasts 8.0 s, but holds" in warnings[0]


def test_pictures_that_cannot_be_decoded_are_told(worked: Worked, tmp_path):
    whole, video = tmp_path / "whole.ts", tmp_path / "late.ts"
    ffmpeg(*pictures(6), *FAST, "-g", "50", whole)
    data = whole.read_bytes()
    size = len(data) // 188 // 4 * 188
    video.write_bytes(data[: 188 * 3] + data[size:])  # begins within a group of pictures
    count = len(decoded(video))
    assert count < 150
    found = worked.analyzed(video)
    held = read(local_source(video), probe(local_source(video))).content.pictures
    if held != found.findings.pictures:
        assert f"expected {held} pictures, made {found.findings.pictures}" in found.warnings
    (path,), warnings = worked.transcoded(video)
    made = len(decoded(path))
    assert (made == held) == (warnings == [])
    if made != held:
        assert warnings[0] == f"120p: expected {held} pictures, made {made}"


def test_a_beginning_cut_off_by_an_edit_list(worked: Worked, tmp_path):
    whole, video = tmp_path / "whole.mp4", tmp_path / "edited.mp4"
    ffmpeg(*pictures(6), *tone(6), *FAST, "-g", "50", *SOUND, whole)
    ffmpeg("-ss", "1.0", "-i", whole, "-c", "copy", video)
    assert len(decoded(video)) == 125
    assert worked.analyzed(video).findings.pictures == 125
    assert_all_kept(worked, video)


@pytest.mark.parametrize("offset", [-1.5, 7.0])
def test_a_video_that_does_not_begin_at_zero(worked: Worked, tmp_path, offset):
    video = tmp_path / "offset.mkv" if offset > 0 else tmp_path / "offset.mp4"
    ffmpeg(
        *pictures(4), *tone(4), *FAST, "-g", "25", *SOUND, "-output_ts_offset", offset,
        "-avoid_negative_ts", "disabled", video,
    )  # fmt: skip
    count = len(decoded(video))
    assert worked.analyzed(video).findings.pictures == count
    assert_all_kept(worked, video)


@pytest.mark.parametrize("rate", ["30000/1001", "60", "24000/1001", "10"])
def test_rates(worked: Worked, tmp_path, rate):
    video = tmp_path / "rate.mp4"
    ffmpeg(*pictures(4, rate=rate), *tone(4), *FAST, "-g", "20", *SOUND, video)
    assert_all_kept(worked, video)


def test_a_slow_show_of_pictures(worked: Worked, tmp_path):
    video = tmp_path / "slow.mp4"
    ffmpeg(*pictures(20, rate="1/4"), *tone(20), *FAST, "-g", "1", *SOUND, video)
    (path,), warnings = worked.transcoded(video)
    assert warnings == []
    assert_times_kept(path, video)


@pytest.mark.parametrize("container", ["mp4", "mkv", "ts"])
def test_an_open_gop_of_hevc(worked: Worked, tmp_path, container):
    video = tmp_path / f"open.{container}"
    coded = ("-c:v", "libx265", "-preset", "ultrafast", "-x265-params", f"log-level=error:{OPEN_GOP}")
    ffmpeg(*pictures(5), *tone(5), *coded, "-pix_fmt", "yuv420p", *SOUND, video)
    assert_all_kept(worked, video)


def test_a_picture_that_only_heals_is_no_place_to_cut(worked: Worked, tmp_path):
    video = tmp_path / "refresh.mkv"
    coded = ("-c:v", "libx264", "-preset", "veryfast", "-x264-params", "keyint=25:intra-refresh=1:scenecut=0")
    ffmpeg(*pictures(5), *coded, "-pix_fmt", "yuv420p", video)
    reading = read(local_source(video), probe(local_source(video)))
    assert reading.cuts == [0.0]
    assert_all_kept(worked, video)
