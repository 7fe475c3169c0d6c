"""Recording from a real RTSP server and from files: reconnects, cuts, full disks."""

from __future__ import annotations

import threading
import time
from pathlib import Path

import pytest

from skald_blocks import MediaStore
from skald_bridge.domain.errors import InvalidInput
from skald_bridge.media.boxes import incomplete
from skald_bridge.media.errors import BadMedia, DiskFull, Unanswered
from skald_bridge.media.inputs import local_source, remote_source
from skald_bridge.media.measure import measure
from skald_bridge.media.probe import probe
from skald_bridge.media.recorder import Recorder
from tests.integration.media.inputs import OPEN_GOP, decoded, ffmpeg, pictures
from tests.services.footage import bikes, bunny, reel
from tests.services.poll import until


def whole(store: MediaStore) -> list[Path]:
    """All published segments, each proven to be whole and decodable to its end."""
    paths = [Path(store.url(name)) for name in store.list() if name.endswith((".mp4", ".mkv", ".ts"))]
    for path in paths:
        assert incomplete(path) is None
        assert measure(local_source(path)).times
    return paths


def leftovers(store: MediaStore) -> list[Path]:
    assert store.local_root is not None
    return [path for path in (store.local_root / ".partial").rglob("*") if path.name != ".guard"]


def test_a_file_is_cut_at_key_frames_without_losing_a_picture(store):
    made = Recorder(local_source(bikes()), store, "x", segment_seconds=lambda: 2.0).run()
    assert [round(s.seconds, 2) for s in made.segments] == [3.04, 2.44, 2.0, 2.2, 0.32]
    assert sum(len(measure(local_source(path)).times) for path in whole(store)) == 250
    assert made.reconnects == 0
    assert leftovers(store) == []


@pytest.mark.parametrize("container", ["mkv", "ts"])
def test_containers_hold_picture_and_sound(store, container):
    made = Recorder(local_source(reel()), store, "x", segment_seconds=lambda: 60, container=container).run()
    (path,) = whole(store)
    assert path.suffix == f".{container}"
    assert probe(local_source(path)).audio_codec == "aac"
    assert made.seconds == pytest.approx(16.3, abs=0.1)


def test_a_container_that_cannot_hold_the_input_names_the_remedy(store, tmp_path):
    import av

    path = tmp_path / "old.avi"
    with av.open(str(path), "w") as target:
        stream = target.add_stream("wmv2", rate=25)
        stream.width, stream.height, stream.pix_fmt = 64, 64, "yuv420p"
        for frame in av.open(str(bikes())).decode(video=0):
            target.mux(stream.encode(frame.reformat(64, 64)))
            if len(target.streams) and frame.pts and frame.time > 0.5:
                break
        target.mux(stream.encode())
    with pytest.raises(InvalidInput, match="container 'mp4' cannot hold") as error:
        Recorder(local_source(path), store, "x", segment_seconds=lambda: 60).run()
    assert error.value.remedy == "Transcode it: the task type transcode makes H.264 of wmv2."
    assert store.list() == []


def test_the_segment_length_changes_under_way(store):
    lengths = iter([1.0, 1.0, 60.0])
    made = Recorder(local_source(bikes()), store, "x", segment_seconds=lambda: next(lengths, 60.0)).run()
    assert [round(s.seconds, 2) for s in made.segments] == [1.2, 1.84, 6.96]


def test_a_length_ends_it(store):
    made = Recorder(local_source(bikes()), store, "x", segment_seconds=lambda: 2.0, seconds=4.0).run()
    assert made.seconds == pytest.approx(4.0, abs=0.1)


def test_a_camera_that_dies_and_comes_back(camera_server, store):
    camera_server.publish(bikes(), "cam")
    heard: list[str] = []
    recorder = Recorder(
        remote_source(camera_server.url("cam"), "rtsp"),
        store,
        "x",
        segment_seconds=lambda: 0.5,
        seconds=4,
        on_change=lambda recording, text: heard.append(text),
    )
    thread = threading.Thread(target=recorder.run)
    thread.start()
    until(lambda: recorder.recording.segments, 20, "a first segment")
    camera_server.kill()
    until(lambda: any("lost the source" in text for text in heard), 20, "the loss is noticed")
    before = len(recorder.recording.segments)
    camera_server.start()
    camera_server.publish(bikes(), "cam")
    thread.join(60)
    assert not thread.is_alive()
    assert recorder.recording.reconnects == 1
    assert len(recorder.recording.segments) > before
    assert recorder.recording.seconds == pytest.approx(4, abs=0.6)
    assert len(whole(store)) == len(recorder.recording.segments)
    assert leftovers(store) == []


def test_a_camera_that_stays_away(camera_server, store):
    camera_server.publish(bikes(), "cam")
    source = remote_source(camera_server.url("cam", "admin:hunter2@"), "rtsp")
    recorder = Recorder(source, store, "x", segment_seconds=lambda: 0.5, give_up_after=1.0)
    failed: list[Exception] = []

    def record() -> None:
        try:
            recorder.run()
        except Unanswered as error:
            failed.append(error)

    thread = threading.Thread(target=record)
    thread.start()
    until(lambda: recorder.recording.segments, 20, "a first segment")
    camera_server.kill()
    thread.join(30)
    assert "segments are safe" in str(failed[0])
    assert "hunter2" not in str(failed[0])
    assert len(whole(store)) == len(recorder.recording.segments) > 0


def test_nobody_there_from_the_beginning(store):
    source = remote_source("rtsp://127.0.0.1:1/cam", "rtsp")
    with pytest.raises(Unanswered, match="Connection refused for"):
        Recorder(source, store, "x", segment_seconds=lambda: 1, give_up_after=0.3).run()
    assert store.list() == []


def test_a_truncated_file_is_refused_at_once(store, tmp_path):
    cut = tmp_path / "cut.mp4"
    cut.write_bytes(bunny().read_bytes()[:200_000])
    with pytest.raises(BadMedia, match="truncated"):
        Recorder(local_source(cut), store, "x", segment_seconds=lambda: 1).run()


def test_an_interrupted_recording_keeps_what_it_has(store):
    class Interrupt(BaseException):
        pass

    def length() -> float:
        if recorder.recording.segments:
            raise Interrupt
        return 1.0

    recorder = Recorder(local_source(bikes()), store, "x", segment_seconds=length)
    with pytest.raises(Interrupt):
        recorder.run()
    assert [round(s.seconds, 2) for s in recorder.recording.segments] == [1.2, 1.84]
    assert len(whole(store)) == 2
    assert leftovers(store) == []


def test_full_disk(small_disk):
    store = MediaStore(root=str(small_disk))
    recorder = Recorder(local_source(bikes()), store, "x", segment_seconds=lambda: 1.0)
    with pytest.raises(DiskFull, match=f"No space left where media are written: {small_disk}") as error:
        recorder.run()
    assert error.value.remedy
    published = whole(store)
    assert len(published) == len(recorder.recording.segments) >= 1
    assert leftovers(store) == []


def test_own_speed(store):
    began = time.monotonic()
    Recorder(local_source(bikes()), store, "x", segment_seconds=lambda: 60, seconds=1.0, own_speed=True).run()
    assert time.monotonic() - began >= 0.9


OPEN = {"libx264": ("-x264-params", OPEN_GOP), "libx265": ("-x265-params", "keyint=10:log-level=none")}


def open_groups(folder: Path, codec: str) -> Path:
    """4 s in groups of pictures of which the first ones shown need the group before."""
    video = folder / "open.mkv"
    ffmpeg(*pictures(4), "-c:v", codec, "-preset", "veryfast", *OPEN[codec], "-pix_fmt", "yuv420p", video)
    return video


@pytest.mark.parametrize("codec", OPEN)
def test_a_segment_does_not_begin_where_pictures_need_the_one_before(store, tmp_path, codec):
    source = local_source(open_groups(tmp_path, codec))
    made = Recorder(source, store, "x", segment_seconds=lambda: 1.0).run()
    assert sum(len(decoded(path)) for path in whole(store)) == made.pictures == 100
    assert made.warnings == []


def test_open_groups_cannot_hold_up_a_segment_for_ever(store, tmp_path):
    source = local_source(open_groups(tmp_path, "libx265"))
    made = Recorder(source, store, "x", segment_seconds=lambda: 0.04).run()
    assert len(made.segments) > 1
    assert any("its groups of pictures are open" in each for each in made.warnings)
