"""Real ffmpeg processes: progress, killed, interrupted, orphaned, without space."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import threading
from pathlib import Path

import ffmpeg
import psutil
import pytest

from skald_bridge.media.contents import read
from skald_bridge.media.errors import DiskFull, FfmpegEnded, FfmpegFailed
from skald_bridge.media.ffmpeg import arguments, run, source_input
from skald_bridge.media.inputs import local_source, remote_source
from skald_bridge.media.probe import probe
from skald_bridge.media.renditions import Style, encoder_here, ladder, nvenc_works, render
from tests.services.footage import bikes, reel
from tests.services.poll import until


def slow(target: Path) -> list[str]:
    """Ten seconds of encoding at the footage's own speed."""
    read = ffmpeg.input(f"file:{bikes()}", re=None, protocol_whitelist="file")
    return arguments(ffmpeg.output(read, f"file:{target}", preset="ultrafast", f="mp4"))


def ffmpeg_of(parent: int, target: Path) -> psutil.Process | None:
    for child in psutil.Process(parent).children(recursive=True):
        with contextlib.suppress(psutil.ZombieProcess, psutil.NoSuchProcess):
            if child.is_running() and f"file:{target}" in child.cmdline():
                return child
    return None


def test_progress_is_real(tmp_path):
    seen: list[float] = []
    source = local_source(reel())
    facts = probe(source)
    made = render(
        source,
        facts,
        read(source, facts),
        ladder([360, 180], facts),
        tmp_path,
        style=Style(look="sepia", label="1 < 2: it's \\ 100%"),
        encoder=encoder_here({}),
        on_progress=seen.append,
    )
    assert seen == sorted(seen)
    assert seen[-1] == pytest.approx(16.28, abs=0.5)
    assert [probe(local_source(each.path)).height for each in made] == [360, 180]
    assert all(probe(local_source(each.path)).audio_codec == "aac" for each in made)


def test_killed_from_outside(tmp_path):
    target = tmp_path / "out.mp4"
    killed = threading.Event()

    def kill(_: float) -> None:
        if not killed.is_set() and (found := ffmpeg_of(os.getpid(), target)):
            killed.set()
            found.kill()

    with pytest.raises(FfmpegEnded, match="SIGKILL") as error:
        run(slow(target), on_progress=kill)
    assert "memory" in str(error.value.remedy)


def test_told_to_stop_is_no_success(tmp_path):
    target, told = tmp_path / "out.mp4", []

    def stop(_: float) -> None:
        if not told and (found := ffmpeg_of(os.getpid(), target)):
            found.terminate()  # once: after the third ffmpeg leaves as if it had crashed
            told.append(found.pid)

    with pytest.raises(FfmpegEnded, match="before it had finished"):
        run(slow(target), on_progress=stop)


def test_an_interrupted_caller_leaves_none_behind(tmp_path):
    target = tmp_path / "out.mp4"

    class Interrupt(BaseException):
        pass

    def interrupt(_: float) -> None:
        raise Interrupt

    with pytest.raises(Interrupt):
        run(slow(target), on_progress=interrupt)
    assert ffmpeg_of(os.getpid(), target) is None


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGTERM])
def test_none_outlives_its_parent(tmp_path, how):
    target = tmp_path / "out.mp4"
    code = "import json, sys; from skald_bridge.media.ffmpeg import run; run(json.loads(sys.argv[1]))"
    import json

    parent = subprocess.Popen([sys.executable, "-c", code, json.dumps(slow(target))])
    try:
        child = until(lambda: ffmpeg_of(parent.pid, target), 30, "ffmpeg runs")
        parent.send_signal(how)
        parent.wait(10)
        until(lambda: not child.is_running() or child.status() == psutil.STATUS_ZOMBIE, 5, "ffmpeg gone")
    finally:
        parent.kill()
        parent.wait()


def test_nothing_moves(tmp_path):
    target = tmp_path / "out.mp4"

    def freeze(_: float) -> None:
        if found := ffmpeg_of(os.getpid(), target):
            found.suspend()

    with pytest.raises(FfmpegEnded, match="wrote nothing for 1 s"):
        run(slow(target), on_progress=freeze, stall_seconds=1)


def test_full_disk(small_disk):
    source = local_source(reel())
    facts = probe(source)
    with pytest.raises(DiskFull, match="No space left") as error:
        render(
            source,
            facts,
            read(source, facts),
            ladder([360], facts),
            small_disk,
            style=Style(quality=12),
            encoder=encoder_here({}),
        )
    assert error.value.remedy


def test_what_ffmpeg_said_is_told_without_credentials(tmp_path):
    missing = ffmpeg.input("file:/nowhere/rtsp://u:hunter2@cam/x.mp4")
    with pytest.raises(FfmpegFailed, match="No such file") as error:
        run(arguments(ffmpeg.output(missing, f"file:{tmp_path}/x.mp4")))
    assert "hunter2" not in str(error.value)
    with pytest.raises(ValueError, match="fetch"):
        source_input(remote_source("rtsp://u:hunter2@cam/1", "rtsp"))


def test_no_gpu_here_no_nvenc():
    if Path("/dev/nvidia0").exists():
        pytest.skip("this machine has a GPU")
    assert not nvenc_works()
