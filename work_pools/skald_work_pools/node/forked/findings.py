"""How a deployment's runs may start, by what was found of its code. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from skald_work_pools.task_type import STARTS, Start


@dataclass(frozen=True)
class Finding:
    """Something about the loaded code for which ``start`` is the warmest way that keeps what a run means."""

    start: Start
    why: str


@dataclass(frozen=True)
class Choice:
    """``why`` is empty where nothing stood against the warmest way."""

    start: Start = "forked"
    why: str = ""

    def __str__(self) -> str:
        return f"{self.start}: {self.why}" if self.why else self.start


def choose(findings: Iterable[Finding], asked: Start | None = None) -> Choice:
    """What was asked for, else the warmest way that every finding allows, with the first finding that forces it."""
    if asked is not None:
        return Choice(asked, "it says so itself")
    coldest = max(findings, key=lambda finding: STARTS.index(finding.start), default=None)
    return Choice(coldest.start, coldest.why) if coldest else Choice()
