from __future__ import annotations

from skald_bridge.media.parameters import completed, described, header, length_size, parameter_sets

SPS, PPS, OTHER = b"\x67\x42\x00\x1e\xab", b"\x68\xce\x38\x80", b"\x67\x64\x00\x1f\xac"
PICTURE = b"\x65\x88\x84\x00\x10"


def stream(*units: bytes) -> bytes:
    return b"".join(b"\0\0\0\1" + unit for unit in units)


def test_sets_between_start_codes():
    assert parameter_sets("h264", stream(SPS, PPS, PICTURE)) == (SPS, PPS)
    assert parameter_sets("h264", stream(PICTURE)) == ()


def test_sets_after_their_lengths():
    data = b"".join(len(unit).to_bytes(4, "big") + unit for unit in (SPS, PPS, PICTURE))
    assert parameter_sets("h264", data, size=4) == (SPS, PPS)
    assert parameter_sets("h264", data[:-3], size=4) == (SPS, PPS)


def test_a_header_is_read_back():
    for size in (0, 4):
        made = header((SPS, PPS), "h264", size=size)
        assert made is not None
        assert length_size("h264", made) == size
        assert described("h264", made) == (SPS, PPS)


def test_what_does_not_come_anew_stays():
    assert completed("h264", (OTHER,), (SPS, PPS)) == (PPS, OTHER)


def test_sizes_of_other_codecs():
    jpeg = b"\xff\xd8\xff\xe0\x00\x04ab\xff\xc0\x00\x11\x08\x00\xf0\x01\x40\x03rest"
    assert parameter_sets("mjpeg", jpeg) == (b"\x00\xf0\x01\x40",)
    assert parameter_sets("mpeg2video", b"\0\0\1\xb3\x14\x00\xf0\x13more") == (b"\x14\x00\xf0\x13",)
    assert parameter_sets("vp8", b"\x10\x02\x00\x9d\x01\x2a\x40\x01\xf0\x00") == (b"\x40\x01\xf0\x00",)
    for codec in ("mjpeg", "mpeg2video", "vp8", "av1", "h264", "hevc"):
        for noise in (b"", b"\0" * 9, b"\xff" * 9, b"\xff\xd8" + b"\xff\0\0\0" * 9, b"\0\0\1"):
            assert parameter_sets(codec, noise) == ()
            assert parameter_sets(codec, noise, size=4) == ()
