"""Renditions: which sizes, by which encoder, and the command that makes them all in one decoding."""

from __future__ import annotations

import math
import subprocess
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Literal

import ffmpeg

from skald_bridge.media.contents import Reading
from skald_bridge.media.displayed import PEAK, PQ
from skald_bridge.media.ffmpeg import arguments, encoders, executable, filters, run, source_input
from skald_bridge.media.inputs import Source, local_source
from skald_bridge.media.looks import Look, dressed, label_picture
from skald_bridge.media.probe import Probe

NVENC = "h264_nvenc"
X264 = "libx264"
KEY_FRAME_SECONDS = 2
Preset = Literal["ultrafast", "veryfast", "fast", "medium", "slow"]
_NVENC_PRESETS: Mapping[str, str] = {
    "ultrafast": "p1",
    "veryfast": "p2",
    "fast": "p4",
    "medium": "p5",
    "slow": "p7",
}


@dataclass(frozen=True)
class Rung:
    """One rendition. ``max_kbps`` bounds the bit rate of the picture."""

    name: str
    height: int
    max_kbps: int


@dataclass(frozen=True)
class Encoder:
    """The encoder taken, and why."""

    name: str
    reason: str


@dataclass(frozen=True)
class Style:
    """How renditions are to look: quality as x264's CRF (lower is better)."""

    look: Look = "none"
    label: str = ""
    quality: int = 22
    preset: Preset = "veryfast"
    sound: bool = True


@dataclass(frozen=True)
class Rendered:
    """A finished rendition in a scratch folder; ``size``: width and height it was to get."""

    rung: Rung
    path: Path
    size: tuple[int, int]


def ladder(heights: Sequence[int], probe: Probe) -> list[Rung]:
    """Rungs from tall to small; none taller than the source, its own height where nothing else is left."""
    own = probe.height - probe.height % 2
    fitting = sorted({height - height % 2 for height in heights if height <= probe.height}, reverse=True)
    return [Rung(f"{height}p", height, _kbps(height, probe.fps)) for height in fitting or [own]]


def _kbps(height: int, fps: float) -> int:
    """A bound that grows with the picture's area: about 4.5 Mbit/s for 1080 lines at 30 pictures a second."""
    return max(200, round(4500 * math.pow(height / 1080, 1.6) * max(1.0, fps / 30)))


def choose_encoder(available: frozenset[str], gpus: str, nvenc_works: Callable[[], bool]) -> Encoder:
    """NVENC when the lease holds a GPU that encodes (``gpus``: CUDA_VISIBLE_DEVICES), x264 otherwise."""
    if not gpus.strip() or gpus.strip() == "-1":
        return Encoder(X264, "the lease holds no GPU")
    if NVENC not in available:
        return Encoder(X264, "this ffmpeg was built without NVENC")
    if not nvenc_works():
        return Encoder(X264, "the GPU of the lease cannot encode")
    return Encoder(NVENC, "the lease holds a GPU that encodes")


def encoder_here(environment: Mapping[str, str]) -> Encoder:
    """``choose_encoder`` for this process."""
    return choose_encoder(encoders(), environment.get("CUDA_VISIBLE_DEVICES", ""), nvenc_works)


@cache
def nvenc_works() -> bool:
    """Whether one picture can be encoded; data-centre GPUs such as the H200 have no encoder at all."""
    trial = ffmpeg.output(
        ffmpeg.input("color=black:size=256x256:rate=25", f="lavfi"), "-", vframes=1, vcodec=NVENC, f="null"
    )
    command = [executable(), "-hide_banner", "-nostdin", "-loglevel", "error", *ffmpeg.get_args(trial)]
    try:
        return subprocess.run(command, capture_output=True, timeout=20, check=False).returncode == 0
    except subprocess.TimeoutExpired:
        return False


def render(
    source: Source,
    probe: Probe,
    reading: Reading,
    rungs: Sequence[Rung],
    folder: Path,
    *,
    style: Style,
    encoder: Encoder,
    on_progress: Callable[[float], None] | None = None,
) -> list[Rendered]:
    """Make all ``rungs`` of a local ``source`` in ``folder``; ``on_progress`` gets seconds done.

    Raises:
        DiskFull, FfmpegEnded, FfmpegFailed: as they say; nothing in ``folder`` is of use then.
    """
    made = [Rendered(rung, folder / f"{rung.name}.mp4", probe.shape.at_height(rung.height)) for rung in rungs]
    read = source_input(source, **reading.shift)
    picture = dressed(plain(read[str(probe.picture)], probe, can_tone_map=tone_maps()), style.look)
    if style.label:
        label = label_picture(style.label, probe.width, probe.height, folder / "label.png")
        shown = ffmpeg.input(local_source(label).url, protocol_whitelist="file")
        picture = picture.filter("scale", probe.width, probe.height).filter("setsar", 1)
        picture = ffmpeg.overlay(picture, shown, x=0, y=0)
    branches = [picture]
    if len(rungs) > 1:
        split = picture.filter_multi_output("split", len(rungs))
        branches = [split[index] for index in range(len(rungs))]
    outputs = []
    for branch, each in zip(branches, made, strict=True):
        scaled = branch.filter("scale", *each.size, out_range="tv").filter("setsar", 1)
        streams = [scaled.filter("format", "yuv420p")]
        if style.sound and probe.sound is not None:
            streams.append(read[str(probe.sound)])
        outputs.append(
            ffmpeg.output(*streams, f"file:{each.path}", **_options(each.rung, probe, style, encoder))
        )
    run(arguments(*outputs), on_progress=on_progress, writes_to=str(folder))
    return made


def tone_maps() -> bool:
    """Whether this ffmpeg can turn HDR into the colours of a usual screen."""
    return {"zscale", "tonemap"} <= filters()


def plain(picture: Any, probe: Probe, *, can_tone_map: bool) -> Any:
    """Whole pictures in the colours of a usual screen: deinterlaced and tone-mapped where needed."""
    if probe.interlaced:
        picture = picture.filter("bwdif", mode="send_frame", deint="interlaced")
    if probe.hdr and can_tone_map:
        linear = picture.filter(
            "zscale",
            tin="smpte2084" if probe.transfer == PQ else "arib-std-b67",
            min="bt2020nc",
            pin="bt2020",
            rin="full" if probe.full_range else "limited",
            t="linear",
            npl=100,
        )
        mapped = linear.filter("format", "gbrpf32le").filter("zscale", p="bt709")
        mapped = mapped.filter("tonemap", "hable", desat=0, peak=PEAK)
        picture = mapped.filter("zscale", t="bt709", m="bt709", r="limited").filter("format", "yuv420p")
    return picture


def _options(rung: Rung, probe: Probe, style: Style, encoder: Encoder) -> dict[str, Any]:
    common = {
        "f": "mp4",
        "movflags": "+faststart",
        "video_track_timescale": 90_000,
        # every picture at its own time: a time base of one usual picture would merge closer ones
        "fps_mode": "vfr",
        "enc_time_base": "1/90000",
        "vcodec": encoder.name,
        "g": max(1, round(probe.fps * KEY_FRAME_SECONDS)),
        "maxrate": f"{rung.max_kbps}k",
        "bufsize": f"{2 * rung.max_kbps}k",
    }
    if encoder.name == NVENC:
        common |= {"preset": _NVENC_PRESETS[style.preset], "rc": "vbr", "cq": style.quality, "b:v": 0}
    else:
        common |= {"preset": style.preset, "crf": style.quality, "sc_threshold": 0}
    if style.sound and probe.sound is not None:
        common |= {"acodec": "aac", "ac": 2, "audio_bitrate": "128k"}
    return common
