"""What has come over one connection, for the words in which a failure is explained."""

from __future__ import annotations

import math
from dataclasses import dataclass


@dataclass
class PicturesSeen:
    """Counts since the last recorded picture. ``since``: monotonic, of the connection or that picture.

    ``pictures``: recorded over this connection; ``first_at`` and ``last_at``: when on its timeline.
    """

    display: str
    since: float
    pictures: int = 0
    first_at: float = 0.0
    last_at: float = 0.0
    other_pictures: int = 0
    undecodable: int = 0
    sounds: int = 0
    _origin: float = math.inf

    def recorded(self, arrived: float, at: float, length: float) -> None:
        """A picture of ``at`` seconds on the timeline, ``length`` long, was written."""
        if not self.pictures:
            self.first_at = at
        self.pictures += 1
        self.last_at = at + length
        self._origin = min(self._origin, arrived - at)
        self.since = arrived
        self.other_pictures = self.undecodable = self.sounds = 0

    def taken(self, at: float) -> float:
        """When (monotonic) the camera showed what lies ``at`` seconds on the timeline.

        The packet that was delayed least says it: what is buffered while a connection opens comes late.
        """
        return self._origin + at

    def lasted(self) -> float:
        """Seconds from the first recorded picture to the end of the last."""
        return self.last_at - self.first_at

    def words(self) -> str:
        """Why no picture was recorded."""
        what = f"input {self.display!r}"
        if self.undecodable:
            return f"{what} sent no picture that can be decoded ({self.counts()})"
        if self.other_pictures:
            return f"{what} sent no key frame, with which a segment can begin ({self.counts()})"
        if self.sounds:
            return f"{what} sent no picture, only sound ({self.counts()})"
        return f"{what} sent neither picture nor sound"

    def counts(self) -> str:
        parts = [f"{self.other_pictures} packets of picture without a key frame"]
        parts += [f"{self.undecodable} key frames that cannot be decoded"] if self.undecodable else []
        parts += [f"{self.sounds} packets of sound"] if self.sounds else []
        return ", ".join(parts)
