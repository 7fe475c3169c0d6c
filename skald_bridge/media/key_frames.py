"""What the key frames of a picture track say about it, where that is not what its header says."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass
from typing import Any

import av
import av.error

from skald_bridge.media import parameters


@dataclass(frozen=True)
class PictureHeader:
    """Size in pixels and header of a picture track, as a key frame describes them."""

    width: int
    height: int
    extradata: bytes | None = None


class KeyFrames:
    """The key frames of one connection. ``geometry``: of the newest, where it is not as the header says."""

    def __init__(self, stream: Any) -> None:
        self._stream = stream
        context = stream.codec_context
        self._codec: str = context.codec.canonical_name
        self._length_size = parameters.length_size(self._codec, context.extradata)
        self._sets = parameters.described(self._codec, context.extradata)
        self.geometry: PictureHeader | None = None

    def changed(self, packet: Any) -> bool:
        """Whether this key frame describes its pictures otherwise than what came before; sets ``geometry``."""
        data = bytes(packet)
        if packet.has_sidedata("new_extradata"):
            extradata: bytes | None = bytes(packet.get_sidedata("new_extradata"))
            sets = parameters.described(self._codec, extradata)
            if not sets or set(sets) <= set(self._sets):
                return False
        else:
            sets = parameters.parameter_sets(self._codec, data, size=self._length_size)
            first = not self._sets
            if set(sets) <= set(self._sets):
                return False
            sets = parameters.completed(self._codec, sets, self._sets)
            if first and self._codec not in ("h264", "hevc"):
                self._sets = sets
                return False
            extradata = parameters.header(sets, self._codec, size=self._length_size)
        self._sets = sets
        size = self.size(packet, extradata)
        if size is not None:
            self.geometry = PictureHeader(*size, extradata)
        return True

    def size(self, packet: Any, extradata: bytes | None = None) -> tuple[int, int] | None:
        """Width and height of a key frame, by decoding it; ``None`` where no decoder makes a picture of it."""
        context = self._stream.codec_context
        decoder: Any = av.CodecContext.create(context.codec.name, "r")
        header = extradata or context.extradata
        if header:
            decoder.extradata = header
        frames: list[Any] = []
        with contextlib.suppress(av.error.FFmpegError, EOFError):
            frames += decoder.decode(av.Packet(bytes(packet)))
            frames += decoder.decode(None)
        return (frames[0].width, frames[0].height) if frames else None
