"""The newest picture of a stream that is copied: as little of it is decoded as the asked rate needs."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import av
import av.error

from skald_bridge.media.displayed import matrix_of, upright
from skald_bridge.media.inputs import Source
from skald_bridge.media.intake import Item, PacketIntake
from skald_bridge.media.newest import Newest, ShownPicture
from skald_bridge.media.probe import opened

_MOST_BYTES = 32 * 2**20
"""Of the packets since a key frame; beyond it key frames alone are shown."""
_EARLY = 0.9


def wanted(*, key: bool, waited: float | None, every: float, key_gap: float) -> bool:
    """Whether this picture is to be shown.

    ``waited``: seconds since one was; ``key_gap``: seconds between the newest key frames. Key frames are decoded
    alone, so others are shown only where key frames come too seldom for one ``every`` so many seconds.
    """
    if key:
        return waited is None or waited >= _EARLY * every
    return waited is not None and waited >= every and key_gap > every


@dataclass
class _Run:
    """A key frame and the packets after it. ``header``: of the track."""

    codec: str
    header: bytes | None
    aspect: Any
    began: float
    packets: list[bytes] = field(default_factory=list)
    bytes: int = 0


class PacketPictures:
    """Feeds ``newest`` with the pictures of a recording; ``source``: where they come from."""

    def __init__(self, newest: Newest, source: Source) -> None:
        self._newest = newest
        self._source = source
        self._run: _Run | None = None
        self._gap = 0.0
        self._lock = threading.Lock()
        self._decoder: Any = None
        self._decoding: _Run | None = None
        self._fed = 0
        self._matrix: tuple[Sequence[int] | None] | None = None

    def take(self, item: Item, intake: PacketIntake) -> None:
        """A picture's packet, before it is written."""
        if item.key:
            if self._run is not None:
                self._gap = item.arrived - self._run.began
            self._run = _begun(item, intake)
        run = self._run
        if run is None or run.bytes > _MOST_BYTES:
            return
        data = bytes(item.packet)
        run.packets.append(data)
        run.bytes += len(data)
        gap = max(self._gap, item.arrived - run.began)
        every = self._newest.keeping.every()
        if wanted(key=item.key, waited=self._newest.waited(), every=every, key_gap=gap):
            count, at = len(run.packets), item.presented
            self._newest.offer(lambda: self._shown(run, count, at))

    def _shown(self, run: _Run, count: int, at: float) -> ShownPicture | None:
        """The last of the first ``count`` pictures of ``run``; on the writer's thread."""
        frame = _alone(run) if count == 1 else self._latest(run, count)
        if frame is None:
            return None
        picture = upright(frame, run.aspect, self._newest.keeping.width, self._turned())
        return ShownPicture(picture, at)

    def _latest(self, run: _Run, count: int) -> Any | None:
        if self._decoding is not run:
            self._decoding, self._decoder, self._fed = run, _decoder(run), 0
        frames: list[Any] = []
        for data in run.packets[self._fed : count]:
            with contextlib.suppress(av.error.FFmpegError):
                frames += self._decoder.decode(av.Packet(data))[-1:]
        self._fed = count
        return frames[-1] if frames else None

    def _turned(self) -> Sequence[int] | None:
        """How a file says that its pictures are turned: packets alone do not tell."""
        if self._matrix is None:
            self._matrix = (None,)
            if self._source.path is not None:
                with opened(self._source) as container:
                    first = next(container.decode(video=0), None)
                    self._matrix = (matrix_of(first) if first is not None else None,)
        return self._matrix[0]


def _begun(item: Item, intake: PacketIntake) -> _Run:
    context = intake.tracks.picture.codec_context
    geometry = intake.key_frames.geometry
    header = geometry.extradata if geometry is not None and geometry.extradata else context.extradata
    aspect = intake.tracks.picture.sample_aspect_ratio
    return _Run(context.codec.name, header, aspect, item.arrived)


def _decoder(run: _Run) -> Any:
    decoder: Any = av.CodecContext.create(run.codec, "r")
    if run.header:
        decoder.extradata = run.header
    decoder.thread_count = 1
    return decoder


def _alone(run: _Run) -> Any | None:
    """The key frame, by a decoder that is told that nothing follows."""
    decoder, frames = _decoder(run), []
    with contextlib.suppress(av.error.FFmpegError, EOFError):
        frames += decoder.decode(av.Packet(run.packets[0]))
        frames += decoder.decode(None)
    return frames[0] if frames else None
