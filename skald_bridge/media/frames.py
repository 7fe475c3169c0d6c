"""Single pictures out of a video."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path

import av
from PIL import Image

from skald_bridge.media.displayed import upright
from skald_bridge.media.inputs import Source
from skald_bridge.media.probe import Probe, opened, tracks_of


def grab(source: Source, facts: Probe, times: Sequence[float], *, width: int) -> list[Image.Image]:
    """The picture shown at each of ``times`` (seconds, ascending), ``width`` pixels wide.

    A time after the end gives the last picture. ``source`` must have times that ascend, as every video has
    that was made here.
    """
    pictures: list[Image.Image] = []
    with opened(source) as container:
        video, _ = tracks_of(container, facts)
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
                pictures.append(upright(last, video.sample_aspect_ratio, width))
    return pictures


class Thumbnails:
    """JPEG files in ``folder``, one every ``step`` seconds, named by their time in milliseconds.

    Fed with all pictures as they are decoded, so that no picture is decoded twice.
    """

    def __init__(self, folder: Path, step: float, *, width: int, pixel_aspect: Fraction | None) -> None:
        self._folder = folder
        self._step = step
        self._width = width
        self._pixel_aspect = pixel_aspect
        self._shown: av.VideoFrame | None = None
        self.saved: list[Path] = []

    def take(self, at: float, frame: av.VideoFrame) -> None:
        """The next picture, shown from ``at`` seconds on."""
        self._save_until(at - 1e-4)
        self._shown = frame

    def finish(self, seconds: float) -> list[Path]:
        """All files; the video lasts ``seconds``."""
        self._save_until(seconds + 1e-4)
        return self.saved

    def _save_until(self, seconds: float) -> None:
        while self._shown is not None and (at := len(self.saved) * self._step) < seconds:
            path = self._folder / f"{round(at * 1000):09d}.jpg"
            upright(self._shown, self._pixel_aspect, self._width).save(path, quality=85)
            self.saved.append(path)
