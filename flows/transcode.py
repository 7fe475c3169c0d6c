"""Transcode a video into a ladder of renditions, on a GPU's encoder where the lease has one."""

from __future__ import annotations

from typing import Annotated

from prefect import get_run_logger
from prefect.artifacts import create_table_artifact
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
from skald_bridge.media.jobs import publish_renditions
from skald_bridge.media.keeping import kept_in_cache, places_into
from skald_bridge.media.looks import Look
from skald_bridge.media.probe import probe, timestamp
from skald_bridge.media.renditions import Preset, Style
from skald_bridge.media.report import in_short
from skald_bridge.media.stores import bad_input_is_final, output_folder, resolve, store_named

Height = Annotated[int, Field(ge=64, le=4320)]


class TranscodeAttachments(Attachments):
    """What to transcode, and into what."""

    input: str = Field(
        title="Input",
        description="store:NAME, cache:NAME, a file under a media root, or a URL: "
        "rtsp, rtsps, http, https, secret:NAME.",
        examples=["store:footage/reel.mp4"],
    )
    heights: list[Height] = Field(
        default_factory=lambda: [1080, 720, 480, 360],
        min_length=1,
        max_length=8,
        title="Ladder",
        description="Heights of the renditions in pixels; those taller than the input are left out.",
    )
    output: str = Field("", title="Output", description="Folder in the store; empty: transcode/ID.")
    look: Look = Field("none", title="Look", description="Colours of the result.")
    label: str = Field("", max_length=60, title="Label", description="Text in the upper right corner.")
    quality: int = Field(22, ge=10, le=45, title="Quality", description="x264's CRF; lower is better.")
    preset: Preset = Field("veryfast", title="Preset", description="Slower makes smaller files.")
    sound: bool = Field(True, title="Sound", description="Keep the first sound track.")
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


@task_type(name="transcode", needs=Needs(cpus=1, memory=500_000_000), retries=2, retry_delay_seconds=2)
def transcode(attachments: TranscodeAttachments) -> dict[str, object]:
    """Returns the folder and the renditions with their names in the store."""
    log = get_run_logger()
    settings = newest_of(
        attachments, "cache_seconds", while_="a transcoding runs", when=bool(attachments.cache)
    )
    with bad_input_is_final():
        store = store_named(attachments.store)
        folder = output_folder(attachments.output, "transcode")
        with (
            store.scratch() as scratch,
            kept_in_cache(attachments, lambda: settings().cache_seconds, log.warning) as newest,
        ):
            found = resolve(attachments.input, store, scratch, redis=attachments.redis)
            local = fetch.to_file(found, scratch, seconds=attachments.seconds)
            facts = probe(local)
            log.info("%s: %s", found.display, facts.line)
            total = facts.seconds or 0.0
            seen = places_into(newest, local, facts) if newest is not None else None

            def on_progress(done: float) -> None:
                progress(done, total, f"{timestamp(done)} encoded")
                if seen is not None:
                    seen(done)

            made = publish_renditions(
                local,
                facts,
                attachments.heights,
                Style(
                    attachments.look,
                    attachments.label,
                    attachments.quality,
                    attachments.preset,
                    attachments.sound,
                ),
                store,
                folder,
                scratch,
                on_encoder=lambda encoder: log.info("encoding with %s: %s", encoder.name, encoder.reason),
                on_progress=on_progress,
            )
    warnings = [*made.warnings, *(newest.warnings if newest is not None else ())]
    for warning in warnings:
        log.warning("%s", warning)
    renditions = [vars(each) for each in made.renditions]
    progress(total, total, in_short(f"{len(renditions)} renditions", warnings))
    table = [*renditions, *({"rendition": "warning", "video": warning} for warning in warnings)]
    create_table_artifact(key="renditions", table=table, description=store.url(folder))
    return {"folder": store.url(folder), "renditions": renditions, "warnings": warnings}
