"""Right, or refused with the reason: what a task made of an input held against what is in it. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from tests.media_corpus.making import Seen
from tests.media_corpus.recipes import Recipe

_SLACK = 0.1


@dataclass(frozen=True)
class Outcome:
    """What came of one task: a refusal in words, or its pictures, their span in seconds, their size, its warnings.

    ``size`` and ``sounding``: ``None`` where it does not say.
    """

    refusal: str | None = None
    pictures: int = 0
    seconds: float = 0.0
    size: tuple[int, int] | None = None
    sounding: bool | None = None
    warnings: Sequence[str] = ()


def problems(task: str, recipe: Recipe, truth: Seen, outcome: Outcome) -> list[str]:
    """What is wrong with ``outcome``; nothing where it is right, or a refusal that was to come."""
    if outcome.refusal is not None:
        if not outcome.refusal.strip():
            return [f"{task} refused it without a word"]
        allowed = task in recipe.refused or recipe.damaged
        return [] if allowed else [f"{task} refused it: {outcome.refusal}"]
    if task in recipe.refused:
        return [f"{task} did not refuse it"]
    found = []
    told = bool(outcome.warnings)
    if recipe.damaged:
        if outcome.pictures < truth.pictures and not told:
            found.append(f"{outcome.pictures} of {truth.pictures} pictures, and no word about it")
        if not outcome.pictures:
            found.append("completed without a picture")
        return [f"{task}: {each}" for each in found]
    if told:
        found.append(f"warns: {'; '.join(outcome.warnings)}")
    if outcome.pictures != truth.pictures:
        found.append(f"{outcome.pictures} pictures of {truth.pictures}")
    if abs(outcome.seconds - truth.seconds) > _SLACK:
        found.append(f"{outcome.seconds:.2f} s from first to last of {truth.seconds:.2f} s")
    if (
        outcome.size is not None
        and max(abs(a - b) for a, b in zip(outcome.size, truth.size, strict=True)) > 2
    ):
        found.append(f"shown as {outcome.size} instead of {truth.size}")
    if outcome.sounding is not None and outcome.sounding != truth.sounding:
        found.append(f"sound: {outcome.sounding} instead of {truth.sounding}")
    return [f"{task}: {each}" for each in found]
