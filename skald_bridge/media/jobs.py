"""The two jobs that are done on a whole video or on a part of one: renditions and analysis, into a store.

What each made is held against what it read; a difference is a warning, and nothing made at all a failure.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from fractions import Fraction
from pathlib import Path
from typing import Any

from skald_blocks import MediaStore
from skald_bridge.media.comparison import Intended, Kind
from skald_bridge.media.contents import Reading, differences, read, remarks
from skald_bridge.media.errors import BadMedia, naming_full_disk
from skald_bridge.media.findings import Findings, Thresholds, find
from skald_bridge.media.frames import Thumbnails
from skald_bridge.media.inputs import Source, local_source
from skald_bridge.media.measure import Measures, measure_all
from skald_bridge.media.probe import Probe, probe
from skald_bridge.media.renditions import Encoder, Rendered, Style, encoder_here, ladder, render, tone_maps

ANALYSIS = "analysis.json"


@dataclass(frozen=True)
class Rendition:
    """A published rendition; ``video`` is what it turned out to be, in a line."""

    rendition: str
    name: str
    url: str
    video: str


@dataclass(frozen=True)
class Transcoded:
    """What was published, and each difference to the input that nobody asked for."""

    renditions: list[Rendition]
    warnings: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class Analyzed:
    """The findings, and what in the input could not be looked at."""

    findings: Findings
    warnings: list[str] = field(default_factory=list)


def publish_renditions(
    local: Source,
    facts: Probe,
    heights: Sequence[int],
    style: Style,
    store: MediaStore,
    folder: str,
    scratch: Path,
    *,
    on_encoder: Callable[[Encoder], None] = lambda encoder: None,
    on_progress: Callable[[float], None] | None = None,
) -> Transcoded:
    """The ladder of ``local`` as ``folder/NAME.mp4``; ``on_progress`` gets seconds done.

    Raises:
        DiskFull, FfmpegEnded, FfmpegFailed: nothing is published then. BadMedia: nor where no picture came out.
    """
    encoder = encoder_here(os.environ)
    on_encoder(encoder)
    reading = read(local, facts)
    made = render(
        local,
        facts,
        reading,
        ladder(heights, facts),
        scratch,
        style=style,
        encoder=encoder,
        on_progress=on_progress,
    )
    warnings = remarks(reading, facts)
    if facts.hdr and not tone_maps():
        warnings.append("HDR was not tone-mapped: this ffmpeg was built without zscale")
    published = []
    with naming_full_disk(store.url(folder)):
        for each in made:
            shown = _probed(each, local)
            warnings += _unintended(reading, facts, each, shown, style)
            name = f"{folder}/{each.rung.name}.mp4"
            published.append(Rendition(each.rung.name, name, store.publish(each.path, name), shown.line))
    return Transcoded(published, warnings)


def publish_analysis(
    local: Source,
    facts: Probe,
    thresholds: Thresholds,
    store: MediaStore,
    folder: str,
    scratch: Path,
    *,
    thumbnail_seconds: float = 0,
    thumbnail_width: int = 320,
    on_picture: Callable[[float, Any], None] | None = None,
    on_progress: Callable[[float], None] | None = None,
) -> Analyzed:
    """``folder/analysis.json`` (facts, findings, measures) and thumbnails; ``on_progress`` gets seconds done.

    ``on_picture`` gets every decoded picture with its time in seconds.

    Raises:
        BadMedia: it cannot be read to its end, or no picture of it decoded. DiskFull: no space.
    """
    aspect = Fraction(*facts.pixel_aspect)
    pictures = Thumbnails(scratch, thumbnail_seconds, width=thumbnail_width, pixel_aspect=aspect)
    takers = [each for each in (pictures.take if thumbnail_seconds else None, on_picture) if each is not None]
    with naming_full_disk(scratch):
        measures, reading = measure_all(local, facts, on_picture=_all(takers), on_progress=on_progress)
        thumbnails = pictures.finish(measures.seconds)
    if not measures.times:
        raise _no_picture(local, reading.content.pictures)
    findings = find(measures, thresholds)
    looked_at = replace(reading.content, pictures=len(measures.times), seconds=measures.seconds)
    warnings = remarks(reading, facts) + differences(reading, looked_at, facts, Intended())
    with naming_full_disk(store.url(folder)):
        for picture in thumbnails:
            store.publish(picture, f"{folder}/thumbnails/{picture.name}")
        whole = {
            "video": facts.json(),
            "findings": findings.json(),
            "warnings": warnings,
            "measures": measures.json(),
        }
        report = scratch / ANALYSIS
        report.write_text(json.dumps(whole))
        store.publish(report, f"{folder}/{ANALYSIS}")
    return Analyzed(findings, warnings)


def _all(takers: Sequence[Callable[[float, Any], None]]) -> Callable[[float, Any], None] | None:
    def take(at: float, frame: Any) -> None:
        for each in takers:
            each(at, frame)

    return take if takers else None


def _probed(made: Rendered, local: Source) -> Probe:
    try:
        return probe(local_source(made.path))
    except BadMedia:
        raise _no_picture(local, 0) from None


def _unintended(reading: Reading, facts: Probe, made: Rendered, shown: Probe, style: Style) -> list[str]:
    kinds: tuple[Kind, ...] = reading.content.streams if style.sound else ("video",)
    content = read(local_source(made.path), shown).content
    found = differences(reading, content, facts, Intended(streams=kinds, displayed=made.size))
    return [f"{made.rung.name}: {each}" for each in found]


def _no_picture(local: Source, of: int) -> BadMedia:
    counted = f"none of the {of} pictures" if of else "no picture"
    return BadMedia(
        f"{counted} of input {local.display!r} could be decoded", remedy="Check that a player plays it."
    )


def read_measures(store: MediaStore, folder: str) -> Measures:
    """The measures that ``publish_analysis`` left in ``folder``."""
    with store.open(f"{folder}/{ANALYSIS}") as file:
        return Measures.of(json.load(file)["measures"])
