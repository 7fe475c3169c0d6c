"""The newest picture of a source in the cache, kept by a thread: nobody waits for Redis, and nothing fails of it."""

from __future__ import annotations

import contextlib
import io
import json
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from types import TracebackType
from typing import Any

import numpy as np
from PIL import Image

from skald_bridge.domain.errors import SkaldError
from skald_bridge.media.cache import Cache
from skald_bridge.media.cache_names import FINDINGS, PICTURE
from skald_bridge.media.measure import BLACK_LUMA, HEIGHT, WIDTH, Gray, difference

_QUALITY = 85
_FIRST_WAIT, _LONGEST_WAIT = 0.5, 5.0
_LAST_WORDS = 4.0
"""Seconds that the end of a task waits for Redis."""


@dataclass(frozen=True)
class ShownPicture:
    """A picture as a player shows it, and its place in its source, in seconds."""

    picture: Image.Image
    at: float


Making = Callable[[], ShownPicture | None]
"""Makes the newest picture, on the writer's thread; ``None`` where there is none to be had now."""


@dataclass(frozen=True)
class Keeping:
    """What is kept under which name: lives in seconds; ``every``: seconds between two pictures, asked each time."""

    name: str
    every: Callable[[], float]
    picture_ttl: float
    findings_ttl: float
    width: int


class Newest:
    """The writer of one name. As a context manager; leaving it writes what was offered last, if Redis answers soon.

    At most one picture waits: a newer one takes its place. ``warnings``: what could not be kept.
    """

    def __init__(self, cache: Cache, keeping: Keeping, say: Callable[[str], None]) -> None:
        self.keeping = keeping
        self.warnings: list[str] = []
        self._cache = cache
        self._say = say
        self._condition = threading.Condition()
        self._making: Making | None = None
        self._analysis: Mapping[str, Any] | None = None
        self._untold = False
        self._closing: float | None = None
        self._offered: float | None = None
        self._before: Gray | None = None
        self._measured: dict[str, Any] = {}
        self._thread = threading.Thread(target=self._run, name="newest", daemon=True)

    def __enter__(self) -> Newest:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with self._condition:
            self._closing = time.monotonic()
            self._condition.notify_all()
        self._thread.join(_LAST_WORDS)
        if self._thread.is_alive():
            self._warn(f"the newest picture may not be in the cache: it took longer than {_LAST_WORDS:g} s")

    def waited(self) -> float | None:
        """Seconds since a picture was offered; ``None`` if none was."""
        return None if self._offered is None else time.monotonic() - self._offered

    def due(self) -> bool:
        """Whether it is time for the next picture."""
        waited = self.waited()
        return waited is None or waited >= self.keeping.every()

    def offer(self, making: Making) -> None:
        """The next picture; made only if no newer one is offered before."""
        with self._condition:
            self._offered = time.monotonic()
            self._making = making
            self._condition.notify_all()

    def found(self, analysis: Mapping[str, Any]) -> None:
        """The findings of the whole source, a JSON object."""
        with self._condition:
            self._analysis = analysis
            self._untold = True
            self._condition.notify_all()

    def _run(self) -> None:
        wait, away = _FIRST_WAIT, False
        while True:
            making = self._next()
            if making is None and not self._untold:
                break
            try:
                self._keep(making)
            except SkaldError as error:
                if not away:
                    self._warn(f"the newest picture is not in the cache: {error.message}")
                if self._closing is not None:
                    break
                away = True
                self._pause(wait)
                wait = min(2 * wait, _LONGEST_WAIT)
            except Exception as error:  # a picture that cannot be decoded must not end the others
                self._warn(f"a picture could not be kept in the cache: {type(error).__name__}")
            else:
                if away:
                    self._say("the cache answers again")
                wait, away = _FIRST_WAIT, False
        with contextlib.suppress(Exception):
            self._cache.close()

    def _next(self) -> Making | None:
        """What was offered; ``None`` with nothing left to be said: the end."""
        with self._condition:
            self._condition.wait_for(
                lambda: self._making is not None or self._untold or self._closing is not None
            )
            making, self._making = self._making, None
            return making

    def _keep(self, making: Making | None) -> None:
        ttl = self.keeping.findings_ttl
        fields: dict[str, tuple[bytes, float]] = {}
        if making is not None and (shown := making()) is not None:
            fields[PICTURE] = (_jpeg(shown.picture), self.keeping.picture_ttl)
            self._measured = self._measure(shown)
        analysis = self._analysis
        told = {"writtenAt": datetime.now(UTC).isoformat(), **self._measured}
        if analysis is not None:
            told["analysis"] = analysis
        if fields or self._untold:
            fields[FINDINGS] = (json.dumps(told).encode(), ttl)
            self._cache.write(self.keeping.name, fields)
        self._untold = self._untold and analysis is not self._analysis

    def _measure(self, shown: ShownPicture) -> dict[str, Any]:
        gray = np.asarray(shown.picture.convert("L").resize((WIDTH, HEIGHT)), np.uint8)
        change = difference(self._before, gray) if self._before is not None else 0.0
        self._before = gray
        return {
            "seconds": round(shown.at, 3),
            "luma": round(float(gray.mean()) / 255, 4),
            "black": round(float((gray < BLACK_LUMA).mean()), 4),
            "change": change,
        }

    def _pause(self, seconds: float) -> None:
        with self._condition:
            self._condition.wait_for(lambda: self._closing is not None, seconds)

    def _warn(self, text: str) -> None:
        if text not in self.warnings:
            self.warnings.append(text)
            self._say(text)


def _jpeg(picture: Image.Image) -> bytes:
    buffer = io.BytesIO()
    picture.save(buffer, "JPEG", quality=_QUALITY)
    return buffer.getvalue()
