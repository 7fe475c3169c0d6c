"""Which ids a task can have."""

from __future__ import annotations

import pytest

from skald_bridge.domain.errors import InvalidInput
from skald_bridge.domain.ids import LONGEST_ID, check_id


@pytest.mark.parametrize(
    "text",
    [
        "9f1c2d3e-0000-4000-8000-0123456789ab", "9F1C2D3E-0000-4000-8000-0123456789AB",
        "a", "x" * LONGEST_ID, "a b", "a:b", "a%2Fb", "a\\b", "...", ".a", "-",
        "?", "#", "\U0001f3ac", "\u00e9", "classnames", "status", "\u202e", "a\u2028b",
    ],
)  # fmt: skip
def test_ids_that_are_taken(text: str) -> None:
    check_id(text)


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", "empty"), ("x" * (LONGEST_ID + 1), "201 characters"), ("a/b", "/"), ("/", "/"), ("a/", "/"),
        (".", "folder"), ("..", "folder"), ("a\nb", r"U\+000A"), ("a\r", r"U\+000D"), ("\x00", r"U\+0000"),
        ("a\x1b[31m", r"U\+001B"), ("\x7f", r"U\+007F"), ("a\x85b", r"U\+0085"), ("\x9b31m", r"U\+009B"),
        ("\ud800", r"U\+D800"), ("a\udfffb", r"U\+DFFF"), (" a", "white space"), ("a ", "white space"),
        (" ", "white space"), ("\u3000a", "white space"), ("a\u2028", "white space"), ("a\xa0", "white space"),
    ],
)  # fmt: skip
def test_ids_that_are_refused(text: str, why: str) -> None:
    with pytest.raises(InvalidInput, match=f"^id: .*{why}") as raised:
        check_id(text)
    assert raised.value.remedy
    str(raised.value).encode()
