"""What a written segment holds, read back packet by packet, without decoding."""

from __future__ import annotations

from pathlib import Path

from skald_bridge.media.comparison import Content, Kind
from skald_bridge.media.inputs import local_source
from skald_bridge.media.probe import opened


def held(path: Path) -> Content:
    """The content of the segment at ``path``, with its sizes as they are coded.

    Raises:
        BadMedia: it cannot be read.
    """
    first: dict[str, float] = {}
    pictures, end = 0, 0.0
    with opened(local_source(path)) as container:
        video = container.streams.video[0]
        size = (video.codec_context.width, video.codec_context.height)
        length = 1 / float(video.average_rate or video.guessed_rate or 25)
        for packet in container.demux():
            if not packet.size or packet.pts is None:
                continue
            kind = packet.stream.type
            at = float(packet.pts * packet.time_base)
            first[kind] = min(at, first.get(kind, at))
            if kind == "video":
                pictures += 1
                end = max(end, at + (float((packet.duration or 0) * packet.time_base) or length))
    kinds: tuple[Kind, ...] = ("video", "audio") if "audio" in first else ("video",)
    begin = first.get("video", 0.0)
    starts = tuple(first[kind] - begin for kind in kinds if kind in first)
    return Content(pictures, end - begin, kinds, starts, size)
