"""Splitting a video into parts that are worked on alone, and putting results together again."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import ffmpeg

from skald_bridge.media.ffmpeg import arguments, run, source_input
from skald_bridge.media.inputs import Source, local_source
from skald_bridge.media.probe import Probe, opened

_EARLY = 0.002  # a cut is asked for a moment before its key frame, whose time may have been rounded


@dataclass(frozen=True)
class CutPlan:
    """``starts`` of all parts after the first, in seconds. ``copied``: they are key frames."""

    starts: tuple[float, ...]
    copied: bool


def plan_cuts(key_frames: Sequence[float], seconds: float, part_seconds: float) -> CutPlan:
    """Parts of about ``part_seconds``: at key frames where these lie well, else anywhere."""
    count = max(1, round(seconds / part_seconds))
    wanted = [seconds * index / count for index in range(1, count)]
    near = [_nearest(key_frames, at) for at in wanted]
    close = all(abs(key - at) <= 0.4 * seconds / count for key, at in zip(near, wanted, strict=True))
    if close and len(set(near)) == len(near) and all(0 < key < seconds for key in near):
        return CutPlan(tuple(near), copied=True)
    return CutPlan(tuple(round(at, 3) for at in wanted), copied=False)


def _nearest(times: Sequence[float], at: float) -> float:
    return min(times, key=lambda time: abs(time - at), default=0.0)


def key_frames(source: Source) -> list[float]:
    """Times of all key frames, in seconds from the beginning; reads the file without decoding it."""
    with opened(source) as container:
        video = container.streams.video[0]
        start = (video.start_time or 0) * float(video.time_base or 0)
        return [
            round(float(packet.pts * packet.time_base) - start, 4)
            for packet in container.demux(video)
            if packet.is_keyframe and packet.pts is not None
        ]


def split(
    source: Source,
    plan: CutPlan,
    folder: Path,
    *,
    on_progress: Callable[[float], None] | None = None,
) -> list[Path]:
    """The parts of a local ``source`` as mkv files in ``folder``, in order; picture and first sound track.

    Raises:
        DiskFull, FfmpegEnded, FfmpegFailed: as they say.
    """
    read = source_input(source)
    if plan.copied:
        codec = {"codec": "copy"}
    else:
        times = ",".join(map(str, plan.starts))
        codec = {"vcodec": "libx264", "preset": "ultrafast", "crf": "12", "acodec": "copy"}
        codec |= {"force_key_frames": times} if plan.starts else {}
    cuts = {"segment_times": ",".join(f"{at - _EARLY:.4f}" for at in plan.starts)} if plan.starts else {}
    if not plan.starts:
        cuts = {"segment_time": "360000"}
    output = ffmpeg.output(
        read["v:0"],
        read["a:0?"],
        f"file:{folder}/part-%05d.mkv",
        f="segment",
        segment_format="matroska",
        reset_timestamps=1,
        **cuts,
        **codec,
    )
    run(arguments(output), on_progress=on_progress, writes_to=str(folder))
    return sorted(folder.glob("part-*.mkv"))


def merge(
    parts: Sequence[Path],
    sound_of: Source | None,
    probe: Probe,
    target: Path,
    *,
    on_progress: Callable[[float], None] | None = None,
) -> Path:
    """One mp4 of ``parts`` (same encoder and size) by stream copy, and of ``sound_of``'s sound, encoded once.

    Raises:
        DiskFull, FfmpegEnded, FfmpegFailed: as they say.
    """
    listing = target.with_suffix(".parts.txt")
    links = []
    for index, part in enumerate(parts):
        link = target.parent / f"merge-{index:05d}.mp4"
        link.symlink_to(part)
        links.append(link)
    listing.write_text("ffconcat version 1.0\n" + "".join(f"file {link.name}\n" for link in links))
    options = dict(local_source(listing).options)
    options["format_whitelist"] = f"concat,{options['format_whitelist']}"
    streams = [ffmpeg.input(f"file:{listing}", f="concat", safe=1, **options)["v:0"]]
    sound = {}
    if sound_of is not None and probe.audio_codec:
        streams.append(source_input(sound_of)["a:0"])
        sound = {"acodec": "aac", "ac": 2, "audio_bitrate": "128k"}
    output = ffmpeg.output(*streams, f"file:{target}", f="mp4", vcodec="copy", movflags="+faststart", **sound)
    try:
        run(arguments(output), on_progress=on_progress, writes_to=str(target.parent))
    finally:
        for path in (*links, listing):
            path.unlink(missing_ok=True)
    return target
