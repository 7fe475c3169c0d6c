"""Text from outside as people may see it: on one line, without characters that steer a terminal; pure."""

from __future__ import annotations

import re

_ABOVE = "\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069\ud800-\udfff"
"""DEL and C1, ends of lines, reversals of the reading direction, halves of surrogate pairs."""
_STEERING = re.compile(f"[\x00-\x1f{_ABOVE}]")
_LEFT_BY_JSON = re.compile(f"[{_ABOVE}]")
_SHORT = {"\n": r"\n", "\r": r"\r", "\t": r"\t"}


def visible(text: str) -> str:
    """Such characters are written as Python writes them: ``\\n``, ``\\x1b``, ``\\u2028``."""
    return _STEERING.sub(_escaped, text)


def visible_json(text: str) -> str:
    """The same JSON, with what JSON itself lets through written as ``\\u…``."""
    return _LEFT_BY_JSON.sub(lambda found: f"\\u{ord(found[0]):04x}", text)


def _escaped(found: re.Match[str]) -> str:
    number = ord(found[0])
    return _SHORT.get(found[0]) or (f"\\x{number:02x}" if number < 0x100 else f"\\u{number:04x}")
