"""What is let in, what is not, and that the message says which field and what to do."""

from __future__ import annotations

import os
import stat

import pytest
from hypothesis import given
from hypothesis import strategies as st

from skald_bridge.domain.errors import InvalidInput
from skald_bridge.media.inputs import (
    Local,
    Policy,
    Remote,
    Source,
    StoredInput,
    check,
    decide,
    local_source,
    remote_source,
)


@pytest.fixture
def policy(tmp_path, monkeypatch):
    monkeypatch.setenv("SKALD_HOME", str(tmp_path / "home"))
    (tmp_path / "root").mkdir()
    return Policy.of({"SKALD_MEDIA_ROOTS": str(tmp_path / "root")})


@pytest.mark.parametrize(
    "text",
    [
        "concat:/etc/passwd|/etc/hosts",
        "subfile,,start,0,end,0,,:/etc/passwd",
        "data:text/plain,hello",
        "pipe:0",
        "fd:",
        "tcp://127.0.0.1:22",
        "udp://127.0.0.1:1",
        "unix:/run/docker.sock",
        "ftp://host/video.mp4",
        "smb://host/share",
        "gopher://host/",
        "crypto:/etc/passwd",
        "crypto+http://host/x",
        "async:/etc/passwd",
        "cache:/etc/passwd",
        "tee:/tmp/a|/tmp/b",
        "md5:/etc/passwd",
        "zmq:tcp://127.0.0.1:5555",
        "lavfi:color",
        "x11grab::0",
        "C:\\video.mp4",
        "-i",
        "-filter_complex",
        "--help",
        "",
        " ",
        "video\x7f.mp4",
        "video\ud800.mp4",
        "video.mp4\n-f",
        "video\0.mp4",
        "rtsp://",
        "rtsp:///path",
        "http://:80/x",
        "http://host:0/x",
        "http://host:99999/x",
        "http://ho st/x",
        "rtsp:camera",
        "file://host/etc/passwd",
        "file:relative.mp4",
        "file:///etc/pass%00wd",
        "store:../../etc/passwd",
        "store:/etc/passwd",
        "store:-i",
        "store:.hidden",
        "store:",
    ],
)
def test_refused_with_field_and_remedy(policy, text):
    with pytest.raises(InvalidInput) as error:
        decide(text, policy, name="camera")
    assert error.value.message.startswith("camera ")
    assert error.value.remedy


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("video.mp4", Local("video.mp4")),
        ("./a:b.mp4", Local("./a:b.mp4")),
        (" video .mp4 ", Local(" video .mp4 ")),
        ("9.41\u202fAM.mp4", Local("9.41\u202fAM.mp4")),
        ("12:30 Uhr.mp4", Local("12:30 Uhr.mp4")),
        ("\u200bnull.mp4", Local("\u200bnull.mp4")),
        ("rtsp://u:p/w d@cam/1", Remote("rtsp://u:p%2Fw%20d@cam/1", "rtsp")),
        ("./-x.mp4", Local("./-x.mp4")),
        ("/srv/x.mp4", Local("/srv/x.mp4")),
        ("file:/srv/x.mp4", Local("/srv/x.mp4")),
        ("file:///srv/a%20b.mp4", Local("/srv/a b.mp4")),
        ("store:a/b.mp4", StoredInput("a/b.mp4")),
        ("RTSP://cam/1", Remote("RTSP://cam/1", "rtsp")),
        ("rtsp://u:p@cam:8554/1", Remote("rtsp://u:p@cam:8554/1", "rtsp")),
        ("https://host/x.m3u8?t=1", Remote("https://host/x.m3u8?t=1", "https")),
    ],
)
def test_let_in(policy, text, found):
    assert decide(text, policy) == found


@given(st.text(max_size=40))
def test_whatever_is_let_in_is_no_option_and_no_foreign_protocol(text):
    policy = Policy(())
    try:
        found = decide(text, policy)
    except InvalidInput as error:
        assert error.remedy
        return
    assert not text.startswith("-")
    if isinstance(found, Remote):
        assert found.scheme in ("rtsp", "rtsps", "http", "https")
    if isinstance(found, Local):
        assert local_source(found.path).url.startswith("file:")


def test_schemes_are_a_setting(policy):
    only_files = Policy.of({"SKALD_MEDIA_SCHEMES": "file"})
    with pytest.raises(InvalidInput, match="SKALD_MEDIA_SCHEMES"):
        decide("http://host/x.mp4", only_files)
    with pytest.raises(InvalidInput, match="ftp"):
        Policy.of({"SKALD_MEDIA_SCHEMES": "file,ftp"})
    with pytest.raises(InvalidInput, match="relative"):
        Policy.of({"SKALD_MEDIA_ROOTS": "media"})
    with pytest.raises(InvalidInput, match="'file', which is not let in"):
        decide("x.mp4", Policy.of({"SKALD_MEDIA_SCHEMES": "rtsp"}))


def test_files_lie_under_a_root_links_followed(policy, tmp_path):
    inside, outside = tmp_path / "root" / "in.mp4", tmp_path / "secret.mp4"
    inside.write_bytes(b"x")
    outside.write_bytes(b"x")
    (tmp_path / "root" / "link.mp4").symlink_to(outside)
    (tmp_path / "root" / "good.mp4").symlink_to(inside)
    for text in ("in.mp4", str(inside), f"file://{inside}", "good.mp4"):
        found = check(text, policy)
        assert isinstance(found, Source)
        assert found.path == inside.resolve()
        assert found.url == f"file:{inside.resolve()}"
    for text in (str(outside), "../secret.mp4", "link.mp4", f"{tmp_path}/root/../secret.mp4", "/etc/passwd"):
        with pytest.raises(InvalidInput, match="SKALD_MEDIA_ROOTS"):
            check(text, policy)


def test_only_plain_files(policy, tmp_path):
    os.mkfifo(tmp_path / "root" / "fifo.mp4", stat.S_IRUSR | stat.S_IWUSR)
    for text in ("fifo.mp4", "."):
        with pytest.raises(InvalidInput, match="not a plain file"):
            check(text, policy)
    with pytest.raises(InvalidInput, match="does not exist"):
        check("missing.mp4", policy)


def test_a_url_shows_no_credentials_and_leads_to_no_file():
    source = remote_source("rtsp://admin:hunter2@cam/1?token=abc&x=1", "rtsp")
    assert source.display == "rtsp://***@cam/1?token=***&x=1"
    assert "hunter2" not in repr(source)
    assert source.live
    for scheme in ("rtsp", "rtsps", "http", "https"):
        allowed = remote_source(f"{scheme}://h/x", scheme).options["protocol_whitelist"].split(",")
        assert not {"file", "concat", "subfile", "pipe", "fd", "data"} & set(allowed)


def test_a_refusal_shows_no_credentials(policy):
    with pytest.raises(InvalidInput) as error:
        decide("ftp://admin:hunter2@host/x", policy)
    assert "hunter2" not in str(error.value)
