"""Record a camera or a file: segments by stream copy, whole when they appear."""

from __future__ import annotations

from datetime import datetime

from prefect import get_run_logger, runtime
from prefect.artifacts import create_table_artifact
from pydantic import Field

from skald_bridge.authoring import (
    CAN_CHANGE,
    Attachments,
    Needs,
    all_recorded,
    live,
    only_changing,
    progress,
    recorded,
    task_type,
)
from skald_bridge.media.cache_names import (
    CacheName,
    CacheSeconds,
    CacheWidth,
    FindingsTtl,
    PictureTtl,
    RedisBlock,
)
from skald_bridge.media.carriage import Container
from skald_bridge.media.keeping import kept_in_cache
from skald_bridge.media.packet_pictures import PacketPictures
from skald_bridge.media.recorder import Recorder
from skald_bridge.media.recording import RecordingResult, Segment
from skald_bridge.media.stores import bad_input_is_final, output_folder, resolve, store_named


class RecordAttachments(Attachments):
    """What to record, and how to cut it."""

    input: str = Field(
        title="Input",
        description="rtsp://, rtsps://, http(s):// URL, secret:NAME of a block that holds one, "
        "store:NAME, cache:NAME, or a file under a media root.",
        examples=["rtsp://camera.lan/stream1"],
    )
    segment_seconds: float = Field(
        60,
        gt=0,
        le=86_400,
        title="Segment length",
        description="Seconds; a segment ends at the next key frame. Can change while the task runs.",
        json_schema_extra=CAN_CHANGE,
    )
    seconds: float | None = Field(
        None,
        gt=0,
        title="Length",
        description="Seconds of media to record; empty: until cancelled, or the end.",
    )
    output: str = Field("", title="Output", description="Folder in the store; empty: record/ID.")
    container: Container = Field("mp4", title="Container", description="mkv holds what mp4 cannot.")
    give_up_after: float = Field(
        30,
        gt=0,
        title="Give up after",
        description="Seconds without a recorded picture. The task fails if nobody answers for so long, or if the "
        "third connection in a row brings no picture that lasts.",
    )
    own_speed: bool = Field(
        False, title="At its own speed", description="Read a file no faster than it plays, as a camera would."
    )
    store: str = Field("", title="Store", description="Media Store block; empty: the folder in SKALD_HOME.")
    cache: CacheName = ""
    cache_seconds: CacheSeconds = 1
    cache_width: CacheWidth = 640
    picture_ttl: PictureTtl = 60
    findings_ttl: FindingsTtl = 3600
    redis: RedisBlock = ""


@task_type(name="record", needs=Needs(cpus=0.25, memory=200_000_000), retries=3, retry_delay_seconds=5)
def record(attachments: RecordAttachments) -> dict[str, object]:
    """Returns the recording: its segments, their names in the store and lengths in seconds, and what is missing.

    A further try of the same task goes on where the one before it stopped.
    """
    log = get_run_logger()
    settings = only_changing(
        live(attachments),
        "segment_seconds",
        "cache_seconds",
        while_="a recording runs",
        accepted=lambda new: log.info("segments are now %g s long", new.segment_seconds),
    )

    def heard(recording: RecordingResult, text: str) -> None:
        log.info("%s", text)
        progress(recording.seconds, attachments.seconds, text)

    def kept(segment: Segment) -> None:
        start = datetime.fromisoformat(segment.began)
        recorded(segment.url, start=start, seconds=segment.seconds, codec=segment.codec, size=segment.bytes)

    with bad_input_is_final():
        store = store_named(attachments.store)
        folder = output_folder(attachments.output, "record")
        with (
            kept_in_cache(attachments, lambda: settings.value.cache_seconds, log.warning) as newest,
            store.scratch() as scratch,
        ):
            source = resolve(attachments.input, store, scratch, redis=attachments.redis)
            log.info("recording %s into %s", source.display, store.url(folder))
            recorder = Recorder(
                source,
                store,
                folder,
                segment_seconds=lambda: settings.value.segment_seconds,
                container=attachments.container,
                seconds=attachments.seconds,
                give_up_after=attachments.give_up_after,
                own_speed=attachments.own_speed,
                on_change=heard,
                on_segment=kept,
                on_picture=PacketPictures(newest, source).take if newest is not None else None,
                task=str(runtime.flow_run.get_id() or ""),
            )
            try:
                made = recorder.run()
            finally:
                all_recorded()
    for warning in newest.warnings if newest is not None else ():
        made.warn(warning)
    for warning in made.warnings:
        log.warning("%s", warning)
    create_table_artifact(
        key="recording", table=[vars(segment) for segment in made.segments], description=store.url(folder)
    )
    return {"folder": store.url(folder), **made.json()}
