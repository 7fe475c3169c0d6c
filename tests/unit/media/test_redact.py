from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from skald_bridge.media.redact import redact, redact_input


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


@pytest.mark.parametrize(
    "text",
    [
        "rtsp://admin:hunter2/x@cam/1",
        "rtsp://admin:12/hunter2@cam/1",
        "rtsp://admin:x hunter2 y@cam/1",
        "rtsp://admin:it's hunter2@cam/1",
        "http://admin:x/hunter2@cam/1",
        "rtsp://cam/user=admin_password=hunter2_channel=1_stream=0.sdp?real_stream",
        "rtsp://cam:554/user=admin&password=hunter2&channel=1&stream=0.sdp",
        "rtsp://cam/mpeg4&user=admin&pass=hunter2",
        "http://cam/videostream.cgi?loginuse=admin&loginpas=hunter2",
        "http://cam/mjpeg.cgi?-chn=11&-usr=admin&-pwd=hunter2",
        "rtsp://cam/cam/realmonitor?channel=1&authbasic=hunter2",
        "rtsp://cam/0/admin:hunter2/main",
        "http://proxy/?url=rtsp%3A%2F%2Fadmin%3Ahunter2%40cam%2F1&x=1",
        "rtsps://nvr:7441/VbHunter2yYz7nJkSKbo?enableSrtp",
        "admin:hunter2@cam/1",
    ],
)
def test_an_input_as_cameras_and_people_write_it(text):
    assert "unter2" not in redact_input(text)


@pytest.mark.parametrize(
    "text", ["rtsp://cam/h264Preview_01_main", "rtsp://cam/Streaming/Channels/101", "a b:c.mp4"]
)
def test_what_is_no_secret_is_shown(text):
    assert redact_input(text) == text


_letters = st.characters(whitelist_categories=("L", "N"), whitelist_characters="-_.!$%&*+,;=:")
_word = st.text(_letters, min_size=8)


@given(_word, _word)
def test_no_password_survives(user, password):
    assert password not in redact(f"failed: rtsp://{user}:{password}@10.0.0.1:554/stream").replace(user, "")
