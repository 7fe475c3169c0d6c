"""Splitting a video into parts that are worked on alone, and putting results together again."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import ffmpeg

from skald_bridge.media.contents import Reading
from skald_bridge.media.ffmpeg import arguments, run, source_input
from skald_bridge.media.inputs import Source, local_source
from skald_bridge.media.probe import Probe

_EARLY = 0.002  # a cut is asked for a moment before its key frame, whose time may have been rounded


@dataclass(frozen=True)
class CutPlan:
    """``starts`` of all parts after the first, in seconds from the first picture.

    ``copied``: decoding can begin at all of them.
    """

    starts: tuple[float, ...]
    copied: bool


def plan_cuts(key_frames: Sequence[float], seconds: float, part_seconds: float) -> CutPlan:
    """Parts of about ``part_seconds``: where decoding can begin if that lies well, else anywhere."""
    count = max(1, round(seconds / part_seconds))
    wanted = [seconds * index / count for index in range(1, count)]
    near = [_nearest(key_frames, at) for at in wanted]
    close = all(abs(key - at) <= 0.4 * seconds / count for key, at in zip(near, wanted, strict=True))
    if close and len(set(near)) == len(near) and all(0 < key < seconds for key in near):
        return CutPlan(tuple(near), copied=True)
    return CutPlan(tuple(round(at, 3) for at in wanted), copied=False)


def _nearest(times: Sequence[float], at: float) -> float:
    return min(times, key=lambda time: abs(time - at), default=0.0)


def split(
    source: Source,
    facts: Probe,
    reading: Reading,
    plan: CutPlan,
    folder: Path,
    *,
    on_progress: Callable[[float], None] | None = None,
) -> list[Path]:
    """The parts of a local ``source`` as mkv files in ``folder``, in order; its picture and its sound.

    Raises:
        DiskFull, FfmpegEnded, FfmpegFailed: as they say.
    """
    read = source_input(source, **reading.shift)
    picture = read[str(facts.picture)]
    starts = [at + reading.leads for at in plan.starts]
    if plan.copied:
        codec = {"codec": "copy"}
    else:
        codec = {"vcodec": "libx264", "preset": "ultrafast", "crf": "12", "acodec": "flac"}
        codec |= {"fps_mode": "vfr", "enc_time_base": "1/90000"}
        codec |= {"force_key_frames": ",".join(f"{at:.4f}" for at in starts)} if starts else {}
        if facts.interlaced:
            picture = picture.filter("bwdif", mode="send_frame", deint="interlaced")
    cuts = {"segment_times": ",".join(f"{at - _EARLY:.4f}" for at in starts)} if starts else {}
    output = ffmpeg.output(
        picture,
        *([read[str(facts.sound)]] if facts.sound is not None else []),
        f"file:{folder}/part-%05d.mkv",
        f="segment",
        segment_format="matroska",
        reset_timestamps=1,
        **(cuts or {"segment_time": "360000"}),
        **codec,
    )
    run(arguments(output), on_progress=on_progress, writes_to=str(folder))
    return sorted(folder.glob("part-*.mkv"))


def merge(
    parts: Sequence[Path],
    starts: Sequence[float],
    sound_of: Source,
    facts: Probe,
    reading: Reading,
    target: Path,
    *,
    on_progress: Callable[[float], None] | None = None,
) -> Path:
    """One mp4 of ``parts`` (same encoder and size) by stream copy, and of ``sound_of``'s sound, encoded once.

    ``starts``: seconds of each part; ``facts`` and ``reading`` of ``sound_of``.

    Raises:
        DiskFull, FfmpegEnded, FfmpegFailed: as they say.
    """
    listing = target.with_suffix(".parts.txt")
    links = []
    lines = ["ffconcat version 1.0"]
    for index, part in enumerate(parts):
        link = target.parent / f"merge-{index:05d}.mp4"
        link.symlink_to(part)
        links.append(link)
        lines.append(f"file {link.name}")
        if index + 1 < len(starts):
            lines.append(f"duration {starts[index + 1] - starts[index]:.6f}")
    listing.write_text("\n".join(lines) + "\n")
    options = dict(local_source(listing).options)
    options["format_whitelist"] = f"concat,{options['format_whitelist']}"
    sounding = facts.sound is not None
    if sounding and reading.leads:
        options["itsoffset"] = f"{reading.leads:.6f}"
    streams = [ffmpeg.input(f"file:{listing}", f="concat", safe=1, **options)["v:0"]]
    sound = {}
    if sounding:
        streams.append(source_input(sound_of, **reading.shift)[str(facts.sound)])
        sound = {"acodec": "aac", "ac": 2, "audio_bitrate": "128k"}
    output = ffmpeg.output(*streams, f"file:{target}", f="mp4", vcodec="copy", movflags="+faststart", **sound)
    try:
        run(arguments(output), on_progress=on_progress, writes_to=str(target.parent))
    finally:
        for path in (*links, listing):
            path.unlink(missing_ok=True)
    return target
