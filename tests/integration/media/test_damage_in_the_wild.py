"""Damaged inputs: what comes out is what a decoder sees, or the task says so, or refuses with the reason."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from skald_bridge.domain.errors import SkaldError
from skald_bridge.media.contents import read
from skald_bridge.media.inputs import local_source
from skald_bridge.media.probe import probe
from tests.integration.media.inputs import FAST, decoded, ffmpeg, pictures, tone
from tests.integration.media.working import Worked


def whole(folder: Path, container: str) -> Path:
    video = folder / f"whole.{container}"
    ffmpeg(*pictures(4), *tone(4), *FAST, "-g", "25", "-bf", "2", "-c:a", "aac", video)
    return video


def noise(data: bytes, share: float, *, seed: int) -> bytes:
    """Single bytes changed, the first kilobytes and the last left alone."""
    dice = random.Random(seed)
    made = bytearray(data)
    for _ in range(int(len(data) * share)):
        made[dice.randrange(4096, len(data) - 4096)] = dice.randrange(256)
    return bytes(made)


def hole(data: bytes, share: float, *, seed: int) -> bytes:
    """A stretch of zeros."""
    size = int(len(data) * share)
    at = random.Random(seed).randrange(4096, len(data) - size - 4096)
    return data[:at] + bytes(size) + data[at + size :]


def gap(data: bytes, share: float, *, seed: int) -> bytes:
    """A stretch left out."""
    size = int(len(data) * share)
    at = random.Random(seed).randrange(4096, len(data) - size - 4096)
    return data[:at] + data[at + size :]


def told(warnings: list[str], expected: int, made: int) -> bool:
    return made == expected or any(f"expected {expected} picture" in each for each in warnings)


@pytest.mark.parametrize("container", ["ts", "mkv", "mp4"])
@pytest.mark.parametrize("damage", [noise, hole, gap])
@pytest.mark.parametrize("share", [0.0005, 0.1])
def test_damage(worked: Worked, tmp_path, container, damage, share):
    video = tmp_path / f"damaged.{container}"
    video.write_bytes(damage(whole(tmp_path, container).read_bytes(), share, seed=7))
    try:
        facts = probe(local_source(video))
        held = read(local_source(video), facts).content.pictures
        found = worked.analyzed(video)
        assert told(found.warnings, held, found.findings.pictures)
        (path,), warnings = worked.transcoded(video)
        assert told(warnings, held, len(decoded(path)))
        path, warnings = worked.piped(video, at_least=1)
        assert told(warnings, held, len(decoded(path)))
    except SkaldError as refused:
        assert str(refused)
        assert refused.remedy


@pytest.mark.parametrize("container", ["ts", "mkv", "mp4"])
def test_a_single_picture(worked: Worked, tmp_path, container):
    video = tmp_path / f"one.{container}"
    ffmpeg(*pictures(1), "-frames:v", "1", *FAST, video)
    found = worked.analyzed(video, thumbnail_seconds=1)
    assert (found.findings.pictures, found.warnings) == (1, [])
    (path,), warnings = worked.transcoded(video)
    assert (len(decoded(path)), warnings) == (1, [])
    path, warnings = worked.piped(video, at_least=1)
    assert (len(decoded(path)), warnings) == (1, [])


def test_a_sound_track_without_sound(worked: Worked, tmp_path):
    video = tmp_path / "empty.mkv"
    ffmpeg(*pictures(2), *tone(2), "-af", "atrim=end=0", *FAST, "-g", "25", "-c:a", "pcm_s16le", video)
    found = worked.analyzed(video)
    assert (found.findings.pictures, found.warnings) == (50, [])
    (path,), warnings = worked.transcoded(video)
    assert (len(decoded(path)), warnings) == (50, [])
    path, warnings = worked.piped(video)
    assert (len(decoded(path)), warnings) == (50, [])


def test_pictures_that_nothing_can_decode(worked: Worked, tmp_path):
    plain, video = tmp_path / "plain.mp4", tmp_path / "zeros.mp4"
    ffmpeg(*pictures(2), *FAST, "-g", "10", "-movflags", "+faststart", plain)
    data = plain.read_bytes()
    start = data.index(b"mdat") + 4
    video.write_bytes(data[:start] + bytes(len(data) - start))
    for job in (worked.analyzed, worked.transcoded, worked.piped):
        with pytest.raises(SkaldError) as error:
            job(video)
        assert error.value.remedy
        assert "could be decoded" in str(error.value)
