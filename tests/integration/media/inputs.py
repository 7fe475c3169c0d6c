"""Inputs as they are in the wild, made by ffmpeg when a test runs, and what a decoder independent of us sees."""

from __future__ import annotations

import subprocess
from fractions import Fraction
from pathlib import Path

from skald_bridge.media.ffmpeg import executable

FAST = ("-c:v", "libx264", "-preset", "ultrafast", "-pix_fmt", "yuv420p")
OPEN_GOP = "keyint=25:min-keyint=25:bframes=3:open-gop=1:scenecut=0"


def ffmpeg(*words: str | Path, folder: Path | None = None) -> str:
    command = [executable(), "-hide_banner", "-nostdin", "-loglevel", "error", "-y", *map(str, words)]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    return done.stdout


def pictures(seconds: float, *, size: str = "320x240", rate: str = "25", more: str = "") -> tuple[str, ...]:
    return ("-f", "lavfi", "-i", f"testsrc2=s={size}:r={rate}:d={seconds}{more}")


def tone(seconds: float, *, rate: int = 44100) -> tuple[str, ...]:
    return ("-f", "lavfi", "-i", f"sine=f=440:d={seconds}:r={rate}")


def decoded(path: Path, track: str = "v:0") -> list[float]:
    """The times of all decoded pictures (or sound frames) in seconds, as ffmpeg's own program sees them."""
    text = ffmpeg(
        "-i", path, "-map", f"0:{track}", "-fps_mode", "passthrough", "-enc_time_base", "demux",
        "-f", "framecrc", "-",
    ) if track.startswith("v") else ffmpeg("-i", path, "-map", f"0:{track}", "-f", "framecrc", "-")  # fmt: skip
    base = Fraction(1)
    times = []
    for line in text.splitlines():
        if line.startswith("#tb"):
            base = Fraction(line.split(":")[1].strip())
        elif not line.startswith("#"):
            times.append(float(int(line.split(",")[2]) * base))
    return times


def gray(path: Path, at: float, size: int = 8) -> list[int]:
    """The picture at a time as a player turns and stretches it, ``size`` x ``size`` gray values."""
    raw = subprocess.run(
        f"{executable()} -loglevel error -nostdin -i {path} -ss {at} -frames:v 1".split()
        + f"-vf scale={size}:{size}:flags=area,format=gray -f rawvideo -".split(),
        capture_output=True,
        check=True,
        timeout=60,
    ).stdout  # fmt: skip
    assert len(raw) == size * size
    return list(raw)
