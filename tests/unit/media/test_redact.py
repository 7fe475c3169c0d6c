from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from skald_bridge.media.redact import redact


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("rtsp://u:p@cam/1", "rtsp://***@cam/1"),
        ("rtsp://u:p@ss@cam/1", "rtsp://***@cam/1"),
        ("error opening rtsp://u:p@cam/1: refused", "error opening rtsp://***@cam/1: refused"),
        ("http://h/x?Token=abc&y=2", "http://h/x?Token=***&y=2"),
        ("https://h/x?X-Amz-Signature=ab%2F&b=1", "https://h/x?X-Amz-Signature=***&b=1"),
        ("two http://a:b@c http://d:e@f", "two http://***@c http://***@f"),
        ("mail me at a@b.c", "mail me at a@b.c"),
        ("http://h/user@home.mp4", "http://h/user@home.mp4"),
    ],
)
def test_credentials_are_left_out(text, shown):
    assert redact(text) == shown


_letters = st.characters(whitelist_categories=("L", "N"), whitelist_characters="-_.!$%&*+,;=:")
_word = st.text(_letters, min_size=8)


@given(_word, _word)
def test_no_password_survives(user, password):
    assert password not in redact(f"failed: rtsp://{user}:{password}@10.0.0.1:554/stream").replace(user, "")
