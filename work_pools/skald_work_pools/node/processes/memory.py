"""What loaded code costs, and which of it goes when there is too much."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Generic, TypeVar

K = TypeVar("K")


@dataclass(frozen=True)
class KeptItem(Generic[K]):
    """Something that takes ``size`` bytes and was ``used`` last at a time of any clock."""

    key: K
    size: int
    used: float


def too_many(kept: Iterable[KeptItem[K]], budget: int) -> list[K]:
    """What has to go, unused for longest first, so that the rest fits the budget; one always stays."""
    newest_first = sorted(kept, key=lambda each: each.used, reverse=True)
    total = 0
    going: list[K] = []
    for place, each in enumerate(newest_first):
        total += each.size
        if place and total > budget:
            going.append(each.key)
    return going[::-1]


def proportional_memory(pid: int) -> int:
    """Bytes of the process, of shared pages its part; 0 for one that is gone."""
    try:
        lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    except OSError:
        return 0
    return sum(int(line.split()[1]) * 1024 for line in lines if line.startswith("Pss:"))
