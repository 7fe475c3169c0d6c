"""Inputs that are no video, on real footage and real sockets: one clear error each, soon."""

from __future__ import annotations

import contextlib
import http.server
import socket
import threading
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest

from skald_bridge.domain.errors import InvalidInput
from skald_bridge.media import fetch
from skald_bridge.media.errors import BadMedia, Unanswered
from skald_bridge.media.inputs import local_source, remote_source
from skald_bridge.media.probe import probe
from tests.services.footage import bikes, bunny, reel


@contextlib.contextmanager
def web_server(folder: Path) -> Iterator[str]:
    class Quiet(http.server.SimpleHTTPRequestHandler):
        def log_message(self, *_: object) -> None:
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=folder)) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()
            thread.join()


def test_real_footage():
    street, animation = probe(local_source(bikes())), probe(local_source(bunny()))
    assert (street.width, street.height, street.video_codec, street.audio_codec) == (640, 272, "h264", None)
    assert street.seconds == pytest.approx(10, abs=0.1)
    assert (animation.audio_codec, animation.channels, animation.sample_rate) == ("aac", 6, 48_000)
    assert animation.line == "1280x720, 25 fps, h264, aac 6 ch, 0:05.3"


def test_a_text_file(tmp_path):
    path = tmp_path / "holiday.mp4"
    path.write_text("this is no video\n" * 500)
    with pytest.raises(BadMedia, match=r"holiday.mp4' is not a video") as error:
        probe(local_source(path))
    assert error.value.remedy


def test_a_script_of_other_inputs_is_no_video(tmp_path):
    (tmp_path / "secret.mp4").write_bytes(bikes().read_bytes())
    for text in (
        "ffconcat version 1.0\nfile secret.mp4\n",
        "#EXTM3U\n#EXT-X-TARGETDURATION:10\n#EXTINF:10,\nsecret.mp4\n#EXT-X-ENDLIST\n",
    ):
        path = tmp_path / "list.mp4"
        path.write_text(text)
        with pytest.raises(BadMedia):
            probe(local_source(path))


@pytest.mark.parametrize("missing", [1, 20_000, 400_000])
def test_a_truncated_mp4(tmp_path, missing):
    whole = reel().read_bytes()
    path = tmp_path / "cut.mp4"
    path.write_bytes(whole[:-missing])
    with pytest.raises(BadMedia, match=r"truncated video: its last [\d,]+ bytes are missing"):
        probe(local_source(path))


def test_a_recording_that_was_cut_off_has_no_index(tmp_path):
    path = tmp_path / "cut.mp4"
    path.write_bytes(bunny().read_bytes()[:300_000])
    with pytest.raises(BadMedia, match="truncated video"):
        probe(local_source(path))


def test_sound_alone(tmp_path):
    import av

    path = tmp_path / "sound.mp4"
    with av.open(str(bunny())) as source, av.open(str(path), "w") as target:
        copy = target.add_stream_from_template(source.streams.audio[0])
        for packet in source.demux(audio=0):
            if packet.dts is not None:
                packet.stream = copy
                target.mux(packet)
    with pytest.raises(BadMedia, match="no picture"):
        probe(local_source(path))


def test_nobody_answers():
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        port = silent.getsockname()[1]
        for scheme in ("rtsp", "http"):
            source = remote_source(f"{scheme}://admin:hunter2@127.0.0.1:{port}/live", scheme)
            with pytest.raises(Unanswered, match=rf"nobody answers at input '{scheme}://\*\*\*@") as error:
                probe(source, timeout=0.5)
            told = "".join(str(e) for e in (error.value, error.value.__cause__, error.value.remedy))
            assert "hunter2" not in told
    refused = remote_source(f"rtsp://127.0.0.1:{port}/live", "rtsp")
    with pytest.raises(Unanswered, match="Connection refused"):
        probe(refused)


def test_a_camera_without_this_stream(camera_server):
    with pytest.raises(Unanswered, match="404"):
        probe(remote_source(camera_server.url("missing", "u:hunter2@"), "rtsp"))


def test_video_over_http(tmp_path):
    with web_server(reel().parent) as url:
        source = remote_source(f"{url}/reel.mp4", "http")
        assert probe(source).width == 640
        local = fetch.to_file(source, tmp_path)
        assert probe(local).seconds == pytest.approx(16.3, abs=0.2)
        with pytest.raises((Unanswered, BadMedia), match=r"missing\.mp4"):
            probe(remote_source(f"{url}/missing.mp4", "http"))


def test_a_playlist_on_the_web_reads_no_local_file(tmp_path):
    (tmp_path / "web").mkdir()
    secret = tmp_path / "secret.ts"
    import av

    with av.open(str(bikes())) as source, av.open(str(secret), "w", format="mpegts") as target:
        copy = target.add_stream_from_template(source.streams.video[0])
        for packet in source.demux(video=0):
            if packet.dts is not None:
                packet.stream = copy
                target.mux(packet)
    lines = ["#EXTM3U", "#EXT-X-TARGETDURATION:10", "#EXTINF:10,", f"file://{secret}", "#EXT-X-ENDLIST"]
    (tmp_path / "web" / "list.m3u8").write_text("\n".join(lines))
    with web_server(tmp_path / "web") as url, pytest.raises((BadMedia, Unanswered)):
        fetch.to_file(remote_source(f"{url}/list.m3u8", "http"), tmp_path)
    assert not (tmp_path / "fetched.mkv").exists()


def test_a_live_input_needs_a_length(camera_server, tmp_path):
    camera_server.publish(bikes(), "cam")
    live = remote_source(camera_server.url("cam"), "rtsp")
    assert probe(live).seconds is None
    with pytest.raises(InvalidInput, match="is live"):
        fetch.to_file(live, tmp_path)
    local = fetch.to_file(live, tmp_path, seconds=1)
    assert probe(local).seconds == pytest.approx(1, abs=0.3)
