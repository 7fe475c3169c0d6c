from __future__ import annotations

import re
from urllib.parse import unquote, urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st

from skald_bridge.media.credentials import with_encoded_credentials


@pytest.mark.parametrize(
    ("pasted", "opened"),
    [
        ("rtsp://u:p@cam/1", "rtsp://u:p@cam/1"),
        ("rtsp://u:p%40ss@cam/1", "rtsp://u:p%40ss@cam/1"),
        ("rtsp://u:p@ss@cam/1", "rtsp://u:p%40ss@cam/1"),
        ("rtsp://u:50%off@cam/1", "rtsp://u:50%25off@cam/1"),
        ("rtsp://u:p/w#?@cam:554/1", "rtsp://u:p%2Fw%23%3F@cam:554/1"),
        ("rtsp://u:p w@cam/x@y", "rtsp://u:p%20w@cam/x@y"),
        ("rtsp://u:p@ss/w:rd@cam:554/1", "rtsp://u:p%40ss%2Fw%3Ard@cam:554/1"),
        ("rtsp://u:p@cam/x@y", "rtsp://u:p@cam/x@y"),
        ("http://cam:80/x@y", "http://cam:80/x@y"),
        ("http://cam/user@home.mp4", "http://cam/user@home.mp4"),
        ("rtsp://[::1]:554/1", "rtsp://[::1]:554/1"),
        ("a@b", "a@b"),
    ],
)
def test_known(pasted, opened):
    assert with_encoded_credentials(pasted) == opened


@given(st.text(st.characters(codec="utf-8", exclude_categories=["Cc"], exclude_characters="%"), min_size=1))
def test_any_password_arrives(password):
    if re.split("[/?#]", password)[0].isdigit():
        password = "x" + password  # digits and a slash may be a port
    parts = urlsplit(with_encoded_credentials(f"rtsp://admin:{password}@cam.lan:554/stream"))
    assert parts.hostname is not None
    if "@" not in password or not any(each in password for each in "/?#"):
        assert parts.hostname == "cam.lan"
        assert unquote(parts.password or "") == password
