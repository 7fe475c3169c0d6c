"""Single pictures out of a video."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import av
from PIL import Image

from skald_bridge.media.inputs import Source
from skald_bridge.media.probe import opened


def grab(source: Source, times: Sequence[float], *, width: int) -> list[Image.Image]:
    """The picture shown at each of ``times`` (seconds, ascending), ``width`` pixels wide.

    A time after the end gives the last picture.
    """
    pictures: list[Image.Image] = []
    with opened(source) as container:
        video = container.streams.video[0]
        video.thread_type = "AUTO"
        base = float(video.time_base or 0) or 1.0
        start = (video.start_time or 0) * base
        last: av.VideoFrame | None = None
        for at in times:
            container.seek(round((start + at) / base), stream=video, backward=True)
            found: av.VideoFrame | None = None
            for frame in container.decode(video):
                if found is None or (frame.time or 0.0) - start <= at + 1e-4:
                    found = frame
                if (frame.time or 0.0) - start >= at - 1e-4:
                    break
            last = found or last
            if last is not None:
                pictures.append(_picture(last, width))
    return pictures


def save_thumbnails(source: Source, times: Sequence[float], folder: Path, *, width: int) -> list[Path]:
    """``grab`` as JPEG files named by their time in milliseconds."""
    saved = []
    for at, picture in zip(times, grab(source, times, width=width), strict=False):
        path = folder / f"{round(at * 1000):09d}.jpg"
        picture.save(path, quality=85)
        saved.append(path)
    return saved


def _picture(frame: av.VideoFrame, width: int) -> Image.Image:
    height = max(2, round(frame.height * width / frame.width))
    picture = Image.fromarray(frame.reformat(width=width, height=height, format="rgb24").to_ndarray())
    return picture.rotate(frame.rotation, expand=True) if getattr(frame, "rotation", 0) else picture
