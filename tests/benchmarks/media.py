"""What the media tasks cost over plain ffmpeg doing the same work, in one run; and cameras recorded side by side.

Recording by copy and one rendition: our time over ffmpeg's; analysis: our pictures a second over those that
``ffmpeg -f null`` decodes; by the clock, and of CPU, which a busy machine changes less. Medians of alternating
rounds. With ``--cameras N``, N processes record one RTSP server each by copy: CPU as a share of one core, and
pictures missing between the first and the last. The last line is one JSON object: ``record_ratio``,
``transcode_ratio``, ``analyze_ratio``, the same as ``record_cpu_ratio`` and so on, ``cameras``, ``lost_pictures``,
``clock_steps``, ``cpu_per_camera``, ``mib_per_camera``.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import os
import resource
import shutil
import statistics
import subprocess
import tempfile
import time
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import NamedTuple

import av
import psutil
from rich.console import Console
from rich.table import Table

from skald_blocks import MediaStore
from skald_bridge.media.ffmpeg import executable
from skald_bridge.media.findings import Thresholds
from skald_bridge.media.inputs import local_source, remote_source
from skald_bridge.media.jobs import publish_analysis, publish_renditions
from skald_bridge.media.probe import probe
from skald_bridge.media.recorder import Recorder
from skald_bridge.media.renditions import Style
from tests.services.footage import bikes
from tests.services.rtsp import rtsp_server

HEIGHT, SEGMENT = 360, 60.0
_FRAME = 0.04
_NEAR = 0.15
"""Of a picture."""


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks.media", description=__doc__)
    parser.add_argument("--rounds", type=int, default=3, metavar="N", help="of each kind of work")
    parser.add_argument("--minutes", type=int, default=10, metavar="N", help="of the recorded file")
    parser.add_argument("--cameras", type=int, default=0, metavar="N", help="recorded at once; 0: none")
    parser.add_argument("--seconds", type=int, default=30, metavar="N", help="for which cameras are recorded")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="skald-bench-") as name:
        folder = Path(name)
        short, long = made(folder, options.minutes)
        works = {
            "record": (lambda out: record(long, out), lambda out: plain_record(long, out)),
            "transcode": (lambda out: transcode(short, out), lambda out: plain_transcode(short, out)),
            "analyze": (lambda out: analyze(short, out), lambda out: plain_decode(short)),
        }
        taken = {kind: compared(folder, *both, rounds=options.rounds) for kind, both in works.items()}
        cameras = recorded_cameras(folder, options.cameras, options.seconds) if options.cameras else None
    table = Table("", "ours", "ffmpeg", "ratio", "ratio of CPU", title=f"Medians of {options.rounds} rounds")
    figures: dict[str, object] = {}
    for kind, (ours, plain) in taken.items():
        ratios = [b / a if kind == "analyze" else a / b for a, b in zip(ours, plain, strict=True)]
        times = [f"{spent.seconds:.2f} s" for spent in (ours, plain)]
        table.add_row(kind, *times, *(f"{ratio:.2f}" for ratio in ratios))
        figures |= {f"{kind}_ratio": round(ratios[0], 3), f"{kind}_cpu_ratio": round(ratios[1], 3)}
    console = Console()
    console.print(table)
    figures |= cameras or {
        "cameras": 0,
        "lost_pictures": None,
        "cpu_per_camera": None,
        "mib_per_camera": None,
    }
    if cameras is not None:
        told = Table(*cameras, title=f"Cameras recorded for {options.seconds} s")
        told.add_row(*(str(value) for value in cameras.values()))
        console.print(told)
    print(json.dumps(figures))


class Spent(NamedTuple):
    """Seconds by the clock, and of processors, this process' and its children's."""

    seconds: float
    cpu: float


def compared(
    folder: Path, ours: Callable[[Path], object], plain: Callable[[Path], object], *, rounds: int
) -> tuple[Spent, Spent]:
    """Medians of each, in turns; one round before them is not counted."""
    spent: tuple[list[Spent], list[Spent]] = ([], [])
    for _ in range(rounds + 1):
        for kept, work in zip(spent, (ours, plain), strict=True):
            out = folder / "out"
            out.mkdir()
            began, used = time.monotonic(), _cpu() + time.process_time()
            work(out)
            kept.append(Spent(time.monotonic() - began, _cpu() + time.process_time() - used))
            shutil.rmtree(out)
    first, second = (
        Spent(*(statistics.median(values) for values in zip(*each[1:], strict=True))) for each in spent
    )
    return first, second


def made(folder: Path, minutes: int) -> tuple[Path, Path]:
    """20 s of noise and shapes, 1280x720 at 25 pictures a second and 4 Mbit/s with sound; and ``minutes`` of it."""
    short, long = folder / "short.mp4", folder / "long.mp4"
    lavfi = ["-f", "lavfi", "-i"]
    _ffmpeg(
        *lavfi, "testsrc2=s=1280x720:r=25:d=20", *lavfi, "sine=d=20", "-vf", "noise=alls=10:allf=t",
        "-c:v", "libx264", "-preset", "ultrafast", "-b:v", "4M", "-g", "50", "-c:a", "aac", short,
    )  # fmt: skip
    _ffmpeg("-stream_loop", 3 * minutes - 1, "-i", short, "-c", "copy", long)
    return short, long


def record(video: Path, out: Path) -> None:
    store = MediaStore(root=str(out))
    Recorder(local_source(video), store, "x", segment_seconds=lambda: SEGMENT).run()


def plain_record(video: Path, out: Path) -> None:
    _ffmpeg(
        "-i", video, "-map", 0, "-c", "copy", "-f", "segment", "-segment_time", SEGMENT, "-reset_timestamps", 1,
        "-segment_format_options", "movflags=+faststart", out / "%05d.mp4",
    )  # fmt: skip


def transcode(video: Path, out: Path) -> None:
    local, store = local_source(video), MediaStore(root=str(out))
    with store.scratch() as scratch:
        publish_renditions(local, probe(local), [HEIGHT], Style(), store, "x", scratch)


def plain_transcode(video: Path, out: Path) -> None:
    _ffmpeg(
        "-i", video, "-vf", f"scale=-2:{HEIGHT}", "-c:v", "libx264", "-preset", "veryfast", "-crf", 22,
        "-g", 50, "-sc_threshold", 0, "-maxrate", "777k", "-bufsize", "1554k", "-pix_fmt", "yuv420p",
        "-c:a", "aac", "-ac", 2, "-b:a", "128k", "-movflags", "+faststart", out / "x.mp4",
    )  # fmt: skip


def analyze(video: Path, out: Path) -> None:
    local, store = local_source(video), MediaStore(root=str(out))
    with store.scratch() as scratch:
        publish_analysis(local, probe(local), Thresholds(), store, "x", scratch)


def plain_decode(video: Path) -> None:
    _ffmpeg("-i", video, "-f", "null", "-")


def recorded_cameras(folder: Path, count: int, seconds: int) -> dict[str, object]:
    """``count`` recordings of one camera at once, each in a process of its own."""
    fork = multiprocessing.get_context("fork")
    with rtsp_server() as server:
        server.publish(bikes(), "cam")
        roots = [folder / f"camera-{number}" for number in range(count)]
        before = _cpu()
        tasks = [fork.Process(target=_one, args=(server.url("cam"), root, seconds)) for root in roots]
        for task in tasks:
            task.start()
        time.sleep(seconds / 2)
        memory = [psutil.Process(task.pid).memory_full_info().pss for task in tasks if task.is_alive()]
        for task in tasks:
            task.join(seconds + 120)
        spent = _cpu() - before
    assert all(task.exitcode == 0 for task in tasks), [task.exitcode for task in tasks]
    lost = [missing(root) for root in roots]
    return {
        "cameras": count,
        "lost_pictures": sum(each for each, _ in lost),
        "clock_steps": sum(each for _, each in lost),
        "cpu_per_camera": round(spent / seconds / count, 4),
        "mib_per_camera": round(statistics.mean(memory) / 2**20, 1) if memory else None,
    }


def _one(url: str, root: Path, seconds: int) -> None:
    store = MediaStore(root=str(root))
    Recorder(remote_source(url, "rtsp"), store, "x", segment_seconds=lambda: 10.0, seconds=seconds).run()
    os._exit(0)


def missing(root: Path) -> tuple[int, int]:
    """Pictures that are not there within the segments, and steps that are no whole number of pictures.

    Such a step is the camera's clock becoming known after the first picture, not a loss.
    """
    lost = shifted = 0
    segments = sorted(root.rglob("*.mp4"))
    assert segments, f"nothing was recorded in {root}"
    for path in segments:
        with av.open(str(path)) as container:
            base = float(container.streams.video[0].time_base)
            times = sorted(each.pts * base for each in container.demux(video=0) if each.pts is not None)
        for before, after in pairwise(times):
            steps = (after - before) / _FRAME
            whole = abs(steps - round(steps)) < _NEAR
            lost += max(0, round(steps) - 1) if whole else 0
            shifted += not whole
    return lost, shifted


def _cpu() -> float:
    """Seconds of children that have ended."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def _ffmpeg(*words: object) -> None:
    command = [executable(), "-hide_banner", "-nostdin", "-loglevel", "error", "-y", *map(str, words)]
    subprocess.run(command, check=True)


if __name__ == "__main__":
    main()
