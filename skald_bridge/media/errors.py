"""What can go wrong with media, each with its remedy."""

from __future__ import annotations

import contextlib
import errno
from collections.abc import Iterator
from pathlib import Path

from skald_bridge.domain.errors import InvalidInput, SkaldError, Unavailable


class BadMedia(InvalidInput):
    """The input is reached and read, but it is no video that can be used."""


class Unanswered(Unavailable):
    """Nobody answers at the input's address, or it stopped answering."""


class Stalled(Unanswered):
    """The input's address is there and sends, but nothing of which a picture could be recorded."""


class DiskFull(SkaldError):
    """No space where media are written."""


class FfmpegFailed(SkaldError):
    """ffmpeg ended with an error; ``returncode`` as of ``subprocess`` and the end of what it said."""

    def __init__(self, message: str, *, remedy: str | None = None, returncode: int = 0) -> None:
        super().__init__(message, remedy=remedy)
        self.returncode = returncode


class FfmpegEnded(FfmpegFailed):
    """Somebody ended ffmpeg: a cancellation, or a kill from outside."""


def disk_full(path: Path | str) -> DiskFull:
    return DiskFull(
        f"No space left where media are written: {path}",
        remedy="Free space there, or put the store's root on a larger disk; what is published is whole.",
    )


@contextlib.contextmanager
def naming_full_disk(path: Path | str) -> Iterator[None]:
    """Turn the system's "no space" and "over quota" into ``DiskFull``."""
    try:
        yield
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise disk_full(path) from error
        raise
