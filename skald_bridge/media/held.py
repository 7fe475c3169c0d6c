"""What a written segment holds, read back without decoding: from its index, else packet by packet."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import av
import av.container

from skald_bridge.media.comparison import Content, Kind
from skald_bridge.media.inputs import local_source
from skald_bridge.media.probe import opened


def held(path: Path) -> Content:
    """The content of the segment at ``path``, with its sizes as they are coded.

    Raises:
        BadMedia: it cannot be read.
    """
    with opened(local_source(path)) as container:
        video: Any = container.streams.video[0]
        size = (video.codec_context.width, video.codec_context.height)
        if video.frames:
            return _by_index(container, video, size)
        return _by_packets(container, video, size)


def _by_index(container: av.container.InputContainer, video: Any, size: tuple[int, int]) -> Content:
    begin = float((video.start_time or 0) * video.time_base)
    seconds = float((video.duration or 0) * video.time_base)
    sounds: list[Any] = [sound for sound in container.streams.audio if sound.frames]
    if not sounds:
        return Content(video.frames, seconds, ("video",), (0.0,), size)
    heard = float((sounds[0].start_time or 0) * sounds[0].time_base)
    return Content(video.frames, seconds, ("video", "audio"), (0.0, heard - begin), size)


def _by_packets(container: av.container.InputContainer, video: Any, size: tuple[int, int]) -> Content:
    bases = {stream.index: float(stream.time_base) for stream in container.streams if stream.time_base}
    length = 1 / float(video.average_rate or video.guessed_rate or 25)
    first: dict[int, float] = {}
    pictures, end = 0, 0.0
    for packet in container.demux():
        pts = packet.pts
        if pts is None or not packet.size:
            continue
        index = packet.stream_index
        at = pts * bases[index]
        first[index] = min(at, first.get(index, at))
        if index == video.index:
            pictures += 1
            end = max(end, at + ((packet.duration or 0) * bases[index] or length))
    begin = first.get(video.index, 0.0)
    heard = [at for index, at in first.items() if index != video.index]
    kinds: tuple[Kind, ...] = ("video", "audio") if heard else ("video",)
    return Content(pictures, end - begin, kinds, (0.0, *(at - begin for at in heard)), size)
