"""Packets of an input, read on a thread: whoever consumes them stays free to answer signals."""

from __future__ import annotations

import contextlib
import queue
import threading
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, TypeAlias

import av
import av.container
import av.error
import av.stream

from skald_bridge.media.errors import BadMedia
from skald_bridge.media.http_file import HttpFile
from skald_bridge.media.inputs import FILE_FORMATS, Source
from skald_bridge.media.ordering import Ordering
from skald_bridge.media.probe import TIMEOUT, explained, open_input

_AHEAD = 256
_LOOK_SECONDS = 0.5
Packet: TypeAlias = "av.Packet[av.stream.Stream]"


@dataclass(frozen=True)
class Tracks:
    """What is read of an input: its picture, its sound, and in words what is left out.

    ``seconds``: the length that the header promises; ``whole``: it has an end and can be read again;
    ``seekable``: from the middle, too; ``rebased``: its format's clock may be set while it runs;
    ``in_decoding_order``: it numbers pictures as they are decoded, and they are shown in another order.
    """

    picture: Any
    sound: Any | None
    left_out: tuple[str, ...]
    seconds: float | None
    whole: bool
    seekable: bool
    rebased: bool
    in_decoding_order: bool

    @property
    def wanted(self) -> list[Any]:
        return [self.picture] if self.sound is None else [self.picture, self.sound]


class PacketReader:
    """One connection to a source: picture and, where there is one, the first sound that can be decoded.

    As a context manager; leaving it hangs up. Only a file on disk is read on the caller's thread. A read stuck in
    the library ends with its timeout, on the reader's own daemon thread.
    """

    def __init__(
        self,
        source: Source,
        *,
        timeout: float = TIMEOUT,
        seek: float | None = None,
        patience: float = TIMEOUT,
    ) -> None:
        """``seek``: begin at or before the key frame at this time of the source, in seconds, where it can.

        ``patience``: seconds for which a file on a server may stay away.
        """
        self._source = source
        self._patience = patience
        self._timeout = timeout
        self._seek = seek
        self._queue: queue.Queue[Packet | Exception | None] = queue.Queue(_AHEAD)
        self._local: tuple[av.container.InputContainer, Tracks] | None = None
        self._opened: queue.Queue[Tracks | Exception] = queue.Queue(1)
        self._closing = threading.Event()
        self._thread = threading.Thread(target=self._read, name="packets", daemon=True)

    def __enter__(self) -> PacketReader:
        if self._source.path is None:
            self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._closing.set()
        if self._local is not None:
            self._local[0].close()

    def tracks(self) -> Tracks:
        """The tracks read; waits until the source is open.

        Raises:
            BadMedia, Unanswered: it cannot be opened, or has no picture.
        """
        if self._source.path is not None:
            container = open_input(self._source)
            try:
                self._local = container, chosen(container, self._source)
            except BaseException:
                container.close()
                raise
            return self._local[1]
        while True:
            with contextlib.suppress(queue.Empty):
                opened = self._opened.get(timeout=_LOOK_SECONDS)
                if isinstance(opened, Exception):
                    raise opened
                return opened

    def packets(self) -> Iterator[Packet | None]:
        """Packets until the source ends, each with its times; ``None`` where none came for a moment.

        Raises:
            BadMedia, Unanswered: the source broke off.
        """
        if self._local is not None:
            yield from self._from_disk(*self._local)
            return
        while True:
            try:
                item = self._queue.get(timeout=_LOOK_SECONDS)
            except queue.Empty:
                yield None
                continue
            if item is None:
                return
            if isinstance(item, Exception):
                raise item
            yield item

    def _from_disk(self, container: av.container.InputContainer, tracks: Tracks) -> Iterator[Packet]:
        """A disk does not keep anybody waiting: no thread is needed, which would cost more than the copying."""
        ordering = Ordering(tracks.picture, decode=tracks.in_decoding_order)
        try:
            for packet in container.demux(*tracks.wanted):
                yield from ordering.push(packet)
        except av.error.FFmpegError as error:
            yield from ordering.flush()
            raise explained(error, self._source, during="reading") from None
        yield from ordering.flush()

    def _read(self) -> None:
        file: HttpFile | None = None
        try:
            if self._source.url.startswith(("http:", "https:")):
                file = HttpFile.open(
                    self._source, timeout=self._timeout, patience=self._patience, closing=self._closing
                )
            container = self._in(file) if file else open_input(self._source, timeout=self._timeout)
        except Exception as error:
            self._opened.put(error)
            return
        with container:
            try:
                tracks = chosen(container, self._source, file)
            except Exception as error:
                self._opened.put(error)
                return
            self._opened.put(tracks)
            ordering = Ordering(tracks.picture, decode=tracks.in_decoding_order)
            try:
                if self._seek is not None and tracks.seekable:
                    container.seek(int(self._seek * av.time_base))
                self._pump(container, tracks, ordering)
            except av.error.FFmpegError as error:
                self._all(ordering.flush())
                self._put(explained(error, self._source, during="reading"))
            except Exception as error:
                self._all(ordering.flush())
                self._put(error)
            while not self._closing.wait(_LOOK_SECONDS):
                pass  # the consumer still uses the tracks as templates

    def _in(self, file: HttpFile) -> av.container.InputContainer:
        """The video in ``file``; it may lead nowhere else."""
        options = {**self._source.options, "protocol_whitelist": "", "format_whitelist": FILE_FORMATS}
        # else the end is fetched first, then the beginning
        options |= {"skip_estimate_duration_from_pts": "1"}
        try:
            return av.open(file, "r", options=options)
        except av.error.FFmpegError as error:
            raise explained(error, replace(self._source, path=Path(self._source.display))) from None

    def _pump(self, container: av.container.InputContainer, tracks: Tracks, ordering: Ordering) -> None:
        for packet in container.demux(*tracks.wanted):
            if not self._all(ordering.push(packet)):
                return
        if self._all(ordering.flush()):
            self._put(None)

    def _all(self, packets: list[Packet]) -> bool:
        return all(self._put(packet) for packet in packets)

    def _put(self, item: Packet | Exception | None) -> bool:
        """Whether the consumer is still there; waits while it is busy."""
        while not self._closing.is_set():
            with contextlib.suppress(queue.Full):
                self._queue.put(item, timeout=_LOOK_SECONDS)
                return True
        return False


def chosen(container: av.container.InputContainer, source: Source, file: HttpFile | None = None) -> Tracks:
    """Which tracks of an open input are read.

    Raises:
        BadMedia: there is no picture but a cover, or none that can be decoded.
    """
    covers = av.stream.Disposition.attached_pic
    pictures = [stream for stream in container.streams.video if not stream.disposition & covers]
    if not pictures:
        only = " but a cover" if container.streams.video else ""
        raise BadMedia(
            f"input {source.display!r} has no picture{only}", remedy="Give a video, not sound alone."
        )
    known = [stream for stream in pictures if stream.codec_context is not None]
    if not known:
        raise BadMedia(
            f"input {source.display!r} has a picture for which there is no decoder",
            remedy="Transcode it where it comes from.",
        )
    sounds = [stream for stream in container.streams.audio if stream.codec_context is not None]
    picture, sound = known[0], sounds[0] if sounds else None
    left_out = [said for each in container.streams if (said := _left_out(each, picture, sound))]
    return Tracks(
        picture,
        sound,
        tuple(left_out),
        seconds=_promised(container),
        whole=source.path is not None or file is not None,
        seekable=file is not None and file.seekable(),
        rebased=container.format.name in ("mpegts", "mpeg", "rtsp", "hls", "flv"),
        in_decoding_order=container.format.name == "avi" and picture.codec_context.has_b_frames,
    )


def _promised(container: av.container.InputContainer) -> float | None:
    if not container.duration:
        return None
    # Matroska's length may be counted from 0 on
    opening = max(0, container.start_time or 0) if container.format.name.startswith("matroska") else 0
    return (container.duration - opening) / av.time_base


def _left_out(stream: Any, picture: Any, sound: Any | None) -> str | None:
    if stream is picture or stream is sound:
        return None
    if stream.disposition & av.stream.Disposition.attached_pic:
        return f"track {stream.index} (cover picture)"
    kind = {"video": "picture", "audio": "sound", "subtitle": "subtitles"}.get(stream.type, stream.type)
    if stream.type in ("video", "audio") and stream.codec_context is None:
        return f"track {stream.index} ({kind} without a decoder)"
    name = stream.codec_context.name if stream.codec_context is not None else ""
    return f"track {stream.index} ({' '.join(filter(None, [kind, name]))})"
