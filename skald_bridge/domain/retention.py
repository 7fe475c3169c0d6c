"""How long what has ended is kept, and what relays still owe; pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

EVERYTHING = 2**63 - 1
"""A position beyond all others: nobody reads the feed."""
RECORDINGS = "recordings"
"""The reader of the journal's ends that is no relay to a service."""
SWEPT_AGAIN = timedelta(hours=1)
"""More than the sweep ever looks back beyond its cursor: what it sees again, it writes again."""


Mark = tuple[str, str]
"""Creation time and id of the document that was looked at last."""
FIRST: Mark = ("", "")


class RelayFeed(StrEnum):
    """What relays read of the SQLite file; each counts positions of its own."""

    JOURNAL = "journal"
    CHANGES = "changes"
    REVISED = "revised"
    RECORDINGS = "recordings"


READS: Mapping[str, RelayFeed] = {
    "kafka": RelayFeed.JOURNAL,
    "errors": RelayFeed.JOURNAL,
    "persistent": RelayFeed.JOURNAL,
    RECORDINGS: RelayFeed.JOURNAL,
    "redis": RelayFeed.CHANGES,
    "mongodb": RelayFeed.CHANGES,
    "kafka-updates": RelayFeed.REVISED,
    "mongodb-recordings": RelayFeed.RECORDINGS,
}
"""By the relay's name."""


@dataclass(frozen=True)
class Delivered:
    """The position of each feed up to which no relay owes anything."""

    journal: int = EVERYTHING
    changes: int = EVERYTHING
    revised: int = EVERYTHING
    recordings: int = EVERYTHING


@dataclass(frozen=True)
class Pruned:
    """By one transaction: rows, and tasks that are gone with them."""

    rows: int
    tasks: int
    after: Mark | None
    """Where to go on; ``None``: that was all."""


@dataclass(frozen=True)
class StoredSize:
    """The SQLite file; sizes in bytes."""

    size: int
    free: int
    """Of ``size``: to be used again."""
    oldest: datetime | None
    """When the first task that has ended, by creation, ended."""
    shrinks: bool
    """Free space goes back to the disk, or will from the bridge's next start on."""


def delivered(positions: Mapping[str, int]) -> Delivered:
    """Of the positions of all relays that are at work. One that is not known here may read any feed."""
    least = dict.fromkeys(RelayFeed, EVERYTHING)
    for relay, position in positions.items():
        for feed in [READS[relay]] if relay in READS else RelayFeed:
            least[feed] = min(least[feed], position)
    return Delivered(**{feed.value: position for feed, position in least.items()})


def ended_before(now: datetime, keep: timedelta, swept: datetime | None) -> datetime | None:
    """What ended before then is not kept; ``None``: all is.

    ``swept``: the sweep's cursor. Where nothing has ended for long, it stays where it is, and what ended near it
    is seen by every sweep.
    """
    return min(now - keep, swept - SWEPT_AGAIN) if swept is not None else None
