"""The contact sheet: a video at a glance."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from PIL import Image, ImageDraw, ImageFont

from skald_bridge.media.findings import Findings, Span
from skald_bridge.media.frames import grab
from skald_bridge.media.inputs import Source
from skald_bridge.media.measure import Measures
from skald_bridge.media.probe import Probe, timestamp

TILE = 360
_INTO_SCENE = 0.2  # seconds after a cut, when a picture is no longer a blend of both
GAP = 14
MARGIN = 36
HEAD = 104
STRIP = 150
FOOT = 44
_BACK, _CARD, _INK, _DIM = "#101418", "#1a2027", "#f2f5f7", "#8fa0ad"
_SCENE, _MOTION, _BLACK, _SILENT = "#ffb454", "#4cc2ff", "#d0d7de", "#b48cff"
_PARTS = ("#2e7d6b", "#6b5b95", "#a85751", "#3f6fa3", "#8a7a2f", "#5f7d3a")


@dataclass(frozen=True)
class SheetPart:
    """A segment of the finished video, as the sheet names it."""

    start: float
    end: float
    note: str = ""


@dataclass(frozen=True)
class Sheet:
    """What goes onto the sheet, pictures apart."""

    title: str
    subtitle: str
    findings: Findings
    measures: Measures
    parts: Sequence[SheetPart] = field(default_factory=tuple)
    columns: int = 4
    pictures: int = 16


def picture_times(findings: Findings, count: int) -> list[float]:
    """``count`` times, evenly spread; each gives way to a scene that begins close by, so that it shows."""
    step = findings.seconds / count
    shown = [cut + _INTO_SCENE for cut in findings.scenes]
    times = set()
    for index in range(count):
        middle = (index + 0.5) * step
        nearest = min(shown, key=lambda at, to=middle: abs(at - to), default=middle)  # type: ignore[misc]
        at = nearest if abs(nearest - middle) < step / 2 else middle
        times.add(round(min(at, max(0.0, findings.seconds - 0.05)), 3))
    return sorted(times)


def draw(sheet: Sheet, source: Source, probe: Probe) -> Image.Image:
    """The sheet as an RGB picture; its frames are read from ``source``, the finished video."""
    times = picture_times(sheet.findings, sheet.pictures)
    pictures = grab(source, probe, times, width=TILE)
    tile_height = round(TILE * probe.height / probe.width)
    columns = min(sheet.columns, max(1, len(pictures)))
    rows = math.ceil(len(pictures) / columns)
    width = 2 * MARGIN + columns * TILE + (columns - 1) * GAP
    grid_height = rows * (tile_height + _CAPTION) + (rows - 1) * GAP
    height = HEAD + grid_height + 2 * GAP + STRIP + FOOT
    image = Image.new("RGB", (width, height), _BACK)
    pen = ImageDraw.Draw(image)
    _head(pen, sheet, width)
    for index, (at, picture) in enumerate(zip(times, pictures, strict=False)):
        row, column = divmod(index, columns)
        x = MARGIN + column * (TILE + GAP)
        y = HEAD + row * (tile_height + _CAPTION + GAP)
        earlier = times[index - 1] if index else -1.0
        _tile(image, pen, (x, y), picture.resize((TILE, tile_height)), at, earlier, sheet)
    top = HEAD + grid_height + 2 * GAP
    _timeline(pen, sheet, (MARGIN, top, width - MARGIN, top + STRIP))
    _legend(pen, sheet, width, height)
    return image


def save(image: Image.Image, path: Path, *, quality: int = 88) -> Path:
    image.save(path, format="JPEG", quality=quality, optimize=True)
    return path


_CAPTION = 30


def _font(size: int) -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    return ImageFont.load_default(size=size)


def _head(pen: ImageDraw.ImageDraw, sheet: Sheet, width: int) -> None:
    pen.text((MARGIN, 26), sheet.title, font=_font(32), fill=_INK, stroke_width=0.4)
    pen.text((MARGIN, 68), sheet.subtitle, font=_font(17), fill=_DIM)
    found = sheet.findings
    facts = [("scenes", str(len(found.scenes) + 1)), ("black", _sum(found.black))]
    facts.append(("silent", _sum(found.silence) if found.silence is not None else "no sound"))
    facts.append(("motion", f"{found.motion_mean * 100:.1f} %"))
    x = width - MARGIN
    for name, value in reversed(facts):
        wide = max(pen.textlength(value, font=_font(24)), pen.textlength(name, font=_font(14)))
        x -= round(wide)
        pen.text((x, 32), value, font=_font(24), fill=_INK)
        pen.text((x, 66), name, font=_font(14), fill=_DIM)
        x -= 34


def _sum(spans: Sequence[Span]) -> str:
    return f"{sum(span.end - span.start for span in spans):.1f} s"


def _tile(
    image: Image.Image,
    pen: ImageDraw.ImageDraw,
    corner: tuple[int, int],
    picture: Image.Image,
    at: float,
    earlier: float,
    sheet: Sheet,
) -> None:
    x, y = corner
    image.paste(picture, (x, y))
    bottom = y + picture.height
    _chip(pen, (x + 8, bottom - 34), timestamp(at), ink=_INK, back="#000000")
    new = [number for number, cut in enumerate(sheet.findings.scenes, 2) if earlier < cut <= at]
    number = new[-1] if new else 1
    if new or earlier < 0:
        _chip(pen, (x + 8, y + 8), f"scene {number}", ink="#20160a", back=_SCENE)
    part = next((i for i, p in enumerate(sheet.parts) if p.start <= at < p.end), None)
    colour = _PARTS[part % len(_PARTS)] if part is not None else _CARD
    pen.rectangle((x, bottom, x + TILE - 1, bottom + _CAPTION - 1), fill=_CARD)
    pen.rectangle((x, bottom, x + 5, bottom + _CAPTION - 1), fill=colour)
    if part is not None:
        text = _clipped(pen, f"{part + 1}  ·  {sheet.parts[part].note}", 15, TILE - 28)
        pen.text((x + 16, bottom + 6), text, font=_font(15), fill=_DIM)


def _chip(pen: ImageDraw.ImageDraw, corner: tuple[int, int], text: str, *, ink: str, back: str) -> None:
    x, y = corner
    wide = pen.textlength(text, font=_font(15))
    pen.rounded_rectangle((x, y, x + wide + 16, y + 25), radius=5, fill=back)
    pen.text((x + 8, y + 3), text, font=_font(15), fill=ink)


def _clipped(pen: ImageDraw.ImageDraw, text: str, size: int, room: float) -> str:
    if pen.textlength(text, font=_font(size)) <= room:
        return text
    while text and pen.textlength(text + "…", font=_font(size)) > room:
        text = text[:-1]
    return text + "…"


def _timeline(pen: ImageDraw.ImageDraw, sheet: Sheet, box: tuple[int, int, int, int]) -> None:
    """Motion as a curve over the whole length; below it black, silence, parts and the time."""
    left, top, right, _ = box
    found = sheet.findings
    length = max(found.seconds, 0.001)
    graph_bottom = top + 70

    def at(seconds: float) -> float:
        return left + (right - left) * min(1.0, max(0.0, seconds / length))

    pen.rectangle((left, top, right, graph_bottom), fill=_CARD)
    for span in found.black:
        pen.rectangle((at(span.start), top, at(span.end), graph_bottom), fill="#000000")
        pen.rectangle((at(span.start), top, at(span.end), top + 3), fill=_BLACK)
    _curve(pen, sheet.measures, left, right, top + 8, graph_bottom)
    for span in found.silence or []:
        pen.rectangle((at(span.start), graph_bottom + 4, at(span.end), graph_bottom + 9), fill=_SILENT)
    for cut in found.scenes:
        pen.line((at(cut), top, at(cut), graph_bottom), fill=_SCENE, width=2)
    band = graph_bottom + 14
    for index, part in enumerate(sheet.parts):
        x0, x1 = at(part.start), at(part.end)
        pen.rectangle((x0, band, max(x0, x1 - 2), band + 24), fill=_PARTS[index % len(_PARTS)])
        text = _clipped(pen, f"{index + 1}  ·  {part.note}", 14, x1 - x0 - 14)
        if len(text) > 1:
            pen.text((x0 + 6, band + 4), text, font=_font(14), fill=_INK)
    for index in range(5):
        text = timestamp(length * index / 4)
        wide = pen.textlength(text, font=_font(14))
        x = min(max(at(length * index / 4) - wide / 2, left), right - wide)
        pen.text((x, band + 32), text, font=_font(14), fill=_DIM)


def _curve(
    pen: ImageDraw.ImageDraw, measures: Measures, left: int, right: int, top: int, bottom: int
) -> None:
    width = right - left
    if not measures.change or width < 1:
        return
    # single cuts would flatten everything else, so the curve is scaled to the busiest twentieth
    ordered = sorted(measures.change)
    scale = max(ordered[min(len(ordered) - 1, int(len(ordered) * 0.95))], 0.004)
    columns = [0.0] * (width + 1)
    for at, value in zip(measures.times, measures.change, strict=True):
        column = min(width, int(width * at / max(measures.seconds, 0.001)))
        columns[column] = max(columns[column], min(1.0, value / scale))
    step = max(1, math.ceil(width / len(measures.change)))
    points = [(left + x, bottom - (bottom - top) * max(columns[x : x + step])) for x in range(0, width, step)]
    pen.polygon([(left, bottom), *points, (right, bottom)], fill="#1d4a63")
    pen.line(points, fill=_MOTION, width=2)


def _legend(pen: ImageDraw.ImageDraw, sheet: Sheet, width: int, height: int) -> None:
    x, y = float(MARGIN), height - FOOT + 8
    entries = [("motion", _MOTION), ("scene begins", _SCENE), ("black", _BLACK)]
    if sheet.findings.silence is not None:
        entries.append(("silence", _SILENT))
    for name, colour in entries:
        pen.rectangle((x, y + 4, x + 12, y + 16), fill=colour)
        pen.text((x + 20, y), name, font=_font(15), fill=_DIM)
        x += 44 + pen.textlength(name, font=_font(15))
    text = f"{sheet.findings.pictures} pictures in {len(sheet.parts) or 1} parts"
    pen.text((width - MARGIN - pen.textlength(text, font=_font(15)), y), text, font=_font(15), fill=_DIM)
