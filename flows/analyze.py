"""Analyze a video: scenes, black, silence, motion, thumbnails."""

from __future__ import annotations

from prefect import get_run_logger
from prefect.artifacts import create_markdown_artifact
from pydantic import Field

from skald_bridge.authoring import Attachments, Needs, newest_of, progress, task_type
from skald_bridge.media import fetch
from skald_bridge.media.cache_names import (
    CacheName,
    CacheSeconds,
    CacheWidth,
    FindingsTtl,
    PictureTtl,
    RedisBlock,
)
from skald_bridge.media.findings import Thresholds
from skald_bridge.media.jobs import publish_analysis
from skald_bridge.media.keeping import frames_into, kept_in_cache
from skald_bridge.media.probe import probe, timestamp
from skald_bridge.media.report import findings_markdown, in_short
from skald_bridge.media.stores import bad_input_is_final, output_folder, resolve, store_named


class Limits(Thresholds, Attachments):
    """From when on something counts."""


class AnalyzeAttachments(Attachments):
    """What to look at."""

    input: str = Field(
        title="Input",
        description="store:NAME, cache:NAME, a file under a media root, or a URL: "
        "rtsp, rtsps, http, https, secret:NAME.",
        examples=["store:footage/reel.mp4"],
    )
    output: str = Field("", title="Output", description="Folder in the store; empty: analyze/ID.")
    thresholds: Limits = Field(default_factory=Limits, title="Thresholds")
    thumbnail_seconds: float = Field(
        10, ge=0, title="Thumbnails", description="Seconds between thumbnails; 0 makes none."
    )
    thumbnail_width: int = Field(320, ge=32, le=3840, title="Thumbnail width", description="Pixels.")
    seconds: float | None = Field(
        None, gt=0, title="Length", description="Seconds to take of a live input, which has no end."
    )
    store: str = Field("", title="Store", description="Media Store block; empty: the folder in SKALD_HOME.")
    cache: CacheName = ""
    cache_seconds: CacheSeconds = 1
    cache_width: CacheWidth = 640
    picture_ttl: PictureTtl = 60
    findings_ttl: FindingsTtl = 3600
    redis: RedisBlock = ""


@task_type(name="analyze", needs=Needs(cpus=1, memory=500_000_000), retries=2, retry_delay_seconds=2)
def analyze(attachments: AnalyzeAttachments) -> dict[str, object]:
    """Returns the folder and the findings; ``analysis.json`` there holds the measures as well."""
    log = get_run_logger()
    settings = newest_of(
        attachments, "cache_seconds", while_="an analysis runs", when=bool(attachments.cache)
    )
    with bad_input_is_final():
        store = store_named(attachments.store)
        folder = output_folder(attachments.output, "analyze")
        with (
            store.scratch() as scratch,
            kept_in_cache(attachments, lambda: settings().cache_seconds, log.warning) as newest,
        ):
            found = resolve(attachments.input, store, scratch, redis=attachments.redis)
            local = fetch.to_file(found, scratch, seconds=attachments.seconds)
            facts = probe(local)
            total = facts.seconds or 0.0
            log.info("%s: %s", found.display, facts.line)
            made = publish_analysis(
                local,
                facts,
                attachments.thresholds,
                store,
                folder,
                scratch,
                thumbnail_seconds=attachments.thumbnail_seconds,
                thumbnail_width=attachments.thumbnail_width,
                on_picture=frames_into(newest, facts) if newest is not None else None,
                on_progress=lambda done: progress(done, total, f"{timestamp(done)} analyzed"),
            )
            findings = made.findings
            if newest is not None:
                newest.found(findings.json())
    warnings = [*made.warnings, *(newest.warnings if newest is not None else ())]
    for warning in warnings:
        log.warning("%s", warning)
    scenes = len(findings.scenes) + 1
    progress(findings.seconds, findings.seconds, in_short(f"{scenes} scenes", warnings))
    page = findings_markdown(found.display, facts, findings, warnings)
    create_markdown_artifact(key="analysis", markdown=page, description=store.url(folder))
    return {"folder": store.url(folder), "findings": findings.json(), "warnings": warnings}
