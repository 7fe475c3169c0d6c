"""A single picture as a video, so that whatever takes a video takes it."""

from __future__ import annotations

import io
from fractions import Fraction
from pathlib import Path

import av
from PIL import Image

from skald_bridge.media.errors import BadMedia

_MOST_PIXELS = 8192 * 8192
_RATE = 25


def is_jpeg(data: bytes) -> bool:
    return data[:3] == b"\xff\xd8\xff"


def jpeg_as_video(data: bytes, path: Path, *, shown: str) -> Path:
    """``data`` as the only picture of the Matroska file ``path``, not encoded anew; ``shown``: its name for people.

    Raises:
        BadMedia: it is no whole picture, or one of more than 64 megapixels.
    """
    try:
        with Image.open(io.BytesIO(data), formats=("JPEG",)) as picture:
            width, height = picture.size
            if width * height <= _MOST_PIXELS:
                picture.load()
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        raise BadMedia(f"{shown} is no whole JPEG picture ({error})", remedy="Write it anew.") from None
    if width * height > _MOST_PIXELS:
        raise BadMedia(f"{shown} has {width}x{height} pixels", remedy="Use a smaller picture.")
    with av.open(str(path), "w", format="matroska") as output:
        stream = output.add_stream("mjpeg", rate=_RATE)
        stream.width, stream.height, stream.pix_fmt = width, height, "yuvj420p"
        packet = av.Packet(data)
        packet.stream = stream
        packet.time_base = Fraction(1, _RATE)
        packet.pts = packet.dts = 0
        packet.duration = 1
        packet.is_keyframe = True
        output.mux(packet)
    return path
