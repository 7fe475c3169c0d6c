"""Inputs of the corpus as files, and what a decoder independent of us sees in a file."""

from __future__ import annotations

import random
import subprocess
from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

from skald_bridge.media.ffmpeg import executable
from tests.integration.media.inputs import ffmpeg
from tests.media_corpus.recipes import Recipe

_PATIENCE = 60
_FORMATS = {"asf": "asf", "mpg": "mpeg", "y4m": "yuv4mpegpipe"}
_TURNS = {"turn-90": "90", "turn-180": "180", "turn-270": "270"}


def make(recipe: Recipe, folder: Path) -> Path:
    """The file of ``recipe``, the same each time."""
    path = folder / f"{recipe.name}.{recipe.suffix}"
    form = ["-f", _FORMATS[recipe.suffix]] if recipe.suffix in _FORMATS else []
    ffmpeg(*recipe.words, *form, path)
    turn = ["-display_rotation", _TURNS[recipe.name]] if recipe.name in _TURNS else []
    if recipe.name == "mirror":
        turn = ["-display_hflip"]
    if turn:
        turned = folder / f"turned.{recipe.suffix}"
        ffmpeg(*turn, "-i", path, "-c", "copy", turned)
        turned.replace(path)
    if recipe.damage in _DAMAGES:
        path.write_bytes(_DAMAGES[recipe.damage](bytearray(path.read_bytes())))
    return path


def _cut(data: bytearray) -> bytes:
    return bytes(data[: len(data) // 2])


def _zeros(data: bytearray) -> bytes:
    middle = len(data) // 2
    data[middle : middle + 2000] = bytes(2000)
    return bytes(data)


def _flips(data: bytearray) -> bytes:
    chance = random.Random(7)
    for _ in range(25):
        data[chance.randrange(len(data) // 3, len(data) * 2 // 3)] ^= 1 << chance.randrange(8)
    return bytes(data)


def _lost(data: bytearray) -> bytes:
    """Whole transport packets; for other containers bytes in the middle."""
    middle = len(data) // 2 // 188 * 188
    del data[middle : middle + 10 * 188]
    return bytes(data)


_DAMAGES: dict[str, Callable[[bytearray], bytes]] = {
    "cut": _cut,
    "zeros": _zeros,
    "flips": _flips,
    "lost": _lost,
    "garbage_before": lambda data: random.Random(3).randbytes(3001) + bytes(data),
    "garbage_after": lambda data: bytes(data) + random.Random(3).randbytes(3001),
    "empty": lambda data: b"",
    "text": lambda data: b"#EXTM3U\nfile:///etc/passwd\n" * 20,
}


@dataclass(frozen=True)
class Seen:
    """What ffmpeg decodes. ``seconds``: from the first picture to the last; ``size``: as a player shows it."""

    pictures: int
    seconds: float
    size: tuple[int, int]
    sounding: bool


def seen(path: Path) -> Seen:
    """Of the first picture track that is no cover; nothing at all where ffmpeg decodes nothing."""
    command = [executable(), "-hide_banner", "-nostdin", "-loglevel", "quiet", "-i", str(path)]
    command += ["-map", "0:V:0", "-map", "0:a:0?", "-fps_mode", "passthrough", "-enc_time_base:v", "demux"]
    text = subprocess.run(
        [*command, "-f", "framecrc", "-"], capture_output=True, text=True, timeout=_PATIENCE
    ).stdout
    base, aspect, size = Fraction(1), Fraction(1), (0, 0)
    times: list[float] = []
    sounding = False
    for line in text.splitlines():
        key, _, value = line.partition(": ")
        if key == "#tb 0":
            base = Fraction(value)
        elif key == "#dimensions 0":
            width, _, height = value.partition("x")
            size = (int(width), int(height))
        elif key == "#sar 0" and not value.startswith("0/"):
            aspect = Fraction(value)
        elif not line.startswith("#"):
            stream, _, pts, *_ = (word.strip() for word in line.split(","))
            if stream == "0":
                times.append(float(int(pts) * base))
            sounding = sounding or stream == "1"
    shown = (round(size[0] * aspect), size[1]) if aspect >= 1 else (size[0], round(size[1] / aspect))
    return Seen(len(times), max(times) - min(times) if times else 0.0, shown, sounding)
