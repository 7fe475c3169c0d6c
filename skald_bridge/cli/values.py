"""Attachments from the command line: ``key=value`` words and a JSON file."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from skald_bridge.domain.errors import InvalidInput, NotFound
from skald_bridge.domain.values import MOST_DEPTH


def attachments(words: Sequence[str], file: Path | None) -> dict[str, Any]:
    """The file's object, with each ``key=value`` over it; a value is JSON, else text.

    Raises:
        NotFound: there is no such file.
        InvalidInput: a word without ``=``, a key given twice, or a file that holds no JSON object.
    """
    found: dict[str, Any] = dict(_file(file)) if file is not None else {}
    seen: set[str] = set()
    for word in words:
        key, equals, text = word.partition("=")
        key = key.strip()
        if not equals or not key:
            raise InvalidInput(
                f"{word!r} is not key=value.",
                remedy='Write such as fps=30, url=rtsp://host/1 or names=["a","b"].',
            )
        if key in seen:
            raise InvalidInput(f"{key} is given twice.", remedy="Keep one.")
        seen.add(key)
        found[key] = value(text)
    return found


def value(text: str) -> Any:
    """``30`` is a number, ``true`` a truth value, ``"30"`` and everything that is no JSON are text."""
    try:
        return json.loads(text)
    except RecursionError:
        raise InvalidInput(
            "A value is nested too deep.", remedy=f"Nest at most {MOST_DEPTH} levels."
        ) from None
    except ValueError:
        return text


def _file(path: Path) -> dict[str, Any]:
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise NotFound(f"--file: there is no file {path}.") from None
    except (OSError, ValueError, RecursionError) as error:
        raise InvalidInput(f"--file: {path} is not JSON: {error}.") from error
    if not isinstance(data, dict):
        raise InvalidInput(f"--file: {path} must hold one JSON object, with the attachments' fields.")
    return data
