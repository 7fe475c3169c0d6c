"""JSON as Go's ``encoding/json`` reads and writes it, where that differs from Python's; pure.

A body's first value counts, whatever follows it. Keys match in any case, the last duplicate wins, ``null`` leaves a
field as it is, bytes that are no UTF-8 and halves of surrogate pairs become U+FFFD, fractions are no integers.
"""

from __future__ import annotations

import codecs
import json
import re
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

_INT64 = 2**63
_SPACE = re.compile(r"[ \t\n\r]*")
_INTEGER = re.compile(r"-?[0-9]{1,19}")
_SURROGATE = re.compile("[\ud800-\udfff]")
_ESCAPED = re.compile('[\x00-\x1f"\\\\<>&\u2028\u2029]')
_SHORT = {'"': '\\"', "\\": "\\\\", "\n": "\\n", "\r": "\\r", "\t": "\\t", "\b": "\\b", "\f": "\\f"}
_REPLACED = "\ufffd"


class Malformed(ValueError):
    """Go's decoder refuses it."""


class _Object(list[tuple[str, Any]]):
    """Every pair of an object, in order."""


class Number(str):
    """As it was written."""

    __slots__ = ()


def _one_for_each_byte(error: UnicodeError) -> tuple[str, int]:
    assert isinstance(error, UnicodeDecodeError)
    return _REPLACED * (error.end - error.start), error.end


def _no_constant(name: str) -> Any:
    raise Malformed(f"{name} is no JSON")


codecs.register_error("go-replace", _one_for_each_byte)
_DECODER = json.JSONDecoder(
    object_pairs_hook=_Object, parse_int=Number, parse_float=Number, parse_constant=_no_constant
)


def pairs(body: bytes) -> Iterator[tuple[str, Any]]:
    """The fields of the object that ``body`` begins with, keys in lower case; ``null`` has none.

    Raises:
        Malformed: it begins with no object.
    """
    text = body.decode("utf-8", "go-replace")
    begin = _SPACE.match(text)
    assert begin is not None
    try:
        value, _ = _DECODER.raw_decode(text, begin.end())
    except (ValueError, RecursionError) as error:
        raise Malformed(str(error)) from error
    if value is None:
        return
    if not isinstance(value, _Object):
        raise Malformed("no object")
    yield from _folded(value)


def _folded(value: _Object) -> Iterator[tuple[str, Any]]:
    for name, given in value:
        # Go folds U+017F and U+212A to s and k; lower() knows the second.
        yield name.replace("ſ", "s").lower(), given


def text(value: Any) -> str:
    """Raises ``Malformed`` for anything but a string."""
    if type(value) is not str:
        raise Malformed("no string")
    return _SURROGATE.sub(_REPLACED, value) if not value.isascii() else value


def integer(value: Any) -> int:
    """An int64; raises ``Malformed`` for anything else."""
    if not isinstance(value, Number) or _INTEGER.fullmatch(value) is None:
        raise Malformed("no integer")
    number = int(value)
    if not -_INT64 <= number < _INT64:
        raise Malformed("too large")
    return number


def real(value: Any) -> float:
    """A finite number; raises ``Malformed`` for anything else."""
    if not isinstance(value, Number):
        raise Malformed("no number")
    number = float(value)
    if number in (float("inf"), float("-inf")):
        raise Malformed("too large")
    return number


def truth(value: Any) -> bool:
    """Raises ``Malformed`` for anything but a boolean."""
    if not isinstance(value, bool):
        raise Malformed("no boolean")
    return value


class Texts:
    """A slice of strings: a later array is decoded over the earlier one, whose elements ``null`` leaves."""

    def __init__(self) -> None:
        self._backing: list[str] = []
        self._length: int | None = None

    def decode(self, value: Any) -> None:
        """Raises ``Malformed`` for anything but an array of strings."""
        if value is None:
            self._backing, self._length = [], None
            return
        array = items(value)
        if not array:
            self._backing = []
        for index, item in enumerate(array):
            if index == len(self._backing):
                self._backing.append("")
            if item is not None:
                self._backing[index] = text(item)
        self._length = len(array)

    @property
    def value(self) -> tuple[str, ...] | None:
        """``None`` where there was no array, or ``null``."""
        return None if self._length is None else tuple(self._backing[: self._length])


def plain(value: Any) -> Any:
    """A value within a body as Python has it; of a duplicate key the last."""
    if isinstance(value, _Object):
        return {name: plain(given) for name, given in value}
    if isinstance(value, list):
        return [plain(item) for item in value]
    if isinstance(value, Number):
        return int(value) if _INTEGER.fullmatch(value) else real(value)
    return text(value) if isinstance(value, str) else value


def items(value: Any) -> list[Any]:
    """Of an array within a body; raises ``Malformed`` for anything else."""
    if not isinstance(value, list) or isinstance(value, _Object):
        raise Malformed("no array")
    return value


def quoted(value: str) -> str:
    """A string as Go's encoder writes it, for HTML."""
    return f'"{_ESCAPED.sub(_escape, value)}"'


def _escape(found: re.Match[str]) -> str:
    character = found[0]
    return _SHORT.get(character) or f"\\u{ord(character):04x}"


def quoted_texts(values: tuple[str, ...] | None) -> str:
    return "null" if values is None else f"[{','.join(map(quoted, values))}]"


def quoted_time(moment: datetime) -> str:
    """UTC as RFC 3339, with as many digits as are needed."""
    whole = moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S")
    fraction = f".{moment.microsecond:06d}".rstrip("0") if moment.microsecond else ""
    return f'"{whole}{fraction}Z"'
