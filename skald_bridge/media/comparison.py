"""What came out held against what went in. Pure: reading both is its callers' work."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

Kind = Literal["video", "audio"]
_SHOWN = {"video": "picture", "audio": "sound"}
_PICTURE_SECONDS = 0.04
_SOUND_FRAME = 0.05  # the longest frame of a common sound codec; its end cannot be kept closer


@dataclass(frozen=True)
class Content:
    """What a file or a recording holds.

    ``pictures``: how many are shown. ``seconds``: from the first picture to the end of the last.
    ``streams``: the kinds that are there, the picture first. ``starts`` and ``ends``: one for each of
    ``streams``, in seconds from the first picture, empty where they are not known; a sound that begins
    before the picture starts below 0. ``displayed``: width and height in pixels as a player shows them.
    """

    pictures: int
    seconds: float
    streams: tuple[Kind, ...]
    starts: tuple[float, ...]
    displayed: tuple[int, int]
    ends: tuple[float, ...] = ()


@dataclass(frozen=True)
class Intended:
    """What a task meant to change; what is ``None`` was to come out as it went in.

    ``picture_seconds``: how long one picture lasts, the bound of every comparison of times.
    """

    pictures: int | None = None
    seconds: float | None = None
    streams: tuple[Kind, ...] | None = None
    displayed: tuple[int, int] | None = None
    picture_seconds: float = _PICTURE_SECONDS


def compare(read: Content, made: Content, intended: Intended) -> list[str]:
    """Every difference that was not intended, as people read it: ``expected 250 pictures, made 238``."""
    wanted = intended.streams if intended.streams is not None else read.streams
    pictures = intended.pictures if intended.pictures is not None else read.pictures
    seconds = intended.seconds if intended.seconds is not None else read.seconds
    width, height = intended.displayed or read.displayed
    found = []
    if pictures != made.pictures:
        found.append(f"expected {_count(pictures)}, made {made.pictures}")
    if abs(seconds - made.seconds) > intended.picture_seconds + 0.001:
        found.append(f"expected {seconds:.2f} s of pictures, made {made.seconds:.2f} s")
    if sorted(wanted) != sorted(made.streams):
        found.append(f"expected {_kinds(wanted)}, made {_kinds(made.streams)}")
    if (width, height) != made.displayed:
        found.append(f"expected {width}x{height} as shown, made {made.displayed[0]}x{made.displayed[1]}")
    return found + _sound(read, made, intended)


def together(parts: Sequence[Content]) -> Content:
    """Parts that follow each other, as one content; a sound may begin or end within them.

    Raises:
        ValueError: there are no parts.
    """
    if not parts:
        raise ValueError("no parts")
    whole = parts[0]
    for part in parts[1:]:
        sounding = whole if "audio" in whole.streams else part
        known = all(len(each.starts) == len(each.ends) == len(each.streams) for each in (whole, part))
        starts, ends = [0.0], [whole.seconds + part.seconds]
        if known and "audio" in sounding.streams:
            since = 0.0 if sounding is whole else whole.seconds
            starts.append(since + (_at(sounding.streams, sounding.starts) or 0.0))
            until = _at(part.streams, part.ends)
            ends.append(whole.ends[1] if until is None else whole.seconds + until)
        whole = replace(
            whole,
            pictures=whole.pictures + part.pictures,
            seconds=whole.seconds + part.seconds,
            streams=sounding.streams,
            starts=tuple(starts) if known else (),
            ends=tuple(ends) if known else (),
        )
    return whole


def _sound(read: Content, made: Content, intended: Intended) -> list[str]:
    """Where the sound moved against the picture or broke off, by more than one picture."""
    if "audio" not in read.streams or "audio" not in made.streams:
        return []
    found = []
    near = max(intended.picture_seconds, _SOUND_FRAME) + 0.001
    before, after = _at(read.streams, read.starts), _at(made.streams, made.starts)
    if before is not None and after is not None and abs(after - before) > near:
        found.append(f"the sound begins at {after:.2f} s instead of {before:.2f} s of the picture")
    before, after = _at(read.streams, read.ends), _at(made.streams, made.ends)
    cut = intended.seconds is not None and intended.seconds != read.seconds
    if before is not None and after is not None and not cut and abs(after - before) > 2 * near:
        found.append(f"the sound ends at {after:.2f} s instead of {before:.2f} s of the picture")
    return found


def _at(streams: Sequence[Kind], times: Sequence[float]) -> float | None:
    """The sound's of ``times``."""
    known = len(times) == len(streams) and "audio" in streams
    return times[streams.index("audio")] if known else None


def _count(pictures: int) -> str:
    return f"{pictures} picture" if pictures == 1 else f"{pictures} pictures"


def _kinds(streams: Sequence[Kind]) -> str:
    return " and ".join(_SHOWN[kind] for kind in streams) or "nothing"
