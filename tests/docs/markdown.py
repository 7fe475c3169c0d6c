"""Pages and tables in Markdown."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from typing import Any


def page(title: str, about: str, *parts: str) -> str:
    note = "<!-- Made by `make docs` from the code; change it there. -->"
    return "\n\n".join([note, f"# {title}", about, *parts]) + "\n"


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(cell.replace("|", "\\|") for cell in line) + " |" for line in lines)


def code(value: Any) -> str:
    return f"`{json.dumps(value, ensure_ascii=False, default=str)}`"


def line(text: str) -> str:
    return " ".join(text.split())
