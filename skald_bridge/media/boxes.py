"""Is a file whole? What the container's own outline says, without decoding."""

from __future__ import annotations

import struct
from pathlib import Path
from typing import BinaryIO

_MP4_TOP = {b"ftyp", b"styp", b"moov", b"moof", b"mdat", b"free", b"skip", b"wide", b"sidx", b"uuid", b"pnot"}
_EBML = b"\x1a\x45\xdf\xa3"
_SEGMENT = b"\x18\x53\x80\x67"


def incomplete(path: Path) -> str | None:
    """Why an mp4, mov, mkv or webm file is not whole; ``None`` when it is, or is of another kind."""
    size = path.stat().st_size
    with path.open("rb") as file:
        head = file.read(8)
        file.seek(0)
        if head[4:8] in _MP4_TOP:
            return _mp4(file, size)
        if head[:4] == _EBML:
            return _matroska(file, size)
    return None


def _mp4(file: BinaryIO, size: int) -> str | None:
    at, seen = 0, set[bytes]()
    while at + 8 <= size:
        file.seek(at)
        length, kind = struct.unpack(">I4s", file.read(8))
        if length == 1:
            length = int.from_bytes(file.read(8), "big")
        elif length == 0:
            length = size - at
        if length < 8:
            return f"it is damaged at byte {at}"
        seen.add(kind)
        at += length
    if at > size:
        return f"its last {at - size:,} bytes are missing"
    if not seen & {b"moov", b"moof"}:
        return "its index (moov) is missing, as when a recording was cut off"
    if not seen & {b"mdat", b"moof"}:
        return "its pictures (mdat) are missing"
    return None


def _matroska(file: BinaryIO, size: int) -> str | None:
    file.seek(4)
    header = _vint(file)
    if header is None:
        return None
    file.seek(header, 1)
    if file.read(4) != _SEGMENT:
        return None
    length = _vint(file)
    if length is not None and (end := file.tell() + length) > size:
        return f"its last {end - size:,} bytes are missing"
    return None


def _vint(file: BinaryIO) -> int | None:
    """An EBML length; ``None`` for "unknown", as live streams write it."""
    first = file.read(1)
    if not first or not first[0]:
        return None
    more = 8 - first[0].bit_length()
    value = first[0] & ((1 << (7 - more)) - 1)
    rest = file.read(more)
    total = value << (8 * more) | int.from_bytes(rest, "big")
    return None if total == (1 << (7 * (more + 1))) - 1 else total
