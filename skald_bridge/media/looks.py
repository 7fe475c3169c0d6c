"""Looks and labels: what a picture can be dressed in."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

from PIL import Image, ImageDraw, ImageFont

Look = Literal["none", "gray", "sepia", "vivid", "cool"]

_FILTERS: dict[str, tuple[str, dict[str, float]]] = {
    "gray": ("hue", {"s": 0}),
    "vivid": ("hue", {"s": 1.7}),
    "sepia": (
        "colorchannelmixer",
        {
            "rr": 0.393,
            "rg": 0.769,
            "rb": 0.189,
            "gr": 0.349,
            "gg": 0.686,
            "gb": 0.168,
            "br": 0.272,
            "bg": 0.534,
            "bb": 0.131,
        },
    ),
    "cool": ("colorchannelmixer", {"rr": 0.8, "bb": 1.25}),
}
_INSET = 0.03


def dressed(video: Any, look: Look) -> Any:
    """An ffmpeg-python video stream with ``look`` applied."""
    if look == "none":
        return video
    name, values = _FILTERS[look]
    return video.filter(name, **values)


def label_picture(text: str, width: int, height: int, path: Path) -> Path:
    """A transparent PNG of ``width`` x ``height`` with ``text`` in its upper right corner.

    Drawn here and laid over the video, so that the text never becomes part of a command.
    """
    picture = Image.new("RGBA", (width, height), (0, 0, 0, 0))
    draw = ImageDraw.Draw(picture)
    inset = max(4, round(height * _INSET))
    size = max(10, height // 18)
    font = ImageFont.load_default(size=size)
    if (wide := draw.textlength(text, font=font)) > (room := width - 2 * inset):
        font = ImageFont.load_default(size=max(6, int(size * room / wide)))
    left, top, right, bottom = draw.textbbox((0, 0), text, font=font)
    x, y = width - inset - (right - left), inset
    pad = inset // 2
    draw.rounded_rectangle(
        (x - pad, y - pad, width - inset + pad, y + (bottom - top) + pad), radius=pad, fill=(0, 0, 0, 140)
    )
    draw.text((x - left, y - top), text, font=font, fill=(255, 255, 255, 235))
    picture.save(path)
    return path
