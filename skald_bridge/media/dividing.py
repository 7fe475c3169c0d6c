"""A video divided without losing a picture: copied where that goes, else encoded anew."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from itertools import accumulate
from pathlib import Path

from skald_bridge.media.comparison import Intended, together
from skald_bridge.media.contents import Reading, differences, read
from skald_bridge.media.cutting import plan_cuts, split
from skald_bridge.media.errors import BadMedia, FfmpegEnded, FfmpegFailed
from skald_bridge.media.inputs import Source, local_source
from skald_bridge.media.probe import Probe, probe

_AT_ONCE = 0.001


def divided(
    source: Source, facts: Probe, reading: Reading, part_seconds: float, folder: Path
) -> tuple[list[Path], list[float]]:
    """The parts of a local ``source`` in ``folder``, and the seconds at which each begins.

    Parts that were copied are counted; where one lacks a picture or is shown in another way, all are encoded
    anew.

    Raises:
        BadMedia: none of its pictures can be decoded. DiskFull, FfmpegEnded, FfmpegFailed: as they say.
    """
    plan = plan_cuts(reading.cuts if reading.clean else [], reading.content.seconds, part_seconds)
    if plan.copied and reading.clean:
        try:
            files = split(source, facts, reading, plan, folder)
            made = _readings(files)
            if not _lost(reading, made, facts):
                return files, _starts(reading, made)
        except (FfmpegFailed, BadMedia) as error:
            if isinstance(error, FfmpegEnded):
                raise
        for path in folder.glob("part-*.mkv"):
            path.unlink()
    files = split(source, facts, reading, replace(plan, copied=False), folder)
    made = _readings(files)
    if not made:
        raise BadMedia(
            f"no picture of input {source.display!r} could be decoded", remedy="Check that a player plays it."
        )
    return files, _starts(reading, made)


def _readings(files: Sequence[Path]) -> list[Reading]:
    return [read(local, probe(local)) for local in map(local_source, files)]


def _lost(reading: Reading, made: Sequence[Reading], facts: Probe) -> list[str]:
    """What parts do not hold of their whole; how long the last picture of each lasts, they do not say."""
    if not made or any(not part.cuts or part.cuts[0] > _AT_ONCE for part in made):
        return ["pictures at the beginning of a part, which need what came before it"]
    whole = replace(together([part.content for part in made]), starts=(), ends=())
    return differences(reading, whole, facts, Intended(seconds=whole.seconds))


def _starts(reading: Reading, made: Sequence[Reading]) -> list[float]:
    firsts = accumulate((part.content.pictures for part in made[:-1]), initial=0)
    return [reading.times[min(first, len(reading.times) - 1)] for first in firsts]
