"""Videos from public reports: every picture comes out at its time, or the task says what did not."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
from PIL import Image

from skald_bridge.media.contents import read
from skald_bridge.media.dividing import divided
from skald_bridge.media.errors import BadMedia
from skald_bridge.media.inputs import local_source
from skald_bridge.media.probe import probe
from tests.integration.media.inputs import FAST, OPEN_GOP, decoded, ffmpeg, gray, pictures, tone
from tests.integration.media.working import assert_all_kept, assert_shown_alike, assert_times_kept


@pytest.mark.parametrize("container", ["mp4", "mkv", "ts"])
def test_an_open_gop_is_not_cut(worked, tmp_path, container):
    video = tmp_path / f"open.{container}"
    coded = ("-c:v", "libx264", "-preset", "veryfast", "-x264-params", OPEN_GOP, "-pix_fmt", "yuv420p")
    ffmpeg(*pictures(10), *tone(10), *coded, "-c:a", "aac", video)
    assert_all_kept(worked, video)


def test_parts_that_lack_a_picture_are_encoded_anew(tmp_path):
    video = tmp_path / "open.mkv"
    coded = ("-c:v", "libx264", "-preset", "veryfast", "-x264-params", OPEN_GOP, "-pix_fmt", "yuv420p")
    ffmpeg(*pictures(4), *coded, video)
    local = local_source(video)
    facts = probe(local)
    reading = read(local, facts)
    assert reading.cuts == [0.0]
    wrong = replace(reading, cuts=[0.0, 1.0, 2.0, 3.0])
    files, starts = divided(local, facts, wrong, 1.0, tmp_path)
    assert [len(decoded(path)) for path in files] == [25] * 4
    assert starts == pytest.approx([0.0, 1.0, 2.0, 3.0], abs=0.001)


@pytest.fixture
def variable(tmp_path: Path) -> Path:
    video = tmp_path / "variable.mp4"
    chosen = ",select='if(lt(mod(t,2),1),1,not(mod(n,10)))'"
    ffmpeg(*pictures(6, more=chosen), *tone(6), "-fps_mode", "vfr", *FAST, "-c:a", "aac", video)
    assert len(decoded(video)) == 81
    return video


@pytest.mark.parametrize("container", ["mp4", "mkv"])
@pytest.mark.parametrize("key_frames", [(), ("-g", "10")])
def test_a_variable_rate_keeps_every_picture_at_its_time(worked, tmp_path, variable, container, key_frames):
    video = tmp_path / f"in.{container}"
    again = ("-c", "copy") if not key_frames else (*FAST, *key_frames, "-fps_mode", "vfr", "-c:a", "copy")
    ffmpeg("-i", variable, *again, "-enc_time_base", "demux", video)
    assert_all_kept(worked, video)


def test_a_sound_track_without_a_decoder_is_left_out_and_said(worked, tmp_path):
    plain, video = tmp_path / "plain.mp4", tmp_path / "unknown.mp4"
    ffmpeg(*pictures(3), *tone(3), *FAST, "-c:a", "aac", plain)
    video.write_bytes(plain.read_bytes().replace(b"mp4a", b"zzzz").replace(b"esds", b"zsds"))
    told = "sound track 1 is left out: its codec is unknown here"
    found = worked.analyzed(video)
    assert found.findings.pictures == 75
    assert found.findings.silence is None
    assert found.warnings == [told]
    ffmpeg("-i", plain, "-c", "copy", "-an", tmp_path / "silent.mp4")
    (path,), warnings = worked.transcoded(video)
    assert warnings == [told]
    assert_times_kept(path, tmp_path / "silent.mp4")
    path, warnings = worked.piped(video)
    assert warnings == [told]
    assert_times_kept(path, tmp_path / "silent.mp4")


@pytest.mark.parametrize("late", [2.0, 0.5])
def test_a_sound_that_begins_late(worked, tmp_path, late):
    video = tmp_path / "late.mkv"
    ffmpeg(
        *pictures(5), "-itsoffset", str(late), *tone(5 - late), "-map", "0", "-map", "1", *FAST, "-g", "25",
        "-c:a", "aac", video,
    )  # fmt: skip
    (span,) = worked.analyzed(video).findings.silence
    assert (span.start, span.end) == (0.0, pytest.approx(late, abs=0.06))
    assert_all_kept(worked, video)


def test_a_picture_that_begins_late(worked, tmp_path):
    video = tmp_path / "late.mkv"
    ffmpeg(
        "-itsoffset", "1.5", *pictures(4), *tone(5.5), "-map", "0", "-map", "1", *FAST, "-g", "25",
        "-c:a", "aac", video,
    )  # fmt: skip
    assert_all_kept(worked, video)


def test_a_sound_with_a_pause_is_silent_in_it(worked, tmp_path):
    video = tmp_path / "pause.mkv"
    gap = ("-af", "aselect='not(between(t,1,2.5))'")
    ffmpeg(*pictures(4), *tone(4), *gap, *FAST, "-c:a", "pcm_s16le", video)
    (span,) = worked.analyzed(video).findings.silence
    assert (span.start, span.end) == (pytest.approx(1, abs=0.11), pytest.approx(2.5, abs=0.11))


def test_a_sound_that_ends_early_is_silent_to_the_end(worked, tmp_path):
    video = tmp_path / "short.mp4"
    ffmpeg(*pictures(4), *tone(2), *FAST, "-c:a", "aac", video)
    (span,) = worked.analyzed(video).findings.silence
    assert (span.start, span.end) == (pytest.approx(2, abs=0.11), 4.0)


@pytest.mark.parametrize("suffix", ["m4a", "mp3"])
def test_a_cover_is_no_video(tmp_path, suffix):
    cover, song = tmp_path / "cover.png", tmp_path / f"song.{suffix}"
    ffmpeg(*pictures(1), "-frames:v", "1", cover)
    attached = ("-map", "0", "-map", "1", "-c:v", "copy", "-disposition:v:0", "attached_pic")
    ffmpeg(*tone(3), "-i", cover, *attached, song)
    with pytest.raises(BadMedia, match="has no picture but a cover"):
        probe(local_source(song))


def test_a_cover_before_the_video_is_not_taken_for_it(worked, tmp_path, variable):
    cover, video = tmp_path / "cover.png", tmp_path / "covered.mkv"
    ffmpeg(*pictures(1, size="640x480"), "-frames:v", "1", cover)
    ffmpeg(
        "-i", cover, "-i", variable, "-map", "0", "-map", "1", "-c", "copy", "-disposition:v:0",
        "attached_pic", tmp_path / "covered.mp4",
    )  # fmt: skip
    video = tmp_path / "covered.mp4"
    (path,), warnings = worked.transcoded(video)
    assert warnings == []
    assert_times_kept(path, variable)
    assert_times_kept(worked.piped(video)[0], variable)


TURNS = {
    "90": ("-display_rotation", "90"),
    "180": ("-display_rotation", "180"),
    "270": ("-display_rotation", "270"),
    "mirrored": ("-display_hflip",),
    "upside down": ("-display_vflip",),
    "90 and mirrored": ("-display_rotation", "90", "-display_hflip"),
}


@pytest.mark.parametrize("turn", list(TURNS))
def test_a_picture_that_is_turned_when_shown(worked, tmp_path, turn):
    plain, video = tmp_path / "plain.mp4", tmp_path / "turned.mp4"
    ffmpeg(*pictures(2), *FAST, "-g", "25", plain)
    ffmpeg(*TURNS[turn], "-i", plain, "-c", "copy", video)
    size = (240, 320) if "90" in turn or "270" in turn else (320, 240)
    renditions, warnings = worked.transcoded(video, 240, 320, quality=10)
    assert warnings == []
    assert [path.stem for path in renditions] == (
        [f"{height}p" for height in (320, 240) if height <= size[1]]
    )
    assert probe(local_source(renditions[0])).line.startswith(f"{size[0]}x{size[1]},")
    assert_shown_alike(renditions[0], video)
    path, warnings = worked.piped(video, size[1])
    assert warnings == []
    assert_shown_alike(path, video)
    worked.analyzed(video, thumbnail_seconds=1, width=240)
    folder = Path(worked.store.url("out"))
    thumbnail = folder / "thumbnails" / "000001000.jpg"
    with Image.open(thumbnail) as shown:
        assert shown.size == (240, 240 * size[1] // size[0])
    assert_shown_alike(thumbnail, video, at=0, like_at=1.0)
    assert json.loads((folder / "analysis.json").read_text())["video"]["width"] == size[0]


def test_the_label_of_a_turned_video_stands_in_its_corner(worked, tmp_path):
    plain, video = tmp_path / "plain.mp4", tmp_path / "turned.mp4"
    ffmpeg("-f", "lavfi", "-i", "color=gray:s=320x240:r=25:d=1", *FAST, plain)
    ffmpeg("-display_rotation", "90", "-i", plain, "-c", "copy", video)
    (path,), _ = worked.transcoded(video, 320, label="HELLO", quality=10)
    shown = gray(path, 0, 16)
    corner = [shown[row * 16 + column] for row in range(2) for column in range(11, 15)]
    rest = [shown[row * 16 + column] for row in range(3, 16) for column in range(16)]
    assert max(rest) - min(rest) < 8
    assert max(abs(value - rest[0]) for value in corner) > 30
