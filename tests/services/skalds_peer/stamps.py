"""What the workers of ``workers`` say of their lives, read from their file."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from tests.services.poll import until


@dataclass(frozen=True)
class Stamp:
    """One step of one life; ``at`` is Unix time, ``node`` who ran it."""

    at: float
    step: str
    task: str
    pid: int
    node: str
    detail: str


@dataclass(frozen=True)
class Stamps:
    file: Path

    def read(self, step: str | None = None, task: str | None = None) -> list[Stamp]:
        """In the order of writing."""
        text = self.file.read_text() if self.file.exists() else ""
        parts = (line.split(" ", 5) for line in text.splitlines())
        found = (
            Stamp(float(at), name, id_, int(pid), node, rest) for at, name, id_, pid, node, rest in parts
        )
        return [one for one in found if step in (None, one.step) and task in (None, one.task)]

    def first(self, step: str, task: str, seconds: float = 60) -> Stamp:
        """The step's first stamp, once it is there."""
        found = until(lambda: self.read(step, task), seconds, f"{step} of task {task}; stamps: {self.file}")
        return found[0]

    def starts(self, tasks: Iterable[str]) -> Counter[str]:
        """How often the main handler of each task began; none is zero."""
        wanted = set(tasks)
        return Counter(stamp.task for stamp in self.read("main") if stamp.task in wanted)
