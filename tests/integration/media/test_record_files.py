"""Files as they are in the wild, recorded: every picture at its time, or refused with the reason."""

from __future__ import annotations

from pathlib import Path

import pytest

from skald_blocks import MediaStore
from skald_bridge.domain.errors import InvalidInput
from skald_bridge.media.errors import BadMedia
from skald_bridge.media.inputs import local_source
from skald_bridge.media.recorder import Recorder
from skald_bridge.media.recording import RecordingResult
from tests.services.encoded import REORDERED, Decoded, S, T, X, decoded, encode

FRAMES = [round(index * 0.04, 3) for index in range(100)]


def recorded(
    path: Path, store: MediaStore, container="mp4", **options
) -> tuple[RecordingResult, list[Decoded]]:
    recorder = Recorder(
        local_source(path), store, "x", segment_seconds=lambda: 60, container=container, **options
    )
    made = recorder.run()
    return made, [decoded(segment.url) for segment in made.segments]


def shown(segment: Decoded) -> list[float]:
    """Times of the pictures from the first on, as even a clock of milliseconds tells them."""
    return [round(at - segment.pictures[0], 2) for at in segment.pictures]


def sound_offset(segment: Decoded) -> float:
    return segment.sound_begins - segment.pictures[0]


@pytest.mark.parametrize("container", ["mp4", "mkv", "ts"])
@pytest.mark.parametrize(
    ("name", "arguments"),
    [
        ("bf.mkv", f"{T} {S} {REORDERED} -c:a aac"),
        ("bf.mp4", f"{T} {S} {REORDERED} -c:a aac"),
        ("bf.ts", f"{T} {S} {REORDERED} -c:a aac"),
        ("bf.h264", f"{T} {REORDERED}"),
        ("raw.h264", f"{T} {X}"),
        ("bf.avi", f"{T} {S} {REORDERED} -c:a mp3"),
        ("deep.mkv", f"{T} -c:v libx264 -preset veryfast -bf 8 -x264-params b-pyramid=2 -pix_fmt yuv420p"),
        ("bf.mpg", f"{T} {S} -c:v mpeg2video -g 12 -bf 2 -c:a mp2"),
        ("divx.avi", f"{T} {S} -c:v mpeg4 -bf 2 -g 25 -c:a mp3"),
        ("late.ts", f"-itsoffset 3600 {T} {X} -copyts"),
        ("wrap.ts", f"-itsoffset 95440 {T} {X} -copyts"),
    ],
)
def test_all_pictures_at_their_times(store, tmp_path, name, arguments, container):
    made, (segment,) = recorded(encode(tmp_path / name, arguments), store, container)
    assert shown(segment) == [round(at, 2) for at in FRAMES]
    assert (made.pictures, made.seconds, made.warnings) == (100, 4.0, [])
    if segment.sound:
        assert sound_offset(segment) == pytest.approx(0, abs=0.04)
        assert segment.sound_seconds == pytest.approx(4, abs=0.1)


@pytest.mark.parametrize("container", ["mp4", "mkv", "ts"])
def test_files_that_follow_each_other_are_cut_where_the_clock_jumps(store, tmp_path, container):
    one = encode(tmp_path / "one.ts", f"{T} {S} {X} -c:a aac")
    three = tmp_path / "three.ts"
    three.write_bytes(one.read_bytes() * 3)
    made, segments = recorded(three, store, container)
    assert [len(segment.pictures) for segment in segments] == [100, 100, 100]
    assert made.seconds == 12
    for segment in segments:
        assert shown(segment) == [round(at, 2) for at in FRAMES]
        assert sound_offset(segment) == pytest.approx(0, abs=0.06)


def test_a_leap_ahead_takes_no_time(store, tmp_path):
    first = encode(tmp_path / "first.ts", f"{T} {X}")
    later = encode(tmp_path / "later.ts", f"-itsoffset 3600 {T} {X} -copyts")
    both = tmp_path / "both.ts"
    both.write_bytes(first.read_bytes() + later.read_bytes())
    made, segments = recorded(both, store)
    assert [len(segment.pictures) for segment in segments] == [100, 100]
    assert made.seconds == 8


@pytest.mark.parametrize("container", ["mp4", "mkv", "ts"])
@pytest.mark.parametrize(
    "codec",
    ["libx264 -preset ultrafast", "libx265 -preset ultrafast -x265-params log-level=none", "mpeg2video"],
)
def test_another_size_begins_another_segment(store, tmp_path, container, codec):
    small = encode(tmp_path / "small.ts", f"{T} -c:v {codec} -g 25 -pix_fmt yuv420p")
    large = encode(tmp_path / "large.ts", f"{T} -s 640x480 -c:v {codec} -g 25 -pix_fmt yuv420p")
    both = tmp_path / "both.ts"
    both.write_bytes(small.read_bytes() + large.read_bytes() + small.read_bytes())
    made, segments = recorded(both, store, container)
    assert [(each.width, len(each.pictures)) for each in segments] == [(320, 100), (640, 100), (320, 100)]
    assert made.warnings == []


@pytest.mark.parametrize("container", ["mp4", "mkv", "ts"])
@pytest.mark.parametrize(
    ("codec", "rate"),
    [("pcm_alaw", 8000), ("pcm_mulaw", 8000), ("adpcm_ms", 16000), ("pcm_s16le", 44100), ("wmav2", 44100)],
)
def test_sound_that_players_do_not_play_is_encoded_in_step(store, tmp_path, codec, rate, container):
    sound = f"-f lavfi -i sine=f=440:d=4:r={rate}"
    path = encode(tmp_path / "in.mkv", f"{T} {sound} {X} -c:a {codec}")
    made, (segment,) = recorded(path, store, container)
    assert len(segment.pictures) == 100
    assert segment.sound == ("pcm_s16le" if (codec, container) == ("pcm_s16le", "mkv") else "aac")
    assert sound_offset(segment) == pytest.approx(0, abs=0.13)  # 1,024 samples of silence first
    assert segment.sound_seconds == pytest.approx(4, abs=0.3)
    assert made.segments[0].codec == f"h264/{segment.sound}"


@pytest.mark.parametrize("container", ["mp4", "mkv", "ts"])
@pytest.mark.parametrize(("picture", "sound"), [(0, 2), (2, 0), (0, 0.5)])
@pytest.mark.parametrize("codec", ["aac", "pcm_alaw -ar 8000"])
def test_tracks_that_begin_at_different_times(store, tmp_path, container, picture, sound, codec):
    arguments = f"-itsoffset {picture} {T} -itsoffset {sound} {S} {X} -c:a {codec}"
    made, (segment,) = recorded(encode(tmp_path / "in.mkv", arguments), store, container)
    assert len(segment.pictures) == 100
    assert sound_offset(segment) == pytest.approx(sound - picture, abs=0.14)
    assert made.warnings == []


@pytest.mark.parametrize("name", ["vfr.mp4", "vfr.mkv", "vfr.ts"])
@pytest.mark.parametrize("container", ["mp4", "mkv", "ts"])
def test_a_variable_rate(store, tmp_path, name, container):
    every = "select='if(lt(mod(t,2),1),1,not(mod(n,10)))'"
    path = encode(tmp_path / name, f"-f lavfi -i testsrc2=s=320x240:r=25:d=6,{every} -fps_mode vfr {X}")
    before = decoded(path)
    made, (segment,) = recorded(path, store, container)
    assert shown(segment) == shown(before)
    assert made.pictures == 81


@pytest.mark.parametrize("container", ["mp4", "mkv", "ts"])
def test_an_edit_list(store, tmp_path, container):
    whole = encode(tmp_path / "whole.mp4", f"{T} {S} {REORDERED} -c:a aac")
    path = encode(tmp_path / "in.mp4", f"-ss 1.3 -i {whole} -c copy")
    made, (segment,) = recorded(path, store, container)
    assert len(segment.pictures) >= len(decoded(path).pictures)
    # what lies before the cut is decoded for it, and heard where nothing hides it
    assert sound_offset(segment) == pytest.approx(0, abs=0.1)
    assert made.warnings == []


def test_hevc_in_mp4_is_hvc1(store, tmp_path):
    hevc = "-c:v libx265 -preset ultrafast -x265-params log-level=none"
    for name in ("in.mp4", "in.mkv", "in.ts"):
        _, (segment,) = recorded(encode(tmp_path / name, f"{T} {hevc}"), store)
        assert (segment.tag, len(segment.pictures)) == ("hvc1", 100)
        store.remove("x/recording.json")


@pytest.mark.parametrize("container", ["mp4", "mkv", "ts"])
def test_an_unknown_sound_track_is_left_out_and_said(store, tmp_path, container):
    path = encode(tmp_path / "in.mp4", f"{T} {S} {X} -c:a aac")
    path.write_bytes(path.read_bytes().replace(b"mp4a", b"zzz9").replace(b"esds", b"free"))
    made, (segment,) = recorded(path, store, container)
    assert (len(segment.pictures), segment.sound) == (100, None)
    assert made.warnings == ["track 1 (sound without a decoder) is left out"]


def test_the_sound_that_can_be_decoded_is_taken(store, tmp_path):
    path = encode(tmp_path / "in.mp4", f"{T} {S} {S} -map 0 -map 1 -map 2 {X} -c:a:0 aac -c:a:1 ac3")
    path.write_bytes(path.read_bytes().replace(b"mp4a", b"zzz9").replace(b"esds", b"free"))
    made, (segment,) = recorded(path, store)
    assert segment.sound == "ac3"
    assert made.warnings == ["track 1 (sound without a decoder) is left out"]


def test_more_sounds_and_subtitles_are_said(store, tmp_path):
    (tmp_path / "a.srt").write_text("1\n00:00:00,000 --> 00:00:02,000\nhello\n")
    maps = f"-i {tmp_path}/a.srt -map 0 -map 1 -map 1 -map 2"
    path = encode(tmp_path / "in.mkv", f"{T} {S} {maps} {X} -c:a aac")
    made, _ = recorded(path, store)
    assert made.warnings == ["track 2 (sound aac) is left out", "track 3 (subtitles ssa) is left out"]


@pytest.mark.parametrize("name", ["cover.m4a", "cover.mp3"])
def test_a_cover_is_no_picture(store, tmp_path, name):
    cover = encode(tmp_path / "cover.jpg", "-f lavfi -i testsrc2=s=320x240 -frames:v 1 -update 1")
    path = encode(tmp_path / name, f"{S} -i {cover} -map 0 -map 1 -c:v copy -disposition:v attached_pic")
    with pytest.raises(BadMedia, match="has no picture"):
        recorded(path, store)


def test_a_video_with_a_cover_is_the_video(store, tmp_path):
    cover = encode(tmp_path / "cover.jpg", "-f lavfi -i testsrc2=s=320x240 -frames:v 1 -update 1")
    plain = encode(tmp_path / "plain.mp4", f"{T} {S} {X} -c:a aac")
    maps = "-map 1 -map 0 -c copy -disposition:v:0 attached_pic"
    path = encode(tmp_path / "in.mp4", f"-i {plain} -i {cover} {maps}")
    made, (segment,) = recorded(path, store)
    assert len(segment.pictures) == 100
    assert made.warnings == ["track 2 (cover picture) is left out"]


@pytest.mark.parametrize("container", ["mp4", "mkv", "ts"])
def test_a_refusal_recommends_what_works(store, tmp_path, container):
    path = encode(tmp_path / "in.avi", f"{T} -c:v ffv1")
    try:
        recorded(path, store, container)
    except InvalidInput as refused:
        assert refused.remedy == "Use container mkv."
        assert container != "mkv"
        recorded(path, store, "mkv")


def test_a_file_without_a_key_frame_has_recorded_nothing(store, tmp_path):
    whole = encode(tmp_path / "in.ts", f"{T} -c:v libx264 -preset ultrafast -pix_fmt yuv420p -g 250")
    data = whole.read_bytes()
    path = tmp_path / "tail.ts"
    path.write_bytes(data[: 188 * 3] + data[len(data) // 188 // 2 * 188 :])
    with pytest.raises(InvalidInput, match=r"nothing that could be recorded|not a video"):
        recorded(path, store)


def test_one_picture_is_a_recording(store, tmp_path):
    path = encode(tmp_path / "in.mkv", f"-f lavfi -i testsrc2=s=320x240:r=25 -frames:v 1 {X}")
    made, (segment,) = recorded(path, store)
    assert (len(segment.pictures), made.seconds) == (1, 0.04)


def test_a_header_that_promises_more_than_there_is(store, tmp_path):
    path = encode(tmp_path / "in.mkv", f"{T} {X} -f matroska -write_crc32 0 -live 1")
    long = encode(tmp_path / "long.flv", f"{T} {X}")
    data = long.read_bytes()
    long.write_bytes(data[: len(data) // 2])
    made, (segment,) = recorded(long, store)
    assert 40 < len(segment.pictures) <= made.pictures < 60  # the last is cut through
    assert [text for text in made.warnings if "the input's header promises 4.0 s" in text]
    store.remove("x/recording.json")
    assert recorded(path, store)[0].pictures == 100


def test_sound_that_pauses_stays_in_step(store, tmp_path):
    sound = "-f lavfi -i sine=f=440:d=4:r=8000,aselect='not(between(t,1,2.5))'"
    path = encode(tmp_path / "in.mkv", f"{T} {sound} {X} -c:a pcm_alaw")
    _, (segment,) = recorded(path, store)
    assert segment.sound_seconds == pytest.approx(4, abs=0.3)
