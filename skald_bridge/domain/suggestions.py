"""Messages that help to find the right word."""

from __future__ import annotations

from collections.abc import Sequence
from difflib import get_close_matches


def unknown_field(given: str, known: Sequence[str]) -> str:
    """``unknown field 'fixFrme', did you mean 'fixFrame'?``, or all names that are known."""
    near = get_close_matches(given, known, 1)
    hint = f"did you mean {near[0]!r}?" if near else "known are: " + ", ".join(known)
    return f"unknown field {given!r}, {hint}"
