from __future__ import annotations

import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from skald_blocks import MediaStore
from tests.conftest import required
from tests.integration.media.working import Worked
from tests.services.rtsp import RtspServer, rtsp_server


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """SKALD_HOME of one test."""
    monkeypatch.setenv("SKALD_HOME", str(tmp_path / "skald"))
    return tmp_path / "skald"


@pytest.fixture
def store(tmp_path: Path) -> MediaStore:
    return MediaStore(root=str(tmp_path / "store"))


@pytest.fixture
def camera_server() -> Iterator[RtspServer]:
    with rtsp_server() as server:
        yield server


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 400 kB."""
    folder = tmp_path / "small"
    folder.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=400k", "tmpfs", str(folder)], capture_output=True, text=True
    )
    if mounted.returncode:
        required(f"the right to mount a tmpfs: {mounted.stderr.strip()}")
    try:
        yield folder
    finally:
        subprocess.run(["umount", "--lazy", str(folder)], check=True)


@pytest.fixture
def worked(store: MediaStore, tmp_path: Path) -> Worked:
    folder = tmp_path / "scratch"
    folder.mkdir()
    return Worked(store, folder)
