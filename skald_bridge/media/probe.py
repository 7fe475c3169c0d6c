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
import av.stream

from skald_bridge.domain.errors import SkaldError
from skald_bridge.media.boxes import incomplete
from skald_bridge.media.displayed import HLG, PQ, Geometry, geometry, geometry_of
from skald_bridge.media.errors import BadMedia, Unanswered
from skald_bridge.media.inputs import Source

TIMEOUT = 5.0
_SLOWEST, _FASTEST, _USUAL = 0.001, 480, 25.0
_FIRST_PACKETS = 600


@dataclass(frozen=True)
class Probe:
    """Facts of an input. ``seconds`` is ``None`` for a live source, or where the container does not say.

    ``width`` and ``height`` in pixels, as a player shows the picture; rates in Hz. ``picture`` and ``sound``:
    the numbers of the tracks taken; ``left_out``: those left out that a player might play, and why.
    ``transfer``: ``PQ`` or ``HLG`` for HDR. ``pixel_aspect``: width to height of a coded pixel.
    """

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
    picture: int = 0
    sound: int | None = None
    left_out: tuple[str, ...] = ()
    interlaced: bool = False
    turned: bool = False
    pixel_aspect: tuple[int, int] = (1, 1)
    full_range: bool = False
    transfer: int = 0

    @property
    def shape(self) -> Geometry:
        """As it is shown, whatever the way there."""
        return Geometry(self.width, self.height)

    @property
    def hdr(self) -> bool:
        return self.transfer in (PQ, HLG)

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
    if not _pictures(container):
        cover = " but a cover" if container.streams.video else ""
        container.close()
        raise BadMedia(
            f"input {source.display!r} has no picture{cover}", remedy="Give a video, not sound alone."
        )
    return container


def probe(source: Source, *, timeout: float = TIMEOUT) -> Probe:
    """Facts of ``source``; raises as ``opened`` does. The first picture of a local file is decoded."""
    with opened(source, timeout=timeout) as container:
        video = _best(_pictures(container))
        if video is None:
            raise BadMedia(
                f"input {source.display!r} holds pictures in a codec that cannot be decoded here",
                remedy="Convert it to a common codec, such as H.264.",
            )
        codec = video.codec_context
        audio = next((track for track in container.streams.audio if _decodable(track)), None)
        first = _first_picture(container, video, source) if source.path is not None else None
        if first is None and not codec.width:
            raise BadMedia(
                f"input {source.display!r} holds a video track without pictures", remedy="Record it again."
            )
        aspect = video.sample_aspect_ratio
        shape = geometry_of(first, aspect) if first else geometry(codec.width, codec.height, aspect)
        return Probe(
            container=container.format.name.split(",")[0],
            seconds=None if source.live else _seconds(container, video),
            width=shape.width,
            height=shape.height,
            fps=_rate(video),
            video_codec=codec.name,
            pixel_format=codec.pix_fmt or "",
            audio_codec=audio.codec_context.name if audio else None,
            channels=audio.codec_context.channels if audio else 0,
            sample_rate=audio.codec_context.sample_rate if audio else 0,
            bytes=source.path.stat().st_size if source.path else None,
            picture=video.index,
            sound=audio.index if audio else None,
            left_out=_left_out(container, video, audio),
            interlaced=first is not None and first.interlaced_frame,
            turned=shape.swapped or shape.left_right or shape.upside_down,
            pixel_aspect=(aspect.numerator, aspect.denominator) if aspect else (1, 1),
            full_range=first is not None and first.color_range == _FULL_RANGE,
            transfer=first.color_trc if first is not None and first.color_trc in (PQ, HLG) else 0,
        )


def tracks_of(
    container: av.container.InputContainer, facts: Probe
) -> tuple[av.video.stream.VideoStream, av.audio.stream.AudioStream | None]:
    """The tracks that ``facts`` name, in a container opened anew."""
    video = container.streams[facts.picture]
    audio = container.streams[facts.sound] if facts.sound is not None else None
    assert isinstance(video, av.video.stream.VideoStream)
    assert audio is None or isinstance(audio, av.audio.stream.AudioStream)
    return video, audio


_FULL_RANGE = 2


def _pictures(container: av.container.InputContainer) -> list[av.video.stream.VideoStream]:
    """Video tracks that are no covers."""
    cover = av.stream.Disposition.attached_pic
    return [track for track in container.streams.video if not track.disposition & cover]


def _decodable(track: av.stream.Stream) -> bool:
    return track.codec_context is not None and track.codec_context.codec is not None


def _best(tracks: list[av.video.stream.VideoStream]) -> av.video.stream.VideoStream | None:
    """The first that has a size, else the first that can be decoded at all."""
    found = [track for track in tracks if _decodable(track)]
    return next((track for track in found if track.codec_context.width), found[0] if found else None)


def _left_out(
    container: av.container.InputContainer,
    video: av.video.stream.VideoStream,
    audio: av.audio.stream.AudioStream | None,
) -> tuple[str, ...]:
    said = []
    for track in (*_pictures(container), *container.streams.audio):
        if track.index in (video.index, audio.index if audio else None):
            continue
        kind = "picture" if track.type == "video" else "sound"
        why = f"one {kind} is taken" if _decodable(track) else "its codec is unknown here"
        said.append(f"{kind} track {track.index} is left out: {why}")
    return tuple(said)


def _first_picture(
    container: av.container.InputContainer, video: av.video.stream.VideoStream, source: Source
) -> av.VideoFrame | None:
    """``None`` where it does not come soon.

    Raises:
        BadMedia: nothing in the file can be decoded.
    """
    for count, packet in enumerate(container.demux(video)):
        with contextlib.suppress(av.error.InvalidDataError):
            for frame in packet.decode():
                return frame
        if count >= _FIRST_PACKETS:
            return None
    raise BadMedia(
        f"input {source.display!r} holds no picture that could be decoded",
        remedy="Check that a player plays it, or record it again.",
    )


def _rate(video: av.video.stream.VideoStream) -> float:
    """Pictures a second; a container that counts in milliseconds may claim a thousand."""
    for rate in (video.average_rate, video.guessed_rate):
        if rate and _SLOWEST <= rate <= _FASTEST:
            return float(rate)
    return _USUAL


def _seconds(container: av.container.InputContainer, video: av.video.stream.VideoStream) -> float | None:
    if container.duration and container.duration > 0:
        return float(container.duration) / av.time_base
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
