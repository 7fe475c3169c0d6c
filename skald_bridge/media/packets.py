"""Packets of an input, read on a thread: whoever consumes them stays free to answer signals."""

from __future__ import annotations

import contextlib
import queue
import threading
from collections.abc import Iterator

import av
import av.container
import av.error
import av.stream

from skald_bridge.media.inputs import Source
from skald_bridge.media.probe import TIMEOUT, explained, open_input

_AHEAD = 256
_LOOK_SECONDS = 0.5


class PacketReader:
    """One connection to a source: picture and, where there is one, the first sound track.

    As a context manager; leaving it hangs up. A read stuck in the library ends with its timeout, on the
    reader's own daemon thread.
    """

    def __init__(self, source: Source, *, timeout: float = TIMEOUT) -> None:
        self._source = source
        self._timeout = timeout
        self._queue: queue.Queue[av.Packet[av.stream.Stream] | Exception | None] = queue.Queue(_AHEAD)
        self._opened: queue.Queue[list[av.stream.Stream] | Exception] = queue.Queue(1)
        self._closing = threading.Event()
        self._thread = threading.Thread(target=self._read, name="packets", daemon=True)

    def __enter__(self) -> PacketReader:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._closing.set()

    def streams(self) -> list[av.stream.Stream]:
        """The tracks read, picture first; waits until the source is open.

        Raises:
            BadMedia, Unanswered: it cannot be opened.
        """
        while True:
            with contextlib.suppress(queue.Empty):
                opened = self._opened.get(timeout=_LOOK_SECONDS)
                if isinstance(opened, Exception):
                    raise opened
                return opened

    def packets(self) -> Iterator[av.Packet[av.stream.Stream]]:
        """Packets until the source ends.

        Raises:
            BadMedia, Unanswered: the source broke off.
        """
        while True:
            try:
                item = self._queue.get(timeout=_LOOK_SECONDS)
            except queue.Empty:
                continue
            if item is None:
                return
            if isinstance(item, Exception):
                raise item
            yield item

    def _read(self) -> None:
        try:
            container = open_input(self._source, timeout=self._timeout)
        except Exception as error:
            self._opened.put(error)
            return
        with container:
            tracks: list[av.stream.Stream] = [container.streams.video[0], *container.streams.audio[:1]]
            self._opened.put(tracks)
            try:
                self._pump(container, tracks)
                self._put(None)
            except av.error.FFmpegError as error:
                self._put(explained(error, self._source, during="reading"))
            except Exception as error:
                self._put(error)
            while not self._closing.wait(_LOOK_SECONDS):
                pass  # the consumer still uses the tracks as templates

    def _pump(self, container: av.container.InputContainer, tracks: list[av.stream.Stream]) -> None:
        for packet in container.demux(*tracks):
            if packet.dts is not None and not self._put(packet):
                return

    def _put(self, item: av.Packet[av.stream.Stream] | Exception | None) -> bool:
        """Whether the consumer is still there; waits while it is busy."""
        while not self._closing.is_set():
            with contextlib.suppress(queue.Full):
                self._queue.put(item, timeout=_LOOK_SECONDS)
                return True
        return False
