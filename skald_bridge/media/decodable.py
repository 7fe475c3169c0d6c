"""Can decoding begin at this packet, with nothing before it? Read from the bytes of key packets. Pure."""

from __future__ import annotations

from collections.abc import Iterator

_H264_IDR = 5
_HEVC_BEGINS = range(16, 22)  # BLA, IDR and CRA; a CRA's leading pictures are seen by their times
_HEVC_CLOSES = range(16, 21)  # BLA and IDR
_REORDERING = ("mpeg1video", "mpeg2video", "mpeg4")
_START = b"\x00\x00\x01"


def begins(codec: str, data: bytes, extradata: bytes | None) -> bool:
    """``data``: a packet marked as key frame; ``codec`` and ``extradata`` of its stream.

    H.264 marks recovery points as well, from which the picture only heals; codecs other than H.264 and HEVC
    mark nothing but whole pictures.
    """
    if codec == "h264":
        return any(unit[0] & 0x1F == _H264_IDR for unit in _units(data, _length_size(extradata, 4)))
    if codec == "hevc":
        return any(unit[0] >> 1 & 0x3F in _HEVC_BEGINS for unit in _units(data, _length_size(extradata, 21)))
    return True


def closes(codec: str, data: bytes, extradata: bytes | None) -> bool:
    """Whether no picture after this key packet needs one before it; ``False`` where only their times can say."""
    if codec == "h264":
        return begins(codec, data, extradata)
    if codec == "hevc":
        units = _units(data, _length_size(extradata, 21))
        return any(unit[0] >> 1 & 0x3F in _HEVC_CLOSES for unit in units)
    return codec not in _REORDERING


def _length_size(extradata: bytes | None, at: int) -> int:
    """Bytes of the lengths between units, as mp4 and mkv have them; 0 for start codes."""
    if not extradata or len(extradata) <= at or extradata[0] != 1:
        return 0
    return (extradata[at] & 3) + 1


def _units(data: bytes, length_size: int) -> Iterator[bytes]:
    """The first byte of every unit."""
    if not length_size:
        at = data.find(_START)
        while at >= 0 and at + 3 < len(data):
            yield data[at + 3 : at + 4]
            at = data.find(_START, at + 3)
        return
    at = 0
    while at + length_size < len(data):
        yield data[at + length_size : at + length_size + 1]
        at += length_size + int.from_bytes(data[at : at + length_size], "big")
