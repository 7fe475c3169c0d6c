"""The picture that is shown is the one that is worked on: its shape, its lines, its colours; and the tracks."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from skald_bridge.media.inputs import local_source
from skald_bridge.media.probe import probe
from tests.integration.media.inputs import FAST, decoded, ffmpeg, gray, pictures, tone
from tests.integration.media.working import Worked, assert_all_kept, assert_shown_alike, assert_times_kept


def size(path: Path) -> tuple[int, int]:
    facts = probe(local_source(path))
    assert facts.pixel_aspect == (1, 1)
    return facts.width, facts.height


def thumbnail(worked: Worked, video: Path, width: int = 320) -> Path:
    worked.analyzed(video, thumbnail_seconds=1, width=width)
    return Path(worked.store.url("out")) / "thumbnails" / "000000000.jpg"


@pytest.mark.parametrize(
    ("coded", "aspect", "shown"),
    [("720x576", "64/45", (1024, 576)), ("720x480", "8/9", (720, 540)), ("352x576", "24/11", (768, 576))],
)
@pytest.mark.parametrize("container", ["mp4", "mkv", "ts"])
def test_pixels_that_are_not_square(worked: Worked, tmp_path, coded, aspect, shown, container):
    video = tmp_path / f"anamorphic.{container}"
    ffmpeg(*pictures(2, size=coded, more=f",setsar={aspect}"), *FAST, "-g", "25", video)
    renditions, warnings = worked.transcoded(video, shown[1], 288, label="HELLO")
    assert warnings == []
    assert [size(path) for path in renditions] == [shown, (round(288 * shown[0] / shown[1] / 2) * 2, 288)]
    path, warnings = worked.piped(video, 288)
    assert warnings == []
    assert size(path) == size(renditions[1])
    with Image.open(thumbnail(worked, video, 320)) as picture:
        assert picture.size == (320, round(320 * shown[1] / shown[0]))


@pytest.mark.parametrize(
    ("coded", "made"), [("321x241", (320, 240)), ("241x321", (240, 320)), ("33x99", (32, 98))]
)
def test_odd_sizes(worked: Worked, tmp_path, coded, made):
    video = tmp_path / "odd.mkv"
    ffmpeg(
        *pictures(2, size=coded),
        "-c:v",
        "libx264",
        "-preset",
        "ultrafast",
        "-pix_fmt",
        "yuv444p",
        "-g",
        "25",
        video,
    )
    (path,), warnings = worked.transcoded(video, 2160, label="A LONG LABEL THAT HARDLY FITS")
    assert warnings == []
    assert size(path) == made
    path, warnings = worked.piped(video, 2160)
    assert warnings == []
    assert_times_kept(path, video)


@pytest.mark.parametrize("coded", ["180x320", "1080x1920"])
def test_portrait(worked: Worked, tmp_path, coded):
    video = tmp_path / "portrait.mp4"
    ffmpeg(*pictures(2, size=coded), *tone(2), *FAST, "-g", "25", "-c:a", "aac", video)
    renditions, warnings = worked.transcoded(video, 320, 160)
    assert warnings == []
    assert [size(path) for path in renditions] == [(180, 320), (90, 160)]
    path, warnings = worked.piped(video, 320)
    assert (size(path), warnings) == ((180, 320), [])


def test_ten_bits(worked: Worked, tmp_path):
    video = tmp_path / "ten.mkv"
    coded = ("-c:v", "libx265", "-preset", "ultrafast", "-x265-params", "log-level=error:keyint=25")
    ffmpeg(*pictures(2), *coded, "-pix_fmt", "yuv420p10le", video)
    assert_all_kept(worked, video)
    (path,), _ = worked.transcoded(video, 240)
    assert probe(local_source(path)).pixel_format == "yuv420p"
    assert_shown_alike(path, video)
    assert_shown_alike(thumbnail(worked, video), video, at=0, like_at=0)


def test_full_range(worked: Worked, tmp_path):
    """Gray 235 of 255 is no white, and 16 no black, in full range."""
    video = tmp_path / "full.mp4"
    source = ("-f", "lavfi", "-i", "color=0x101010:s=320x240:r=25:d=1,scale=out_range=full,format=yuv420p")
    ffmpeg(*source, "-c:v", "libx264", "-color_range", "pc", "-crf", "1", "-g", "10", video)
    (path,), warnings = worked.transcoded(video, 240, quality=10)
    assert warnings == []
    assert abs(gray(path, 0)[0] - 16) <= 3
    assert not probe(local_source(path)).full_range
    with Image.open(thumbnail(worked, video)) as picture:
        assert abs(np.asarray(picture.convert("L"))[120, 160].astype(int) - 16) <= 3
    analyzed = worked.analyzed(video)
    assert analyzed.findings.luma_mean == pytest.approx(16 / 255, abs=0.012)


@pytest.mark.parametrize("transfer", ["smpte2084", "arib-std-b67"])
@pytest.mark.parametrize("turned", [False, True])
def test_hdr_is_tone_mapped(worked: Worked, tmp_path, transfer, turned):
    plain = video = tmp_path / "hdr.mp4"
    tags = f"log-level=error:keyint=25:colorprim=bt2020:transfer={transfer}:colormatrix=bt2020nc"
    tone_curve = (
        f"zscale=tin=bt709:min=bt709:pin=bt709:t={transfer}:m=bt2020nc:p=bt2020:npl=100,format=yuv420p10le"
    )
    ffmpeg(
        *pictures(2, more=f",format=yuv420p,{tone_curve}"), "-c:v", "libx265", "-preset", "ultrafast",
        "-x265-params", tags, "-tag:v", "hvc1", plain,
    )  # fmt: skip
    if turned:
        video = tmp_path / "turned.mp4"
        ffmpeg("-display_rotation", "90", "-i", plain, "-c", "copy", video)
    facts = probe(local_source(video))
    assert facts.hdr
    height = 320 if turned else 240
    (path,), warnings = worked.transcoded(video, height, quality=10)
    assert warnings == []
    made = probe(local_source(path))
    assert (made.hdr, made.pixel_format) == (False, "yuv420p")
    with Image.open(thumbnail(worked, video, facts.width)) as picture:
        shown = np.asarray(picture.convert("L").resize((8, 8), Image.Resampling.BOX), int).reshape(-1)
    rendered = np.array(gray(path, 0))
    assert np.abs(shown - rendered).mean() < 8  # thumbnails and renditions look alike
    assert rendered.max() > 90
    piped, warnings = worked.piped(video, height)
    assert warnings == []
    assert np.abs(np.array(gray(piped, 0)) - rendered).mean() < 8


def combed(path: Path, at: float) -> float:
    """How much neighbouring lines differ more than every second one."""
    size = 240
    lines = np.array(gray(path, at, size), float).reshape(size, size)
    one = np.abs(np.diff(lines, axis=0)).mean()
    two = np.abs(lines[2:] - lines[:-2]).mean()
    return float(one / max(two, 0.01))


@pytest.mark.parametrize(
    "codec",
    [
        ("-c:v", "libx264", "-preset", "veryfast", "-x264-params", "tff=1"),
        ("-c:v", "mpeg2video", "-q:v", "2"),
    ],
)
@pytest.mark.parametrize("container", ["ts", "mkv"])
def test_interlaced(worked: Worked, tmp_path, codec, container):
    video = tmp_path / f"interlaced.{container}"
    moving = "color=black:s=320x240:r=50:d=3[a];color=white:s=40x240:r=50:d=3[b];[a][b]overlay=x='mod(t*400,320)':y=0"
    ffmpeg(
        "-f", "lavfi", "-i", f"{moving},interlace=scan=tff:lowpass=0", *codec, "-flags", "+ildct+ilme",
        "-pix_fmt", "yuv420p", "-g", "12", "-bf", "0", video,
    )  # fmt: skip
    facts = probe(local_source(video))
    assert facts.interlaced
    before = combed(video, 1.0)
    assert before > 2
    (path,), warnings = worked.transcoded(video, 240, quality=12)
    assert warnings == []
    assert len(decoded(path)) == len(decoded(video))
    assert combed(path, 1.0) < before / 2
    path, warnings = worked.piped(video, 240)
    assert warnings == []
    assert len(decoded(path)) == len(decoded(video))
    assert combed(path, 1.0) < before / 2
    worked.analyzed(video, thumbnail_seconds=1, width=320)
    assert combed(Path(worked.store.url("out")) / "thumbnails" / "000001000.jpg", 0) < before / 2


@pytest.mark.parametrize("label", ["", "HELLO"])
def test_a_size_that_changes(worked: Worked, tmp_path, label):
    for name, wide in (("a", "320x240"), ("b", "640x360")):
        ffmpeg(*pictures(2, size=wide), *FAST, "-g", "25", tmp_path / f"{name}.ts")
    video = tmp_path / "changes.ts"
    video.write_bytes((tmp_path / "a.ts").read_bytes() + (tmp_path / "b.ts").read_bytes())
    found = worked.analyzed(video, thumbnail_seconds=1)
    assert (found.findings.pictures, found.warnings) == (100, [])
    (path,), warnings = worked.transcoded(video, 240, label=label)
    assert (len(decoded(path)), size(path), warnings) == (100, (320, 240), [])
    path, warnings = worked.piped(video, 240)
    assert (len(decoded(path)), size(path), warnings) == (100, (320, 240), [])


def test_several_sounds_subtitles_and_data(worked: Worked, tmp_path):
    (tmp_path / "words.srt").write_text(
        "1\n00:00:00,500 --> 00:00:01,500\nHello\n\n2\n00:00:30,0 --> 00:00:31,0\nx\n"
    )
    video = tmp_path / "many.mkv"
    ffmpeg(
        *pictures(4), *tone(4), *tone(4), "-i", tmp_path / "words.srt", "-map", "0", "-map", "1", "-map", "2",
        "-map", "3", *FAST, "-g", "25", "-c:a:0", "aac", "-c:a:1", "ac3", "-c:s", "srt", video,
    )  # fmt: skip
    told = ("sound track 2 is left out: one sound is taken",)
    assert worked.analyzed(video).warnings == list(told)
    assert_all_kept(worked, video, told)
    coded = tmp_path / "timecode.mov"
    ffmpeg(*pictures(4), *tone(4), *FAST, "-g", "25", "-timecode", "10:00:00:00", "-c:a", "pcm_s16le", coded)
    assert_all_kept(worked, coded)


@pytest.mark.parametrize(
    ("sound", "rate", "container"),
    [("pcm_alaw", 8000, "mkv"), ("pcm_mulaw", 8000, "mov"), ("opus", 48000, "webm"), ("ac3", 48000, "ts"),
     ("mp2", 44100, "ts"), ("flac", 44100, "mkv"), ("pcm_s24le", 48000, "mov"), ("adpcm_ms", 44100, "avi")],
)  # fmt: skip
def test_sounds(worked: Worked, tmp_path, sound, rate, container):
    video = tmp_path / f"sound.{container}"
    codec = ("-c:v", "libvpx", "-deadline", "realtime") if container == "webm" else FAST
    name = "libopus" if sound == "opus" else sound
    ffmpeg(*pictures(4), *tone(4, rate=rate), *codec, "-g", "25", "-c:a", name, video)
    assert worked.analyzed(video).findings.silence == []
    assert_all_kept(worked, video)


@pytest.mark.parametrize(
    ("codec", "container"),
    [
        (("-c:v", "libvpx-vp9", "-deadline", "realtime", "-cpu-used", "8"), "webm"),
        (("-c:v", "libvpx-vp9", "-deadline", "good", "-cpu-used", "5", "-auto-alt-ref", "1"), "mkv"),
        (("-c:v", "libsvtav1", "-preset", "12"), "mp4"),
        (("-c:v", "mpeg2video", "-bf", "2"), "ts"),
        (("-c:v", "mpeg4", "-bf", "2"), "mp4"),
        (("-c:v", "mjpeg"), "mov"),
        (("-c:v", "prores_ks"), "mov"),
        (("-c:v", "ffv1"), "mkv"),
        (("-c:v", "rawvideo"), "mkv"),
        (("-c:v", "flv1"), "flv"),
    ],
)
def test_codecs(worked: Worked, tmp_path, codec, container):
    video = tmp_path / f"coded.{container}"
    ffmpeg(
        *pictures(4), *tone(4), *codec, "-g", "25", *(("-ar", "44100") if container == "flv" else ()), video
    )
    assert worked.analyzed(video).findings.pictures == 100
    assert_all_kept(worked, video)
