"""What each container carries so that players play it. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

Container = Literal["mp4", "mkv", "ts"]
Sound = Literal["copy", "aac", "none"]

_PICTURES: Mapping[Container, frozenset[str]] = {
    "mkv": frozenset(
        {"h264", "hevc", "vvc", "av1", "vp8", "vp9", "mpeg4", "mpeg2video", "mpeg1video", "mjpeg"}
    )
    | {"theora", "ffv1", "prores", "dirac", "msmpeg4v3", "rv30", "rv40"},
    "mp4": frozenset({"h264", "hevc", "vvc", "av1", "vp9", "mpeg4", "mpeg2video", "mpeg1video", "mjpeg"}),
    "ts": frozenset({"h264", "hevc", "vvc", "mpeg4", "mpeg2video", "mpeg1video"}),
}
_SOUNDS: Mapping[Container, frozenset[str]] = {
    "mp4": frozenset({"aac", "mp3", "ac3", "eac3", "opus", "flac", "alac"}),
    "mkv": frozenset({"aac", "mp3", "mp2", "ac3", "eac3", "dts", "truehd", "opus", "vorbis", "flac", "alac"})
    | {f"pcm_{kind}" for kind in ("s16le", "s24le", "s32le", "f32le")},
    "ts": frozenset({"aac", "mp3", "mp2", "ac3", "eac3", "opus"}),
}


def carries_picture(container: Container, codec: str) -> bool:
    """Whether a picture of ``codec`` can be copied into ``container`` and is played from it."""
    return codec in _PICTURES[container]


def for_sound(container: Container, codec: str, *, decoder: bool) -> Sound:
    """What to do with a sound track of ``codec``: copy it, encode it to AAC, or leave it out."""
    if not decoder:
        return "none"
    return "copy" if codec in _SOUNDS[container] else "aac"


def remedy_for_picture(container: Container, codec: str) -> str:
    """What to do where ``container`` does not carry ``codec``; never what was just refused."""
    if others := [name for name in _PICTURES if name != container and carries_picture(name, codec)]:
        return f"Use container {others[0]}."
    return f"Transcode it: the task type transcode makes H.264 of {codec}."
