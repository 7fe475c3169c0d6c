"""Text from outside on people's screens and in logs."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from skald_bridge.domain.plain_text import visible, visible_json

ANY = st.text(st.characters(codec=None) | st.characters(categories=["Cs", "Cc", "Zl", "Zp", "Cf"]))


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("a\nb", r"a\nb"), ("a\rb", r"a\rb"), ("\x1b[31m", r"\x1b[31m"), ("\x9b2J", r"\x9b2J"), ("\x7f", r"\x7f"),
        ("\x85", r"\x85"), ("\u2028\u2029", r"\u2028\u2029"), ("\u202egpj", r"\u202egpj"), ("\ud800", r"\ud800"),
        ("\x00\x08", r"\x00\x08"), ("ü 漢 \U0001f3ac", "ü 漢 \U0001f3ac"), ("", ""),
    ],
)  # fmt: skip
def test_what_steers_is_written_out(text: str, shown: str) -> None:
    assert visible(text) == shown


@given(ANY)
def test_it_is_one_line_that_can_be_sent(text: str) -> None:
    shown = visible(text)
    shown.encode()
    assert len(shown.splitlines()) <= 1
    assert all(char.isprintable() or char.isspace() or char > "\x9f" for char in shown)
    assert visible(shown) == shown


@given(st.recursive(ANY, lambda inner: st.lists(inner) | st.dictionaries(ANY, inner), max_leaves=8))
def test_json_stays_the_same_json(value: object) -> None:
    text = visible_json(json.dumps(value, ensure_ascii=False))
    text.encode()
    assert json.loads(text) == value
    assert len(text.splitlines()) == 1
