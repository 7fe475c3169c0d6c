"""In short, what a task made; pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from skald_bridge.domain.lifecycle import StateType
from skald_bridge.domain.recordings import Artifact
from skald_bridge.domain.records import JournalRecord

KEYS = 16
_KEY_BYTES, _MESSAGE_BYTES, _PROGRESS_BYTES = 48, 500, 300
_PREFECTS_OWN = frozenset({"All states completed."})
"""Messages that say nothing of the task."""


class Made:
    """Collects the artifacts of one task as they are read; newest first."""

    def __init__(self) -> None:
        self._keys: list[str] = []
        self._progress: str | None = None
        self._recordings: dict[str, tuple[float, int]] = {}

    def add(self, artifact: Artifact) -> None:
        if artifact.recording is not None:
            self._recordings[artifact.recording.id] = (artifact.recording.seconds, artifact.recording.size)
        elif artifact.type == "progress":
            self._progress = self._progress or artifact.text
        elif artifact.key and artifact.key not in self._keys:
            self._keys.append(artifact.key)

    def result(self, record: JournalRecord) -> dict[str, Any] | None:
        """With the task's end, as a document holds it, at most 2 kB of JSON; ``None`` where there is nothing.

        ``message`` of a completed task's state, ``progress`` as it was last told, keys of ``artifacts``,
        the number, seconds and bytes of ``recordings``.
        """
        said = record.message if record.state is StateType.COMPLETED else None
        found: Mapping[str, Any] = {
            "message": _cut(said, _MESSAGE_BYTES) if said and said not in _PREFECTS_OWN else None,
            "progress": _cut(self._progress, _PROGRESS_BYTES) if self._progress else None,
            "artifacts": [_cut(key, _KEY_BYTES) for key in sorted(self._keys)[:KEYS]],
            "moreArtifacts": max(0, len(self._keys) - KEYS),
            "recordings": self._sums(),
        }
        return {name: value for name, value in found.items() if value} or None

    def _sums(self) -> dict[str, Any] | None:
        if not self._recordings:
            return None
        seconds = sum(seconds for seconds, _ in self._recordings.values())
        size = sum(size for _, size in self._recordings.values())
        return {"count": len(self._recordings), "seconds": round(seconds, 3), "size": size}


def _cut(text: str, most: int) -> str:
    """Not more than so many bytes of UTF-8."""
    data = text.encode(errors="replace")
    cut = data if len(data) <= most else data[: most - 3]
    return cut.decode(errors="ignore") + "…" * (cut is not data)
