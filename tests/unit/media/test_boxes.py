from __future__ import annotations

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from skald_bridge.media.boxes import incomplete


def box(kind: bytes, size: int = 16) -> bytes:
    return struct.pack(">I4s", size, kind) + bytes(size - 8)


WHOLE = box(b"ftyp") + box(b"moov", 64) + box(b"mdat", 128)


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "x.mp4"

    def write(data: bytes):
        path.write_bytes(data)
        return path

    return write


def test_a_whole_mp4(file):
    assert incomplete(file(WHOLE)) is None
    assert incomplete(file(box(b"ftyp") + box(b"mdat", 64) + box(b"moov", 32))) is None
    long_box = struct.pack(">I4sQ", 1, b"mdat", 24) + bytes(8)
    assert incomplete(file(box(b"ftyp") + box(b"moov") + long_box)) is None
    to_the_end = struct.pack(">I4s", 0, b"mdat") + bytes(50)
    assert incomplete(file(box(b"ftyp") + box(b"moov") + to_the_end)) is None


def test_a_truncated_mp4_says_what_is_missing(file):
    assert "28 bytes are missing" in str(incomplete(file(WHOLE[:-28])))
    assert "moov" in str(incomplete(file(box(b"ftyp") + box(b"mdat", 64))))
    assert "damaged" in str(incomplete(file(box(b"ftyp") + struct.pack(">I4s", 3, b"mdat"))))


def test_matroska(file):
    head = b"\x1a\x45\xdf\xa3\x84" + bytes(4) + b"\x18\x53\x80\x67"
    assert incomplete(file(head + b"\x01" + (10).to_bytes(7, "big") + bytes(10))) is None
    assert "3 bytes" in str(incomplete(file(head + b"\x01" + (10).to_bytes(7, "big") + bytes(7))))
    assert incomplete(file(head + b"\x01" + b"\xff" * 7 + bytes(3))) is None


@given(st.binary(max_size=200))
def test_any_bytes_give_an_answer(tmp_path_factory, data):
    path = tmp_path_factory.mktemp("boxes") / "x"
    path.write_bytes(data)
    incomplete(path)


@given(st.integers(1, len(WHOLE) - 33))
def test_any_cut_off_mp4_is_seen(tmp_path_factory, cut):
    path = tmp_path_factory.mktemp("boxes") / "x"
    path.write_bytes(WHOLE[: len(WHOLE) - cut])
    assert incomplete(path) is not None
