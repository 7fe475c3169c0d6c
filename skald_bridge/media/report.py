"""Reports for people, as Markdown."""

from __future__ import annotations

from collections.abc import Sequence

from skald_bridge.media.findings import Findings, Span
from skald_bridge.media.probe import Probe, timestamp


def findings_markdown(title: str, probe: Probe, findings: Findings, warnings: Sequence[str] = ()) -> str:
    """One page on a video, ``warnings`` first."""
    silence = "no sound track" if findings.silence is None else _spans(findings.silence)
    scenes = ", ".join(timestamp(at) for at in findings.scenes) or "one scene"
    rows = [
        ("Length", f"{timestamp(findings.seconds)}, {findings.pictures} pictures"),
        ("Scenes", f"{len(findings.scenes) + 1}; new ones at {scenes}" if findings.scenes else "1"),
        ("Black", _spans(findings.black)),
        ("Silence", silence),
        ("Still", _spans(findings.still)),
        (
            "Motion",
            f"{findings.motion_mean * 100:.2f} % of the picture on average, most at "
            f"{timestamp(findings.motion_peak_at)}",
        ),
    ]
    told = "".join(f"- **Warning:** {escaped(each)}\n" for each in warnings)
    return f"# {escaped(title)}\n\n{probe.line}\n\n{told}{chr(10) * bool(told)}{table(('', ''), rows)}"


def in_short(text: str, warnings: Sequence[str]) -> str:
    """``text`` as a task's last progress, with its ``warnings``."""
    return f"{text}; warning: {'; '.join(warnings)}" if warnings else text


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A Markdown table; cells are escaped."""
    lines = [_row(head), _row(["---"] * len(head)), *(_row([escaped(cell) for cell in row]) for row in rows)]
    return "\n".join(lines) + "\n"


def escaped(text: str) -> str:
    """``text`` that Markdown shows as it is."""
    for character in "\\`*_[]<>|#":
        text = text.replace(character, f"\\{character}")
    return " ".join(text.split())


def _row(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"


def _spans(spans: Sequence[Span]) -> str:
    if not spans:
        return "none"
    total = sum(span.end - span.start for span in spans)
    shown = ", ".join(f"{timestamp(span.start)} to {timestamp(span.end)}" for span in spans[:10])
    return f"{total:.1f} s: {shown}" + (" …" if len(spans) > 10 else "")
