"""Of a pool's nodes one looks after all of it. Pure: what a node is to do about the lead, by what Prefect knows."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import Enum
from uuid import UUID

from skald_work_pools.messages import LEAD_VARIABLE_PREFIX

LEAD_FOR = timedelta(seconds=60)
"""After which another node takes a lead that was not renewed; a node looks every 20 s or so."""


@dataclass(frozen=True)
class Lead:
    """Who has the lead: ``variable`` names that lead alone; it is ``renewed`` if the leader's last look was good."""

    variable: UUID
    life: str
    renewed: datetime


class Step(Enum):
    FOLLOW = "another node looks"
    TAKE = "nobody has the lead"
    REPLACE = "whoever had the lead looks no more"
    LOOK = "the lead is this node's"


def step(lead: Lead | None, life: str, now: datetime) -> Step:
    """``now`` is the server's clock, ``life`` this start of a node."""
    if lead is None:
        return Step.TAKE
    if lead.life == life:
        return Step.LOOK
    return Step.REPLACE if now - lead.renewed > LEAD_FOR else Step.FOLLOW


def lead_variable(pool: str) -> str:
    """Name of the Prefect variable that names the leader."""
    return LEAD_VARIABLE_PREFIX + hashlib.sha256(pool.encode()).hexdigest()[:32]
