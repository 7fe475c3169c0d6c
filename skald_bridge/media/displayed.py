"""The picture as a player shows it: turned, mirrored, with square pixels, in the colours of a usual screen."""

from __future__ import annotations

import struct
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import av
import numpy as np
from numpy.typing import NDArray
from PIL import Image

PQ, HLG = 16, 18
"""Transfer characteristics of HDR, as in ITU-T H.273."""
PEAK = 10.0
"""Brightness that becomes white, over that of a usual screen (100 cd/m²)."""
_BT2020_TO_BT709 = np.array(
    [[1.6605, -0.5876, -0.0728], [-0.1246, 1.1329, -0.0083], [-0.0182, -0.1006, 1.1187]]
)


@dataclass(frozen=True)
class Geometry:
    """``width`` and ``height`` as shown. To show a picture: swap its axes, then flip it as said."""

    width: int
    height: int
    swapped: bool = False
    left_right: bool = False
    upside_down: bool = False

    def at_height(self, height: int) -> tuple[int, int]:
        """Even width and height with the same proportions."""
        return max(2, 2 * round(self.width * height / self.height / 2)), height

    def at_width(self, width: int) -> tuple[int, int]:
        return width, max(2, round(self.height * width / self.width))


def geometry(
    width: int, height: int, pixel_aspect: Fraction | None = None, matrix: Sequence[int] | None = None
) -> Geometry:
    """Of coded pictures whose pixels are ``pixel_aspect`` wide, under a display ``matrix`` of nine numbers.

    An angle between the quarter turns counts as the nearest of them.
    """
    aspect = pixel_aspect if pixel_aspect and pixel_aspect > 0 else Fraction(1)
    wide, high = (round(width * aspect), height) if aspect >= 1 else (width, round(height / aspect))
    if matrix is None:
        return Geometry(wide, high)
    a, b, c, d = matrix[0], matrix[1], matrix[3], matrix[4]
    if abs(b) + abs(c) > abs(a) + abs(d):
        return Geometry(high, wide, swapped=True, left_right=c < 0, upside_down=b < 0)
    return Geometry(wide, high, left_right=a < 0, upside_down=d < 0)


def matrix_of(frame: av.VideoFrame) -> Sequence[int] | None:
    """The nine numbers of a decoded picture's display matrix, if it has one."""
    found: Any = frame.side_data.get("DISPLAYMATRIX")
    return struct.unpack("<9i", bytes(found)) if found is not None else None


def geometry_of(
    frame: av.VideoFrame, pixel_aspect: Fraction | None, matrix: Sequence[int] | None = None
) -> Geometry:
    """Of a decoded picture; ``matrix``: for one that has none of its own."""
    return geometry(frame.width, frame.height, pixel_aspect, matrix_of(frame) or matrix)


def upright(
    frame: av.VideoFrame, pixel_aspect: Fraction | None, width: int, matrix: Sequence[int] | None = None
) -> Image.Image:
    """A decoded picture as it is shown, ``width`` pixels wide; ``matrix`` as in ``geometry_of``."""
    shape = geometry_of(frame, pixel_aspect, matrix)
    size = shape.at_width(width)
    raw = (size[1], size[0]) if shape.swapped else size
    if frame.color_trc in (PQ, HLG):
        deep = np.asarray(
            frame.reformat(width=raw[0], height=raw[1], format="rgb48le").to_ndarray(), np.uint16
        )
        picture = Image.fromarray(tone_mapped(deep, frame.color_trc))
    elif frame.interlaced_frame:
        # one field alone: two would show as a comb where something moves
        picture = Image.fromarray(frame.reformat(format="rgb24").to_ndarray()[::2]).resize(raw)
    else:
        picture = Image.fromarray(frame.reformat(width=raw[0], height=raw[1], format="rgb24").to_ndarray())
    if shape.swapped:
        picture = picture.transpose(Image.Transpose.TRANSPOSE)
    if shape.left_right:
        picture = picture.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
    if shape.upside_down:
        picture = picture.transpose(Image.Transpose.FLIP_TOP_BOTTOM)
    return picture


def tone_mapped(deep: NDArray[np.uint16], transfer: int) -> NDArray[np.uint8]:
    """BT.2020 RGB of 16 bits under ``PQ`` or ``HLG`` as BT.709 RGB of 8 bits, by Hable's curve."""
    value = deep.astype(np.float64) / 65535
    light = _from_pq(value) if transfer == PQ else _from_hlg(value)
    light = np.clip(light @ _BT2020_TO_BT709.T, 0, None)
    peak = np.maximum(light.max(axis=-1, keepdims=True), 1e-6)
    light *= _hable(peak) / _hable(np.array(PEAK)) / peak
    return np.asarray(np.clip(light, 0, 1) ** (1 / 2.2) * 255 + 0.5, np.uint8)


def _from_pq(value: NDArray[np.float64]) -> NDArray[np.float64]:
    root = value ** (32 / 2523)
    power = np.maximum(root - 0.8359375, 0) / (18.8515625 - 18.6875 * root)
    return np.asarray(100 * power ** (16384 / 2610), np.float64)


def _from_hlg(value: NDArray[np.float64]) -> NDArray[np.float64]:
    scene = np.where(
        value <= 0.5, value**2 / 3, (np.exp((value - 0.55991073) / 0.17883277) + 0.28466892) / 12
    )
    luma = np.maximum(scene @ np.array([0.2627, 0.678, 0.0593]), 1e-6)[..., None]
    return np.asarray(PEAK * scene * luma**0.2, np.float64)


def _hable(light: NDArray[np.float64]) -> NDArray[np.float64]:
    top, bottom = light * (0.15 * light + 0.05) + 0.004, light * (0.15 * light + 0.5) + 0.06
    return np.asarray(top / bottom - 0.004 / 0.06, np.float64)
