"""Inputs made by ffmpeg when a test runs: ``T`` is a picture, ``S`` a sound, ``X`` an encoder."""

from __future__ import annotations

import subprocess
from dataclasses import dataclass
from pathlib import Path

import av

from skald_bridge.media.ffmpeg import executable

T = "-f lavfi -i testsrc2=s=320x240:r=25:d=4"
S = "-f lavfi -i sine=f=440:d=4"
X = "-c:v libx264 -preset ultrafast -pix_fmt yuv420p -g 25"
REORDERED = "-c:v libx264 -preset veryfast -bf 2 -g 25 -pix_fmt yuv420p"


def encode(target: Path, arguments: str) -> Path:
    """``target``, made by ffmpeg of ``arguments``, which hold no quotes."""
    command = [executable(), "-nostdin", "-y", "-loglevel", "error", *arguments.split(), str(target)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    return target


def _frames(packet):
    try:
        return packet.decode()
    except av.error.InvalidDataError:
        return []


@dataclass(frozen=True)
class Decoded:
    """What an independent decoder makes of a file: times of pictures and sound in seconds, size in pixels."""

    pictures: list[float]
    width: int
    height: int
    tag: str
    sound: str | None
    sound_begins: float
    sound_seconds: float


def decoded(path: Path | str) -> Decoded:
    with av.open(str(path)) as container:
        video = container.streams.video[0]
        audio = container.streams.audio[0] if container.streams.audio else None
        pictures: list[float] = []
        begins: list[float] = []
        samples = 0
        for packet in container.demux(*([video, audio] if audio else [video])):
            for frame in _frames(packet):
                if isinstance(frame, av.VideoFrame):
                    pictures.append(round(frame.time, 3))
                else:
                    begins.append(frame.time)
                    samples += frame.samples
        return Decoded(
            pictures,
            video.codec_context.width,
            video.codec_context.height,
            video.codec_context.codec_tag,
            audio.codec_context.name if audio else None,
            begins[0] if begins else 0.0,
            samples / audio.codec_context.sample_rate if audio else 0.0,
        )
