"""What a key frame says about its stream: parameter sets and sizes, read from its bytes. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterator

_START = re.compile(rb"\x00\x00\x01")
_H264_SPS, _H264_PPS = 7, 8
_HEVC_SETS = {32, 33, 34}
_SOF = {0xC0, 0xC1, 0xC2, 0xC3}


def units(data: bytes, *, length_size: int = 0) -> Iterator[bytes]:
    """NAL units of a packet: between start codes, or with ``length_size`` bytes of length before each."""
    if length_size:
        at = 0
        while at + length_size < len(data):
            size = int.from_bytes(data[at : at + length_size], "big")
            at += length_size
            if unit := data[at : at + size]:
                yield unit
            at += size
        return
    starts = [match.end() for match in _START.finditer(data)]
    for index, start in enumerate(starts):
        end = starts[index + 1] - 3 if index + 1 < len(starts) else len(data)
        if unit := data[start:end].rstrip(b"\x00"):
            yield unit


def length_size(codec: str, extradata: bytes | None) -> int:
    """Bytes of length before each NAL unit, 0 for start codes."""
    if codec == "h264" and extradata and extradata[0] == 1 and len(extradata) > 4:
        return (extradata[4] & 3) + 1
    if codec == "hevc" and extradata and len(extradata) > 22 and extradata[:3] not in (b"\0\0\0", b"\0\0\1"):
        return (extradata[21] & 3) + 1
    return 0


def parameter_sets(codec: str, data: bytes, *, size: int = 0) -> tuple[bytes, ...]:
    """What describes the pictures in a key frame; empty where it does not say.

    H.264, H.265: the parameter sets. Motion JPEG, MPEG-1/2, VP8: the bytes of their header that hold the size.
    """
    if codec == "h264":
        return tuple(unit for unit in units(data, length_size=size) if unit[0] & 31 in (_H264_SPS, _H264_PPS))
    if codec == "hevc":
        return tuple(unit for unit in units(data, length_size=size) if (unit[0] >> 1) & 63 in _HEVC_SETS)
    if codec == "mjpeg":
        return _jpeg_size(data)
    if codec in ("mpeg1video", "mpeg2video"):
        at = data.find(b"\x00\x00\x01\xb3")
        return (data[at + 4 : at + 8],) if at >= 0 else ()
    if codec == "vp8" and data[3:6] == b"\x9d\x01\x2a":
        return (data[6:10],)
    return ()


def described(codec: str, extradata: bytes | None) -> tuple[bytes, ...]:
    """Parameter sets in the header of a track."""
    if not extradata or codec not in ("h264", "hevc"):
        return ()
    if not length_size(codec, extradata):
        return parameter_sets(codec, extradata)
    if codec == "h264":
        return tuple(_avcc(extradata))
    return tuple(_hvcc(extradata))


def completed(codec: str, sets: tuple[bytes, ...], before: tuple[bytes, ...]) -> tuple[bytes, ...]:
    """``sets``, and of ``before`` those of the kinds that ``sets`` does not bring anew."""
    if codec not in ("h264", "hevc"):
        return sets

    def kind(unit: bytes) -> int:
        return unit[0] & 31 if codec == "h264" else (unit[0] >> 1) & 63

    brought = {kind(unit) for unit in sets}
    return (*(unit for unit in before if kind(unit) not in brought), *sets)


def header(sets: tuple[bytes, ...], codec: str, *, size: int = 0) -> bytes | None:
    """A track's header of ``sets``; ``None`` where the codec needs none, or it cannot be written."""
    if codec not in ("h264", "hevc") or not sets:
        return None
    if not size:
        return b"".join(b"\x00\x00\x00\x01" + unit for unit in sets)
    if codec == "hevc":
        return None
    first = [unit for unit in sets if unit[0] & 31 == _H264_SPS]
    second = [unit for unit in sets if unit[0] & 31 == _H264_PPS]
    if not first or not second:
        return None
    head = bytes([1]) + first[0][1:4] + bytes([0xFC | (size - 1), 0xE0 | len(first)])
    head += b"".join(len(unit).to_bytes(2, "big") + unit for unit in first) + bytes([len(second)])
    return head + b"".join(len(unit).to_bytes(2, "big") + unit for unit in second)


def _avcc(data: bytes) -> Iterator[bytes]:
    at, count = 6, data[5] & 31
    for last in (False, True):
        for _ in range(count):
            size = int.from_bytes(data[at : at + 2], "big")
            yield data[at + 2 : at + 2 + size]
            at += 2 + size
        if not last and at < len(data):
            count, at = data[at], at + 1


def _hvcc(data: bytes) -> Iterator[bytes]:
    at = 23
    for _ in range(data[22]):
        count = int.from_bytes(data[at + 1 : at + 3], "big")
        at += 3
        for _ in range(count):
            size = int.from_bytes(data[at : at + 2], "big")
            yield data[at + 2 : at + 2 + size]
            at += 2 + size


def _jpeg_size(data: bytes) -> tuple[bytes, ...]:
    at = 2
    while at + 9 < len(data) and data[at] == 0xFF:
        if data[at + 1] in _SOF:
            return (data[at + 5 : at + 9],)
        at += 2 + int.from_bytes(data[at + 2 : at + 4], "big")
    return ()
