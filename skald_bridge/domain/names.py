"""Names that people give to pools and nodes: those that Prefect or a path would not take; pure."""

from __future__ import annotations

import re

from skald_bridge.domain.errors import InvalidInput

LONGEST_NAME = 200
_UNFIT = re.compile("[\x00-\x1f\x7f-\x9f\ud800-\udfff/\\\\%&<>?#]")


def check_resource_name(what: str, text: str) -> str:
    """The name, if it can be one; ``what`` is an option or a word such as ``pool``.

    Raises:
        InvalidInput: it is empty, too long, or has a character that is not taken; the message says which.
    """
    if not text.strip("' \""):
        raise InvalidInput(f"{what}: the name is empty.", remedy="Give it at least one letter or digit.")
    if len(text) > LONGEST_NAME:
        raise InvalidInput(
            f"{what}: the name has {len(text)} characters.", remedy=f"Give it at most {LONGEST_NAME}."
        )
    if found := _UNFIT.search(text):
        char = found[0] if found[0].isprintable() else f"U+{ord(found[0]):04X}"
        raise InvalidInput(
            f"{what}: {text!r} has the character {char} in it.",
            remedy="Use letters, digits, spaces, dots, dashes and underscores.",
        )
    if text in (".", "..") or text != text.strip():
        raise InvalidInput(
            f"{what}: {text!r} is no name.", remedy="Use letters and digits, no spaces around them."
        )
    return text
