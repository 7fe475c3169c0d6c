"""Which values a task can be given: what JSON holds, and every store and language on the way keeps; pure."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterator
from typing import Any, NamedTuple, NoReturn

from skald_bridge.domain.errors import InvalidInput

MOST_DEPTH = 64
"""Objects and lists inside each other."""
MOST_BYTES = 10 * 2**20
"""As compact JSON in UTF-8."""
_WIDEST = 6
"""Bytes that one character takes at most in JSON."""
_SAID = 300
"""Characters of a path that an error quotes at most."""
_PLAIN = re.compile(r"[\w$-]{1,60}", re.ASCII)
_LEAST, _MOST = -(2**63), 2**63 - 1
_ONLY = "Write only objects, lists, text, numbers, true, false and null."
_KEY = "Write the key as text, in quotes."
_TEXT = "Write text in Unicode without NUL."


class _Place(NamedTuple):
    """Where a value stands: in ``above``, under a key or at an index."""

    above: _Place | None
    step: str | int


def check_values(value: object, field: str = "attachments") -> None:
    """Pass what every door, store and task keeps as it is.

    Numbers are finite and within 64 bits, text is Unicode without NUL, keys are text, and there is nothing but
    what JSON holds, at most ``MOST_DEPTH`` deep and ``MOST_BYTES`` long.

    Raises:
        InvalidInput: names the place, such as ``attachments.cameras[3].rate``, and the remedy.
    """
    length = _check_one(value, None, field)
    # Iterators, not recursion: one for each level, and nothing is made for what is well.
    inside: list[tuple[_Place | None, Iterator[tuple[Any, Any]]]] = [(None, iter([(field, value)]))]
    while inside:
        place, items = inside[-1]
        for step, each in items:
            if place is not None:
                length += _check_one(each, place, step)
            if length > MOST_BYTES:
                _refuse_size(field)
            kind = type(each)
            if kind is list or kind is dict:
                here = _Place(place, step)
                if len(inside) > MOST_DEPTH:
                    _refuse(here, f"it is nested more than {MOST_DEPTH} levels deep", "Write it flatter.")
                if kind is dict:
                    length += sum(_check_key(key, here) for key in each)
                inside.append((here, iter(each.items() if kind is dict else enumerate(each))))
                break
        else:
            inside.pop()
    if length * _WIDEST > MOST_BYTES and json_bytes(value) > MOST_BYTES:
        _refuse_size(field)


def check_text(text: str, field: str) -> None:
    """Raise ``InvalidInput`` for text that is no Unicode, or has NUL in it."""
    _check_text(text, None, field)


def check_name(text: str, field: str, most: int, *, empty: bool = True, lines: bool = False) -> None:
    """Raise ``InvalidInput`` for text longer than ``most`` characters, or with control characters in it.

    ``lines``: it may have lines and tabs.
    """
    check_text(text, field)
    if not empty and not text.strip():
        raise InvalidInput(f"{field}: it is empty", remedy=f"Give {field} a value.")
    if len(text) > most:
        raise InvalidInput(f"{field}: it has {len(text)} characters", remedy=f"Write at most {most}.")
    if any((ord(one) < 32 and not (lines and one in "\t\n\r")) or ord(one) == 127 for one in text):
        raise InvalidInput(f"{field}: it has a control character", remedy="Leave control characters out.")


def read_json(data: bytes | str) -> Any:
    """JSON as it was sent.

    Raises:
        InvalidInput: it is no JSON, or holds what no JSON holds, is nested too deep or too large a number.
    """
    try:
        return json.loads(data, parse_constant=_no_constant)
    except RecursionError:
        raise InvalidInput(
            "not JSON that can be read: it is nested too deep", remedy=f"Nest at most {MOST_DEPTH} levels."
        ) from None
    except json.JSONDecodeError as error:
        raise InvalidInput(f"not JSON: {error}", remedy="Send a JSON object in UTF-8.") from error
    except UnicodeDecodeError as error:
        raise InvalidInput(f"not JSON: {error}", remedy="Send a JSON object in UTF-8.") from error
    except ValueError as error:
        # Python reads no number of more than some thousand digits.
        raise InvalidInput(
            "not JSON that can be read: a number has too many digits", remedy="Write a smaller number."
        ) from error


def json_bytes(value: object) -> int:
    """Length of checked values as compact JSON in UTF-8."""
    return len(json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode())


def _check_one(value: Any, above: _Place | None, step: Any) -> int:
    """Look at one value, not at what is in it; how many bytes it takes at least."""
    kind = type(value)
    length = 1
    if kind is str:
        _check_text(value, above, step)
        length += len(value) + 1
    elif kind is list or kind is dict:
        length += len(value) or 1
    elif kind is float:
        if not math.isfinite(value):
            _refuse(_Place(above, step), f"{value} is no number", "Write a finite number.")
    elif isinstance(value, int):
        if not _LEAST <= value <= _MOST:
            _refuse(_Place(above, step), "it is an integer past 64 bits", "Write a smaller number, or text.")
    elif value is not None:
        _refuse(_Place(above, step), f"a {kind.__name__} is nothing that JSON holds", _ONLY)
    return length


def _check_key(key: Any, above: _Place) -> int:
    if type(key) is not str:
        _refuse(_Place(above, repr(key)), f"its key is a {type(key).__name__}, not text", _KEY)
    _check_text(key, above, key)
    return len(key) + 3


def _check_text(text: str, above: _Place | None, step: str | int) -> None:
    if "\0" in text:
        _refuse(_Place(above, step), "there is a NUL in it", _TEXT)
    if not text.isascii():
        try:
            text.encode()
        except UnicodeEncodeError:
            _refuse(_Place(above, step), "there is half a character in it (a lone surrogate)", _TEXT)


def _refuse_size(field: str) -> NoReturn:
    _refuse(
        _Place(None, field),
        f"it is larger than {MOST_BYTES // 2**20} MiB",
        "Put large data into a file or a store, and name it there.",
    )


def _no_constant(name: str) -> NoReturn:
    raise InvalidInput(f"not JSON: {name} is no number in it", remedy="Write a finite number, or null.")


def _refuse(place: _Place, why: str, remedy: str) -> NoReturn:
    raise InvalidInput(f"{_path(place)}: {why}", remedy=remedy)


def _path(place: _Place) -> str:
    steps: list[str] = []
    at: _Place | None = place
    while at is not None:
        steps.append(_step(at.step, first=at.above is None))
        at = at.above
    path = "".join(reversed(steps))
    return path if len(path) <= _SAID else f"{path[: _SAID // 2]}…{path[-_SAID // 2 :]}"


def _step(step: str | int, *, first: bool) -> str:
    if first:
        return str(step)
    if isinstance(step, int):
        return f"[{step}]"
    return f".{step}" if _PLAIN.fullmatch(step) else f"[{json.dumps(step[:60])}]"
