"""Stream copy into files that are whole when they get their name."""

from __future__ import annotations

import contextlib
import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import av
import av.container
import av.error

from skald_bridge.domain.errors import InvalidInput
from skald_bridge.media.boxes import incomplete
from skald_bridge.media.carriage import Container, remedy_for_picture
from skald_bridge.media.comparison import Content, Kind
from skald_bridge.media.errors import BadMedia, naming_full_disk
from skald_bridge.media.key_frames import PictureHeader
from skald_bridge.media.sound import AacEncoder

_FORMATS: Mapping[str, tuple[str, dict[str, str]]] = {
    "mp4": ("mp4", {"movflags": "+faststart"}),
    "mkv": ("matroska", {}),
    "ts": ("mpegts", {}),
}
_SHORTEST = 0.001  # seconds between two packets: Matroska's clock has no shorter ones


@dataclass(frozen=True)
class Written:
    """A finished file: its length in seconds and bytes, and what was put into it."""

    path: Path
    seconds: float
    bytes: int
    content: Content


class SegmentWriter:
    """One file, written packet by packet without decoding; ``start`` on the packets' timeline becomes zero.

    What lies a little before it is decoded and not shown, as an encoder's first sound. ``damaged``: packets of sound
    that the container does not take, which are left out.
    """

    def __init__(
        self,
        path: Path,
        container: Container,
        picture: Any,
        sound: Any | AacEncoder | None = None,
        *,
        start: float | None = None,
        geometry: PictureHeader | None = None,
    ) -> None:
        """``picture``, ``sound``: the tracks that are copied, or the encoder whose packets will come.

        ``start``: in seconds; ``None``: where the first packet is shown.

        Raises ``InvalidInput`` when the container cannot hold a track, ``DiskFull`` without space.
        """
        self.path = path
        self.pictures = 0
        self.damaged = 0
        self._container = container
        form, options = _FORMATS[container]
        self._start = start
        self._heard: float | None = None
        self._shown: tuple[float, float] | None = None
        self._last_dts: dict[bool, int] = {}
        self._offsets: dict[bool, int] = {}
        self._picture_length = 1 / float(picture.average_rate or picture.guessed_rate or 25)
        with naming_full_disk(path.parent):
            self._output: av.container.OutputContainer = av.open(str(path), "w", format=form, options=options)
        try:
            self._picture = self._add_picture(picture, container, geometry)
            self._sound = self._add_sound(sound)
            with naming_full_disk(path.parent):
                self._output.start_encoding()
        except (ValueError, av.error.FFmpegError) as error:
            self.discard()
            codec = picture.codec_context.name
            names = codec if sound is None or isinstance(sound, AacEncoder) else f"{codec}, {sound.name}"
            raise InvalidInput(
                f"container {container!r} cannot hold this input ({names})",
                remedy=remedy_for_picture(container, codec),
            ) from error

    def _add_picture(self, template: Any, container: Container, geometry: PictureHeader | None) -> Any:
        stream: Any = self._output.add_stream_from_template(template, opaque=True)
        context = stream.codec_context
        if geometry is not None:
            context.width, context.height = geometry.width, geometry.height
            if geometry.extradata is not None:
                context.extradata = geometry.extradata
        self._size = (context.width, context.height)
        if container == "mp4" and template.codec_context.name == "hevc":
            context.codec_tag = "hvc1"  # with hev1, which is the default, Apple's players show nothing
        return stream

    def _add_sound(self, sound: Any | AacEncoder | None) -> Any | None:
        if sound is None:
            return None
        if isinstance(sound, AacEncoder):
            stream: Any = self._output.add_stream("aac", rate=sound.rate)
            stream.codec_context.layout = sound.layout
            return stream
        return self._output.add_stream_from_template(sound)

    @property
    def seconds(self) -> float:
        """From the first picture to the end of the last, so far."""
        return self._shown[1] - self._shown[0] if self._shown else 0.0

    def write(self, packet: Any, *, picture: bool, base: float) -> None:
        """Append ``packet``, with its times on one timeline; one that is a little out of order is moved.

        ``base``: one of its ticks, in seconds.

        Raises:
            DiskFull: no space; the file is of no use, see ``discard``.
        """
        pts: int = packet.pts
        if self._start is None:
            self._start = pts * base
        offset = self._offsets.get(picture)
        if offset is None:
            offset = self._offsets[picture] = round(self._start / base)
        dts = packet.dts - offset
        if (last := self._last_dts.get(picture)) is not None and dts <= last:
            dts = last + max(1, math.ceil(_SHORTEST / base))
        self._last_dts[picture] = packet.dts = dts
        packet.pts = pts = max(pts - offset, dts)
        if picture:
            self._picture_taken(packet, pts, base)
        elif self._heard is None:
            self._heard = pts * base
        packet.stream = self._picture if picture else self._sound
        try:
            self._output.mux(packet)
        except av.error.InvalidDataError:
            if picture:
                raise
            self.damaged += 1
        except OSError:
            with naming_full_disk(self.path.parent):
                raise

    def _picture_taken(self, packet: Any, pts: int, base: float) -> None:
        duration = packet.duration
        if not duration:
            duration = packet.duration = round(self._picture_length / base)
        first, last = pts * base, (pts + duration) * base
        known = self._shown or (first, last)
        self._shown = (min(known[0], first), max(known[1], last))
        self.pictures += 1

    def close(self) -> Written:
        """Finish the file.

        Raises:
            DiskFull: no space for its end; BadMedia: it came out incomplete. The file is gone then.
        """
        try:
            with naming_full_disk(self.path.parent):
                self._output.close()
            if (why := incomplete(self.path)) is not None or not self.path.stat().st_size:
                raise BadMedia(f"segment {self.path.name} was not written whole: {why or 'it is empty'}")
        except BaseException:
            self.path.unlink(missing_ok=True)
            raise
        return Written(self.path, self.seconds, self.path.stat().st_size, self._content())

    def _content(self) -> Content:
        begin = self._shown[0] if self._shown else 0.0
        kinds: tuple[Kind, ...] = ("video",) if self._heard is None else ("video", "audio")
        # in mp4 an edit list hides what lies before the start
        heard = max(self._heard or 0.0, 0.0) if self._container == "mp4" else self._heard or 0.0
        starts = (0.0,) if self._heard is None else (0.0, heard - begin)
        return Content(self.pictures, self.seconds, kinds, starts, self._size)

    def discard(self) -> None:
        """Give the file up and remove it."""
        with contextlib.suppress(OSError, ValueError):
            self._output.close()
        self.path.unlink(missing_ok=True)
