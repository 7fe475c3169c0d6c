"""A whole job on a video: split, transcode and analyze parts on any node, merge, contact sheet, report."""

from __future__ import annotations

import contextlib
from collections import deque
from collections.abc import Callable
from pathlib import Path
from queue import Empty, SimpleQueue
from typing import Literal

from prefect import get_run_logger, runtime, task
from prefect.artifacts import create_image_artifact, create_markdown_artifact, create_table_artifact
from prefect.cache_policies import NO_CACHE
from prefect.futures import PrefectFuture
from pydantic import Field

from skald_bridge.authoring import CAN_CHANGE, Attachments, Needs, Reject, live, progress, task_type
from skald_bridge.media import fetch, ffmpeg
from skald_bridge.media.cache_names import RedisBlock
from skald_bridge.media.children import Children, being_cancelled
from skald_bridge.media.inputs import Source
from skald_bridge.media.looks import Look
from skald_bridge.media.parted import Dress, PartedJob, Product, SourcePart
from skald_bridge.media.probe import Probe, probe
from skald_bridge.media.renditions import Preset
from skald_bridge.media.report import in_short
from skald_bridge.media.stores import bad_input_is_final, output_folder, resolve, store_named

_CHANGEABLE = {"look", "label"}
_TICK = 0.5


class PipelineAttachments(Attachments):
    """What to work on, how to divide it, and how the result looks."""

    input: str = Field(
        title="Input",
        description="store:NAME, cache:NAME, a file under a media root, or a URL: "
        "rtsp, rtsps, http, https, secret:NAME.",
        examples=["store:footage/reel.mp4"],
    )
    title: str = Field("", max_length=80, title="Title", description="Heading of the contact sheet.")
    look: Look = Field(
        "none",
        title="Look",
        description="Colours of the parts to come. Can change while the task runs.",
        json_schema_extra=CAN_CHANGE,
    )
    label: str = Field(
        "",
        max_length=60,
        title="Label",
        description="Text in the upper right corner of the parts to come. Can change while the task runs.",
        json_schema_extra=CAN_CHANGE,
    )
    part_seconds: float = Field(30, gt=0.5, title="Part length", description="Seconds of one part, about.")
    parallel: int = Field(4, ge=1, le=64, title="At once", description="Parts worked on at the same time.")
    spread: Literal["auto", "nodes", "here"] = Field(
        "auto",
        title="Spread",
        description="nodes: parts are tasks of their own, for any node; here: in this process; "
        "auto: nodes where this task was deployed.",
    )
    height: int = Field(360, ge=64, le=4320, title="Height", description="Of the result, in pixels.")
    quality: int = Field(22, ge=10, le=45, title="Quality", description="x264's CRF; lower is better.")
    preset: Preset = Field("veryfast", title="Preset", description="Slower makes smaller files.")
    pictures: int = Field(16, ge=1, le=60, title="Pictures", description="On the contact sheet.")
    seconds: float | None = Field(
        None, gt=0, title="Length", description="Seconds to take of a live input, which has no end."
    )
    fail_once: int | None = Field(
        None,
        ge=1,
        title="Fail once",
        description="Rehearsal: the transcoding of this part fails at first and is tried again.",
    )
    keep_parts: bool = Field(False, title="Keep parts", description="Leave the parts in the store.")
    output: str = Field("", title="Output", description="Folder in the store; empty: pipeline/ID.")
    store: str = Field("", title="Store", description="Media Store block; empty: the folder in SKALD_HOME.")
    redis: RedisBlock = ""


class Rehearsed(RuntimeError):
    """A failure that was asked for."""


@task_type(name="pipeline", needs=Needs(), retries=1, retry_delay_seconds=2)
def pipeline(attachments: PipelineAttachments) -> dict[str, object]:
    """Returns the places of the video, the contact sheet and the report, and what happened to each part."""
    log = get_run_logger()
    settings = live(attachments)

    @settings.on_update
    def only_looks_change(new: PipelineAttachments) -> None:
        if new.model_dump(exclude=_CHANGEABLE) != settings.taken.model_dump(exclude=_CHANGEABLE):
            raise Reject("only look and label can change while a pipeline runs")
        log.info("parts not yet begun get look %s, label %r", new.look, new.label)

    def dress() -> Dress:
        newest = settings.value
        return Dress(newest.look, newest.label, settings.revision)

    spread = attachments.spread == "auto" and runtime.deployment.get_id() is not None
    children = Children() if spread or attachments.spread == "nodes" else None
    with bad_input_is_final():
        store = store_named(attachments.store)
        folder = output_folder(attachments.output, "pipeline")
        with store.scratch() as scratch:
            found = resolve(attachments.input, store, scratch, redis=attachments.redis)
            progress(0, 1, "reading the input")
            local = fetch.to_file(found, scratch, seconds=attachments.seconds)
            job = PartedJob(
                local,
                probe_input(local),
                store,
                folder,
                scratch,
                title=attachments.title or found.display.rsplit("/", 1)[-1],
                key=str(runtime.flow_run.get_id()),
                height=attachments.height,
                quality=attachments.quality,
                preset=attachments.preset,
                store_name=attachments.store,
                children=children,
            )
            log.info("%s: %s", found.display, job.facts.line)
            try:
                product = _stages(job, attachments, dress)
            except Exception:
                _abandon(children, cancel=True)
                raise
            except BaseException:
                run_id = runtime.flow_run.get_id()
                _abandon(children, cancel=run_id is not None and being_cancelled(run_id))
                raise
            if not attachments.keep_parts:
                job.remove_parts()
    create_image_artifact(
        key="contact-sheet", image_url=product.picture, description=product.files["contact-sheet.jpg"]
    )
    create_markdown_artifact(key="report", markdown=product.markdown)
    files = [{"file": name, "place": place} for name, place in product.files.items()]
    create_table_artifact(key="files", table=files, description=store.url(folder))
    for warning in product.warnings:
        log.warning("%s", warning)
    return {
        "files": dict(product.files),
        "findings": product.findings.json(),
        "warnings": product.warnings,
    }


def _stages(job: PartedJob, attachments: PipelineAttachments, dress: Callable[[], Dress]) -> Product:
    parts = split(job, attachments.part_seconds)
    total = 2 * len(parts) + 2
    waiting, busy, done = deque(parts), 0, 0
    ended: SimpleQueue[PrefectFuture[None]] = SimpleQueue()
    while waiting or busy:
        if waiting and busy < 2 * attachments.parallel:
            part = waiting.popleft()
            rehearse = attachments.fail_once == part.number
            pair = (transcode_part.submit(job, part, dress(), rehearse), analyze_part.submit(job, part))
            for future in pair:
                future.add_done_callback(ended.put)
            busy += 2
            continue
        with contextlib.suppress(Empty):
            ended.get(timeout=_TICK).result()
            busy, done = busy - 1, done + 1
            progress(done, total, f"{done} of {2 * len(parts)} subtasks on {len(parts)} parts")
    video = merge(job, parts)
    progress(total - 1, total, "merged")
    product = report(job, parts, video, attachments.pictures)
    progress(total, total, in_short(f"{len(parts)} parts", product.warnings))
    return product


def _abandon(children: Children | None, *, cancel: bool) -> None:
    ffmpeg.stop_all()
    if children is not None:
        children.close(cancel=cancel)


@task(task_run_name="probe", cache_policy=NO_CACHE)
def probe_input(source: Source) -> Probe:
    return probe(source)


@task(task_run_name="split", cache_policy=NO_CACHE)
def split(job: PartedJob, part_seconds: float) -> list[SourcePart]:
    return job.divide(part_seconds)


@task(task_run_name="transcode {part.number}", retries=1, retry_delay_seconds=0.5, cache_policy=NO_CACHE)
def transcode_part(job: PartedJob, part: SourcePart, dress: Dress, rehearse_failure: bool) -> None:
    attempt = runtime.task_run.get_run_count()
    if rehearse_failure and attempt == 1:
        raise Rehearsed(f"part {part.number} fails once, as fail_once asks; it is tried again")
    job.transcode(part, dress, attempt=attempt)


@task(task_run_name="analyze {part.number}", retries=1, retry_delay_seconds=0.5, cache_policy=NO_CACHE)
def analyze_part(job: PartedJob, part: SourcePart) -> None:
    job.analyze(part)


@task(task_run_name="merge", cache_policy=NO_CACHE)
def merge(job: PartedJob, parts: list[SourcePart]) -> Path:
    return job.merge(parts)


@task(task_run_name="report", cache_policy=NO_CACHE)
def report(job: PartedJob, parts: list[SourcePart], video: Path, pictures: int) -> Product:
    return job.report(parts, video, pictures)
