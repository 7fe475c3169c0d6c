"""What a recording has made, and its index in the store, from which a later try goes on."""

from __future__ import annotations

import contextlib
import json
import re
import time
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from skald_blocks import MediaStore
from skald_bridge.domain.errors import SkaldError
from skald_bridge.media.errors import naming_full_disk
from skald_bridge.media.held import held
from skald_bridge.media.inputs import local_source
from skald_bridge.media.intake import Resume
from skald_bridge.media.probe import probe

INDEX = "recording.json"
_SEGMENT = re.compile(r"(\d{8}T\d{6}\.\d{3})Z-\d{5,}\.(?:mp4|mkv|ts)")
_WRITING = 20.0
"""The index is written again when this many times as long has passed as its writing took."""


@dataclass(frozen=True)
class Segment:
    """A published segment. ``began``: UTC, ISO 8601; ``seconds`` of media; ``url`` in the store.

    ``codec``: of picture and sound, ``h264/aac``.
    """

    name: str
    url: str
    began: str
    seconds: float
    bytes: int
    codec: str = ""
    pictures: int = 0


@dataclass(frozen=True)
class Gap:
    """Where pictures are missing: after the segment ``after``, from ``began`` (UTC) on, for ``seconds``."""

    after: str
    began: str
    seconds: float
    reason: str


@dataclass
class RecordingResult:
    """What a recording has made so far, in all its tries.

    ``reconnects`` counts the times a picture was lost; ``warnings``: what is not as it came in; ``resume`` and
    ``partial``: where a file that can be read again is to be taken up, and the segment that is made anew then.
    """

    segments: list[Segment] = field(default_factory=list)
    reconnects: int = 0
    gaps: list[Gap] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    resume: Resume | None = None
    partial: str | None = None

    @property
    def seconds(self) -> float:
        return sum(segment.seconds for segment in self.segments)

    @property
    def pictures(self) -> int:
        return sum(segment.pictures for segment in self.segments)

    def warn(self, text: str) -> bool:
        """Whether ``text`` was not known before."""
        if text in self.warnings:
            return False
        self.warnings.append(text)
        return True

    def json(self) -> dict[str, Any]:
        return {
            "seconds": round(self.seconds, 3),
            "pictures": self.pictures,
            "reconnects": self.reconnects,
            "gaps": [vars(gap) for gap in self.gaps],
            "warnings": list(self.warnings),
            "segments": [vars(segment) for segment in self.segments],
        }


def read(data: dict[str, Any]) -> RecordingResult:
    """The recording that an index holds; raises KeyError, TypeError where it is no index of ours."""
    resume = data.get("resume")
    return RecordingResult(
        [Segment(**each) for each in data["segments"]],
        data["reconnects"],
        [Gap(**each) for each in data["gaps"]],
        list(data["warnings"]),
        Resume(**resume) if resume else None,
        data.get("partial"),
    )


class RecordingIndex:
    """``recording.json`` in a recording's folder. ``task``: whose recording it is; empty: of none, never read."""

    def __init__(self, store: MediaStore, folder: str, task: str = "") -> None:
        self._store = store
        self._folder = folder
        self._task = task
        self._due = 0.0
        self._started = _stamp(datetime.now(UTC))

    def load(self) -> tuple[RecordingResult, list[Segment]] | None:
        """An unfinished recording of the same task, and those of its segments that no index had named yet."""
        if not self._task:
            return None
        try:
            with self._store.open(f"{self._folder}/{INDEX}") as file:
                data = json.loads(file.read())
            if data.get("task") != self._task or data.get("ended"):
                return None
            found = read(data)
        except (OSError, ValueError, KeyError, TypeError, AttributeError):
            return None
        return found, self._unnamed(found, str(data.get("started", "")))

    def save(
        self, recording: RecordingResult, scratch: Path, *, ended: bool = False, now: bool = True
    ) -> None:
        """Write it, whole; ``now=False``: only if that is not too often.

        Raises:
            DiskFull: no space.
        """
        began = time.monotonic()
        if not now and began < self._due:
            return
        text = {**recording.json(), "task": self._task, "started": self._started, "ended": ended}
        text |= {"resume": vars(recording.resume) if recording.resume else None, "partial": recording.partial}
        path = scratch / INDEX
        with naming_full_disk(self._store.url(self._folder)):
            path.write_text(json.dumps(text, indent=1))
            self._store.publish(path, f"{self._folder}/{INDEX}")
        self._due = time.monotonic() + _WRITING * (time.monotonic() - began)

    def _unnamed(self, known: RecordingResult, started: str) -> list[Segment]:
        self._started = started
        names = {segment.name for segment in known.segments}
        found = []
        for name in self._store.list(self._folder):
            match = _SEGMENT.fullmatch(name.rpartition("/")[2])
            if match is None or name in names or match[1] < started:
                continue
            with contextlib.suppress(SkaldError, OSError), self._store.scratch() as scratch:
                found.append(self._looked_at(name, match[1], scratch))
        return found

    def _looked_at(self, name: str, stamp: str, scratch: Path) -> Segment:
        path = self._store.fetch(name, scratch)
        facts, content = probe(local_source(path)), held(path)
        began = datetime.strptime(stamp, "%Y%m%dT%H%M%S.%f").replace(tzinfo=UTC)
        codec = "/".join(filter(None, [facts.video_codec, facts.audio_codec]))
        seconds, size = round(content.seconds, 3), path.stat().st_size
        return Segment(name, self._store.url(name), began.isoformat(), seconds, size, codec, content.pictures)


def segment_name(folder: str, at: datetime, number: int, container: str) -> str:
    """A segment's name in the store, by its beginning and number."""
    return f"{folder}/{_stamp(at)}Z-{number:05d}.{container}"


def adopted(recording: RecordingResult, found: list[Segment]) -> RecordingResult:
    """``recording`` and segments that were published before its index could say so, in their order."""
    if not found:
        return recording
    after = sum(segment.pictures for segment in found)
    resume = recording.resume
    if resume is not None and recording.partial is None:
        resume = Resume(resume.pictures + after)
    segments = sorted([*recording.segments, *found], key=lambda segment: segment.name)
    return replace(recording, segments=segments, resume=resume)


def _stamp(at: datetime) -> str:
    return at.strftime("%Y%m%dT%H%M%S.%f")[:-3]
