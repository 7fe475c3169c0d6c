"""Lines over hours as an SVG picture, readable on light and dark pages."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

WIDTH, HEIGHT, LEFT, TOP, GAP = 760, 170, 64, 34, 46
COLOURS = ("#2f6fdf", "#d9822b", "#3a9d5d", "#a74fc4")


@dataclass(frozen=True)
class Line:
    name: str
    points: Sequence[tuple[float, float]]


@dataclass(frozen=True)
class Panel:
    """``most``: the top of its axis; ``unit`` follows the numbers on it."""

    title: str
    lines: Sequence[Line]
    most: float
    unit: str = ""


def picture(panels: Sequence[Panel], hours: float) -> str:
    """One panel below the other, over the same hours."""
    height = TOP + len(panels) * (HEIGHT + GAP)
    parts = [_panel(panel, TOP + number * (HEIGHT + GAP), hours) for number, panel in enumerate(panels)]
    style = (
        "text{font:12px system-ui,sans-serif;fill:#777}.t{font-weight:600}path{fill:none;stroke-width:1.6}"
    )
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" role="img">'
        f"<title>{escape('; '.join(panel.title for panel in panels))}</title><style>{style}</style>"
        f"{''.join(parts)}</svg>\n"
    )


def _panel(panel: Panel, top: float, hours: float) -> str:
    right, bottom = WIDTH - 20, top + HEIGHT
    made = [f'<text class="t" x="{LEFT}" y="{top - 10}">{escape(panel.title)}</text>']
    for part in (0, 0.5, 1):
        y = bottom - part * HEIGHT
        made.append(f'<line x1="{LEFT}" x2="{right}" y1="{y}" y2="{y}" stroke="#999" stroke-opacity=".35"/>')
        made.append(
            f'<text x="{LEFT - 8}" y="{y + 4}" text-anchor="end">{part * panel.most:,.0f}{panel.unit}</text>'
        )
    for hour in range(0, int(hours) + 1, max(1, int(hours) // 8)):
        x = LEFT + (right - LEFT) * hour / hours
        made.append(f'<text x="{x:.1f}" y="{bottom + 16}" text-anchor="middle">{hour} h</text>')
    for number, line in enumerate(panel.lines):
        colour = COLOURS[number % len(COLOURS)]
        points = (
            f"{LEFT + (right - LEFT) * hour / hours:.1f},{bottom - HEIGHT * min(1.0, value / panel.most):.1f}"
            for hour, value in line.points
        )
        made.append(f'<path d="M{" L".join(points)}" stroke="{colour}"/>')
        x = right - 90 * (len(panel.lines) - number)
        made.append(f'<text x="{x}" y="{top - 10}" style="fill:{colour}">{escape(line.name)}</text>')
    return "".join(made)
