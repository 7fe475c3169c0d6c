"""The two jobs that are done on a whole video or on a part of one: renditions and analysis, into a store."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from skald_blocks import MediaStore
from skald_bridge.media.errors import naming_full_disk
from skald_bridge.media.findings import Findings, Thresholds, find
from skald_bridge.media.frames import save_thumbnails
from skald_bridge.media.inputs import Source, local_source
from skald_bridge.media.measure import Measures, measure
from skald_bridge.media.probe import Probe, probe
from skald_bridge.media.renditions import Encoder, Style, encoder_here, ladder, render

ANALYSIS = "analysis.json"


@dataclass(frozen=True)
class Rendition:
    """A published rendition; ``video`` is what it turned out to be, in a line."""

    rendition: str
    name: str
    url: str
    video: str


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
) -> list[Rendition]:
    """The ladder of ``local`` as ``folder/NAME.mp4``; ``on_progress`` gets seconds done.

    Raises:
        DiskFull, FfmpegEnded, FfmpegFailed: nothing is published then.
    """
    encoder = encoder_here(os.environ)
    on_encoder(encoder)
    made = render(
        local,
        facts,
        ladder(heights, facts),
        scratch,
        style=style,
        encoder=encoder,
        on_progress=on_progress,
    )
    published = []
    with naming_full_disk(store.url(folder)):
        for each in made:
            line = probe(local_source(each.path)).line
            name = f"{folder}/{each.rung.name}.mp4"
            published.append(Rendition(each.rung.name, name, store.publish(each.path, name), line))
    return published


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
    on_progress: Callable[[float], None] | None = None,
) -> Findings:
    """``folder/analysis.json`` (facts, findings, measures) and thumbnails; ``on_progress`` gets seconds done.

    Raises:
        BadMedia: it cannot be read to its end. DiskFull: no space.
    """
    measures = measure(local, on_progress=on_progress)
    findings = find(measures, thresholds)
    times: list[float] = []
    if thumbnail_seconds:
        times = [index * thumbnail_seconds for index in range(int(measures.seconds / thumbnail_seconds) + 1)]
    with naming_full_disk(store.url(folder)):
        for picture in save_thumbnails(local, times, scratch, width=thumbnail_width):
            store.publish(picture, f"{folder}/thumbnails/{picture.name}")
        whole = {"video": facts.json(), "findings": findings.json(), "measures": measures.json()}
        report = scratch / ANALYSIS
        report.write_text(json.dumps(whole))
        store.publish(report, f"{folder}/{ANALYSIS}")
    return findings


def read_measures(store: MediaStore, folder: str) -> Measures:
    """The measures that ``publish_analysis`` left in ``folder``."""
    with store.open(f"{folder}/{ANALYSIS}") as file:
        return Measures.of(json.load(file)["measures"])
