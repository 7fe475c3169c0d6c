"""Stream copy into files that are whole when they get their name."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Literal

import av
import av.container
import av.error
import av.stream

from skald_bridge.domain.errors import InvalidInput
from skald_bridge.media.boxes import incomplete
from skald_bridge.media.errors import BadMedia, naming_full_disk

Container = Literal["mp4", "mkv", "ts"]
_FORMATS: Mapping[str, tuple[str, dict[str, str]]] = {
    "mp4": ("mp4", {"movflags": "+faststart"}),
    "mkv": ("matroska", {}),
    "ts": ("mpegts", {}),
}


@dataclass(frozen=True)
class Written:
    """A finished file: its length in seconds and bytes."""

    path: Path
    seconds: float
    bytes: int


class SegmentWriter:
    """One file, written packet by packet without decoding; timestamps start at zero."""

    def __init__(self, path: Path, container: Container, tracks: Sequence[av.stream.Stream]) -> None:
        """Raises ``InvalidInput`` when the container cannot hold a track, ``DiskFull`` without space."""
        self.path = path
        form, options = _FORMATS[container]
        self._start: float | None = None
        self._end = 0.0
        self._last_dts: dict[int, int] = {}
        with naming_full_disk(path.parent):
            self._output: av.container.OutputContainer = av.open(str(path), "w", format=form, options=options)
        self._tracks: dict[int, av.stream.Stream] = {}
        try:
            for track in tracks:
                self._tracks[track.index] = self._output.add_stream_from_template(track)
            with naming_full_disk(path.parent):
                self._output.start_encoding()
        except (ValueError, av.error.FFmpegError) as error:
            self.discard()
            codecs = ", ".join(track.codec_context.name for track in tracks)
            raise InvalidInput(
                f"container {container!r} cannot hold this input ({codecs})", remedy="Use container mkv."
            ) from error

    @property
    def seconds(self) -> float:
        """Length so far."""
        return self._end - (self._start or 0.0)

    def write(self, packet: av.Packet[av.stream.Stream]) -> None:
        """Append ``packet``; one that is out of order is left out, as a broken camera sends them.

        Raises:
            DiskFull: no space; the file is of no use, see ``discard``.
        """
        base: Fraction = packet.time_base
        index = packet.stream.index
        assert packet.dts is not None
        if self._start is None:
            self._start = float(packet.dts * base)
        offset = round(self._start / base)
        dts = packet.dts - offset
        if dts <= self._last_dts.get(index, dts - 1):
            return
        self._last_dts[index] = dts
        self._end = max(self._end, float((packet.dts + (packet.duration or 0)) * base))
        if packet.pts is not None:
            packet.pts = packet.pts - offset
        packet.dts = dts
        packet.stream = self._tracks[index]
        with naming_full_disk(self.path.parent):
            self._output.mux(packet)

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
        return Written(self.path, self.seconds, self.path.stat().st_size)

    def discard(self) -> None:
        """Give the file up and remove it."""
        with contextlib.suppress(OSError, ValueError):
            self._output.close()
        self.path.unlink(missing_ok=True)
