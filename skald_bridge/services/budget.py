"""How much of the time a duty may spend on asking; pure."""

from __future__ import annotations


class Budget:
    """Seconds of work that may be spent: ``share`` of the time that passes, saved up to ``most``.

    A few questions in a row are answered at once; a lasting flood of them takes no more than the share. What
    takes about as long as the quickest ever did kept nobody else waiting, and costs nothing.
    """

    FREE = 4.0
    """Times the quickest."""

    def __init__(self, share: float, most: float) -> None:
        self._share = share
        self._most = most
        self._credit = most
        self._quickest = float("inf")
        self._at: float | None = None

    def wait(self, now: float) -> float:
        """Seconds until work may begin."""
        self._save(now)
        return max(0.0, -self._credit / self._share)

    def spend(self, seconds: float, now: float) -> None:
        self._save(now)
        self._quickest = min(self._quickest, seconds)
        if seconds > self.FREE * self._quickest:
            self._credit -= seconds

    def _save(self, now: float) -> None:
        if self._at is not None:
            self._credit = min(self._most, self._credit + (now - self._at) * self._share)
        self._at = now
