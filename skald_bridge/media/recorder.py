"""Recording: a source that comes and goes, cut into whole segments."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import av
import av.stream

from skald_blocks import MediaStore
from skald_bridge.media.errors import Unanswered, naming_full_disk
from skald_bridge.media.inputs import Source
from skald_bridge.media.packets import PacketReader
from skald_bridge.media.segments import Container, SegmentWriter

FIRST_WAIT = 0.5
LONGEST_WAIT = 10.0
READ_TIMEOUT = 5.0


@dataclass(frozen=True)
class Segment:
    """A published segment. ``began``: UTC, ISO 8601; ``seconds`` of media; ``url`` in the store.

    ``codec``: of picture and sound, ``h264/aac``.
    """

    name: str
    url: str
    began: str
    seconds: float
    bytes: int
    codec: str = ""


@dataclass
class Recording:
    """What a recording has made so far. ``reconnects`` counts the times a picture was lost."""

    segments: list[Segment] = field(default_factory=list)
    reconnects: int = 0

    @property
    def seconds(self) -> float:
        return sum(segment.seconds for segment in self.segments)

    def json(self) -> dict[str, Any]:
        return {
            "seconds": round(self.seconds, 3),
            "reconnects": self.reconnects,
            "segments": [vars(segment) for segment in self.segments],
        }


def waits(first: float = FIRST_WAIT, longest: float = LONGEST_WAIT) -> Iterator[float]:
    """Seconds to wait before each further attempt: doubling, bounded."""
    wait = first
    while True:
        yield min(wait, longest)
        wait *= 2


def codec_of(tracks: Sequence[av.stream.Stream]) -> str:
    """Of the picture first: ``h264/aac``."""
    ordered = sorted(tracks, key=lambda track: track.type != "video")
    return "/".join(dict.fromkeys(track.codec_context.codec.canonical_name for track in ordered))


class Recorder:
    """Copies one source into segments of a store until it ends or is told to stop.

    ``segment_seconds`` is asked at every key frame, so that a new value cuts the segment under way.
    """

    def __init__(
        self,
        source: Source,
        store: MediaStore,
        folder: str,
        *,
        segment_seconds: Callable[[], float],
        container: Container = "mp4",
        seconds: float | None = None,
        give_up_after: float = 30.0,
        own_speed: bool = False,
        on_change: Callable[[Recording, str], None] = lambda recording, text: None,
        on_segment: Callable[[Segment], None] = lambda segment: None,
        timeout: float = READ_TIMEOUT,
    ) -> None:
        """``give_up_after``: seconds without a picture until the recording fails.

        ``own_speed``: read a file no faster than it would play. ``on_change`` hears of segments and breaks,
        ``on_segment`` of each segment as soon as it is in the store.
        """
        self.recording = Recording()
        self._source = source
        self._store = store
        self._folder = folder
        self._segment_seconds = segment_seconds
        self._container: Container = container
        self._seconds = seconds
        self._give_up_after = give_up_after
        self._own_speed = own_speed
        self._on_change = on_change
        self._on_segment = on_segment
        self._timeout = min(timeout, give_up_after)
        self._last_picture = time.monotonic()
        self._done_seconds = 0.0

    def run(self) -> Recording:
        """Record to the end. What is on its way when this is interrupted is closed and published.

        Raises:
            Unanswered: no picture for ``give_up_after`` seconds. BadMedia: the source is no video.
            DiskFull: no space; all segments in the recording are whole.
        """
        pauses = waits()
        while True:
            before = self._last_picture
            try:
                self._session()
                return self.recording
            except Unanswered as lost:
                if self._source.path is not None:
                    raise
                if self._last_picture != before:
                    pauses = waits()
                    self.recording.reconnects += 1
                silent = time.monotonic() - self._last_picture
                if silent >= self._give_up_after:
                    safe = f"{len(self.recording.segments)} segments are safe"
                    raise Unanswered(
                        f"{lost.message} for {silent:.0f} s; {safe}", remedy=lost.remedy
                    ) from lost
                pause = min(next(pauses), self._give_up_after - silent)
                self._on_change(self.recording, f"lost the source, trying again in {pause:.1f} s")
                time.sleep(pause)

    def _session(self) -> None:
        """One connection. A live source that just ends was lost."""
        with PacketReader(self._source, timeout=self._timeout) as reader, self._store.scratch() as scratch:
            tracks = reader.streams()
            cut = _Cut(self, scratch, tracks)
            try:
                for packet in reader.packets():
                    if packet.stream.type == "video":
                        self._last_picture = time.monotonic()
                    if not cut.take(packet):
                        return
            finally:
                cut.finish()
        if self._source.live:
            raise Unanswered(
                f"input {self._source.display!r} stopped sending", remedy="Check the camera and the network."
            )

    def enough(self, current: float) -> bool:
        """Whether the asked length is reached, ``current`` seconds into the segment under way."""
        return self._seconds is not None and self._done_seconds + current >= self._seconds

    def due(self, current: float) -> bool:
        return current >= self._segment_seconds()

    def pace(self, since: float, media_seconds: float) -> None:
        """Wait until ``media_seconds`` have passed since the monotonic time ``since``."""
        if self._own_speed and self._source.path is not None:
            time.sleep(max(0.0, since + media_seconds - time.monotonic()))

    def open(self, path: Path, tracks: list[av.stream.Stream]) -> SegmentWriter:
        return SegmentWriter(path, self._container, tracks)

    def next_name(self) -> str:
        at = datetime.now(UTC).strftime("%Y%m%dT%H%M%S.%f")[:-3]
        return f"{at}Z-{len(self.recording.segments):05d}.{self._container}"

    def keep(self, writer: SegmentWriter, began: datetime, codec: str) -> None:
        """Finish and publish a segment; one without length is dropped."""
        if writer.seconds <= 0:
            writer.discard()
            return
        written = writer.close()
        name = f"{self._folder}/{written.path.name}"
        with naming_full_disk(written.path.parent):
            url = self._store.publish(written.path, name)
        seconds = round(written.seconds, 3)
        segment = Segment(name, url, began.isoformat(), seconds, written.bytes, codec)
        self.recording.segments.append(segment)
        self._done_seconds += seconds
        self._on_segment(segment)
        count = len(self.recording.segments)
        self._on_change(self.recording, f"{self._done_seconds:.1f} s in {count} segments")


class _Cut:
    """The segment under way within one connection."""

    def __init__(self, recorder: Recorder, scratch: Path, tracks: list[av.stream.Stream]) -> None:
        self._recorder = recorder
        self._scratch = scratch
        self._tracks = tracks
        self._codec = codec_of(tracks)
        self._writer: SegmentWriter | None = None
        self._began = datetime.now(UTC)
        self._since = time.monotonic()
        self._first: float | None = None

    def take(self, packet: av.Packet[av.stream.Stream]) -> bool:
        """Write one packet; ``False`` when the recording is long enough."""
        picture = packet.stream.type == "video"
        if self._writer is not None and picture:
            if self._recorder.enough(self._writer.seconds):
                return False
            if packet.is_keyframe and self._recorder.due(self._writer.seconds):
                self.finish()
        if self._writer is None:
            if not (picture and packet.is_keyframe):
                return True
            self._began = datetime.now(UTC)
            self._writer = self._recorder.open(self._scratch / self._recorder.next_name(), self._tracks)
        assert packet.dts is not None
        at = float(packet.dts * packet.time_base)
        self._first = at if self._first is None else self._first
        self._recorder.pace(self._since, at - self._first)
        try:
            self._writer.write(packet)
        except Exception:
            self._writer.discard()
            self._writer = None
            raise
        return True

    def finish(self) -> None:
        writer, self._writer = self._writer, None
        if writer is not None:
            self._recorder.keep(writer, self._began, self._codec)
