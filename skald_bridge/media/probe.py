"""What a video is, read through PyAV: no ffprobe is needed."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import Any

import av
import av.container
import av.error

from skald_bridge.domain.errors import SkaldError
from skald_bridge.media.boxes import incomplete
from skald_bridge.media.errors import BadMedia, Unanswered
from skald_bridge.media.inputs import Source

TIMEOUT = 5.0


@dataclass(frozen=True)
class Probe:
    """Facts of an input. ``seconds`` is ``None`` for a live source; sizes in pixels, rates in Hz."""

    container: str
    seconds: float | None
    width: int
    height: int
    fps: float
    video_codec: str
    pixel_format: str
    audio_codec: str | None = None
    channels: int = 0
    sample_rate: int = 0
    bytes: int | None = None

    def json(self) -> dict[str, Any]:
        return asdict(self)

    @property
    def line(self) -> str:
        """One line for people: ``1280x720, 25 fps, h264, aac 2 ch, 0:05.3``."""
        parts = [f"{self.width}x{self.height}", f"{self.fps:.4g} fps", self.video_codec]
        parts.append(f"{self.audio_codec} {self.channels} ch" if self.audio_codec else "no sound")
        if self.seconds is not None:
            parts.append(timestamp(self.seconds))
        return ", ".join(parts)


def timestamp(seconds: float) -> str:
    """``h:mm:ss.t``, without the hours where there are none."""
    tenths = round(seconds * 10)
    hours, rest = divmod(tenths, 36_000)
    minutes, rest = divmod(rest, 600)
    text = (
        f"{minutes:02d}:{rest // 10:02d}.{rest % 10}" if hours else f"{minutes}:{rest // 10:02d}.{rest % 10}"
    )
    return f"{hours}:{text}" if hours else text


@contextlib.contextmanager
def opened(source: Source, *, timeout: float = TIMEOUT) -> Iterator[av.container.InputContainer]:
    """The input, open for reading; ``timeout`` seconds bound the opening and each read.

    Raises:
        BadMedia: it is no video, or a truncated one.
        Unanswered: nobody answers at the address.
    """
    container = open_input(source, timeout=timeout)
    try:
        yield container
    except av.error.FFmpegError as error:
        raise explained(error, source, during="reading") from None
    finally:
        container.close()


def open_input(source: Source, *, timeout: float = TIMEOUT) -> av.container.InputContainer:
    """``opened`` for a caller that closes the container itself."""
    if source.path is not None and (why := incomplete(source.path)) is not None:
        raise BadMedia(
            f"input {source.display!r} is a truncated video: {why}",
            remedy="Copy or record it again; 'ffmpeg -i FILE -c copy OUT.mkv' may save what is left.",
        )
    began = time.monotonic()
    try:
        container = av.open(source.url, "r", options=dict(source.options), timeout=(timeout, timeout))
    except av.error.FFmpegError as error:
        late = source.path is None and time.monotonic() - began >= timeout * 0.9
        # the library's own message holds the URL with its password, so it is not chained
        raise explained(error, source, late=late) from None
    if not container.streams.video:
        container.close()
        raise BadMedia(f"input {source.display!r} has no picture", remedy="Give a video, not sound alone.")
    return container


def probe(source: Source, *, timeout: float = TIMEOUT) -> Probe:
    """Facts of ``source``; raises as ``opened`` does."""
    with opened(source, timeout=timeout) as container:
        video = container.streams.video[0]
        codec = video.codec_context
        if not codec.width:
            raise BadMedia(
                f"input {source.display!r} holds a video track without pictures", remedy="Record it again."
            )
        audio = container.streams.audio[0] if container.streams.audio else None
        return Probe(
            container=container.format.name.split(",")[0],
            seconds=None if source.live else _seconds(container),
            width=codec.width,
            height=codec.height,
            fps=float(video.average_rate or video.guessed_rate or 25),
            video_codec=codec.name,
            pixel_format=codec.pix_fmt or "",
            audio_codec=audio.codec_context.name if audio else None,
            channels=audio.codec_context.channels if audio else 0,
            sample_rate=audio.codec_context.sample_rate if audio else 0,
            bytes=source.path.stat().st_size if source.path else None,
        )


def _seconds(container: av.container.InputContainer) -> float | None:
    if container.duration:
        return float(container.duration) / av.time_base
    video = container.streams.video[0]
    return float(video.duration * video.time_base) if video.duration and video.time_base else None


def explained(
    error: av.error.FFmpegError, source: Source, *, during: str = "opening", late: bool = False
) -> SkaldError:
    """``error`` as a person should see it: the input named, credentials left out, the remedy said."""
    shown, why = source.display, error.strerror or type(error).__name__
    if source.path is None:
        if late or isinstance(error, av.error.ExitError | av.error.TimeoutError):
            return Unanswered(
                f"nobody answers at input {shown!r}",
                remedy="Check the address, and that this machine may reach it.",
            )
        if isinstance(error, av.error.HTTPUnauthorizedError | av.error.HTTPForbiddenError):
            return BadMedia(
                f"input {shown!r} refuses us: {why}", remedy="Check user and password in the URL."
            )
        if source.live or isinstance(error, av.error.HTTPError | av.error.HTTPClientError | OSError):
            return Unanswered(
                f"input {shown!r} does not deliver while {during}: {why}",
                remedy="Check the address and that the server publishes this path.",
            )
    if isinstance(error, av.error.ArgumentError):
        why = "its format is not one that is let in"
    return BadMedia(
        f"input {shown!r} is not a video that can be read ({why})",
        remedy="Give a video file such as mp4, mkv or ts.",
    )
