"""Whose a node's name is: decided from what Prefect knows of the one that has it. Pure.

The claim is the Prefect variable with a node's announcement: the server creates one of a name once. It is kept by
the heartbeats of Prefect's worker of that name, which cost no request of their own.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

HEARTBEATS = 3
"""Heartbeats of a worker after which Prefect itself calls it offline."""
INTERVAL = timedelta(seconds=30)
"""Between a worker's heartbeats, where the worker does not say."""
LATE = timedelta(seconds=2)
"""By which a heartbeat may come late."""
STARTING = timedelta(seconds=15)
"""What a node gets from its claim to its first heartbeat."""


@dataclass(frozen=True)
class Holder:
    """Who has the name.

    ``life``: id of that start of a node. ``claim``: id of the variable. ``claimed``: when it was written last.
    ``beat``: the worker's last heartbeat.
    """

    claim: UUID
    life: str
    host: str
    pid: int
    claimed: datetime
    beat: datetime | None = None
    interval: timedelta = INTERVAL

    @property
    def heard(self) -> datetime:
        """Its last sign of life."""
        return max(self.claimed, self.beat or self.claimed)

    def is_fresh(self, now: datetime) -> bool:
        patience = HEARTBEATS * self.interval
        return now - self.claimed <= max(patience, STARTING) or (
            self.beat is not None and now - self.beat <= patience
        )


@dataclass(frozen=True)
class Keep:
    """The name is this node's already: the answer to its claim was lost."""


@dataclass(frozen=True)
class Replace:
    """The holder has ended: its claim is removed."""


@dataclass(frozen=True)
class NameWatch:
    """It is not certain whether the holder lives: look again."""


@dataclass(frozen=True)
class Refuse:
    message: str


Verdict = Keep | Replace | NameWatch | Refuse


@dataclass(frozen=True)
class Claimant:
    """Who wants the name: ``earlier`` lives held its lock, those of ``dead`` under this kernel."""

    name: str
    pool: str
    life: str
    earlier: frozenset[str] = frozenset()
    dead: frozenset[str] = frozenset()


def judge(
    holder: Holder,
    claimant: Claimant,
    now: datetime,
    first: Holder | None = None,
    watched: timedelta = timedelta(),
) -> Verdict:
    """``now`` is the server's clock, ``first`` the holder as it was when it began to be ``watched``.

    A silent one is watched for a heartbeat: the server may have been away, and have heard nobody. So is one that
    was this node before a boot; it lives if the disk of this machine is a copy of its.
    """
    if holder.life and holder.life == claimant.life:
        return Keep()
    if holder.life in claimant.dead:
        return Replace()
    silent = first is None or first.heard == holder.heard
    if not holder.is_fresh(now):
        enough = first is not None and watched >= max(1.5 * holder.interval, holder.interval + LATE)
        return Replace() if silent and enough else NameWatch()
    if holder.life in claimant.earlier and silent:
        return NameWatch()
    return Refuse(refusal(holder, claimant.name, claimant.pool, now))


def refusal(holder: Holder, name: str, pool: str, now: datetime) -> str:
    """Who has the name, how fresh that is, and what to do."""
    ago = max(0, round((now - holder.heard).total_seconds()))
    return (
        f"A node named {name!r} already runs in work pool {pool!r}: on host {holder.host}, process {holder.pid}, "
        f"heard of {ago} s ago. Stop it, or start this one with another --name."
    )
