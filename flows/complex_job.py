"""A job of named steps that take a while and sometimes fail: a rehearsal for retries."""

from __future__ import annotations

import random
import time

from prefect import get_run_logger, runtime, task
from prefect.cache_policies import NO_CACHE
from pydantic import Field

from skald_bridge.authoring import Attachments, progress, task_type

_SLICE = 0.1


class SubTask(Attachments):
    """One step."""

    name: str = Field(min_length=1, description="Shown as the subtask's name.")
    duration: float = Field(1.0, ge=0, le=86_400, description="Seconds.")
    fail_chance: float = Field(0.0, ge=0, le=1, description="0 never fails, 1 always.")


class ComplexJobAttachments(Attachments):
    """The steps, run one after the other."""

    job_id: str = Field("job", title="Job id", description="Name of the job.")
    retries: int = Field(2, ge=0, le=100, title="Retries", description="Further attempts of each step.")
    sub_tasks: list[SubTask] = Field(
        default_factory=lambda: [
            SubTask(name="Download Data", duration=1.5, fail_chance=0.2),
            SubTask(name="Process Data", duration=2.0, fail_chance=0.1),
        ],
        min_length=1,
        title="Steps",
    )
    seed: int | None = Field(
        None,
        title="Seed",
        description="The same seed gives the same failures; empty: new ones.",
    )


class StepFailed(RuntimeError):
    """The dice said so."""


@task_type(name="complex_job")
def complex_job(attachments: ComplexJobAttachments) -> dict[str, object]:
    """Returns the job id and each step's attempts."""
    log = get_run_logger()
    seed = attachments.seed if attachments.seed is not None else random.SystemRandom().getrandbits(32)
    log.info("job %s: %d steps, seed %d", attachments.job_id, len(attachments.sub_tasks), seed)
    attempts = {}
    for index, step in enumerate(attachments.sub_tasks):
        progress(index, len(attachments.sub_tasks), step.name)
        run = run_step.with_options(
            name=step.name, task_run_name=step.name, retries=attachments.retries, retry_delay_seconds=0.2
        )
        attempts[step.name] = run(step, f"{seed}:{attachments.job_id}:{index}")
    progress(len(attachments.sub_tasks), len(attachments.sub_tasks), "done")
    return {"jobId": attachments.job_id, "attempts": attempts}


@task(cache_policy=NO_CACHE)
def run_step(step: SubTask, seed: str) -> int:
    """Takes ``step.duration`` seconds; returns the attempt that succeeded, from 1."""
    attempt = int(runtime.task_run.get_run_count() or 1)
    dice = random.Random(f"{seed}:{attempt}")  # noqa: S311
    fails_at = step.duration * dice.random() if dice.random() < step.fail_chance else None
    slept = 0.0
    while slept < step.duration:
        if fails_at is not None and slept >= fails_at:
            break
        pause = min(_SLICE, step.duration - slept)
        time.sleep(pause)
        slept += pause
    if fails_at is not None:
        raise StepFailed(f"{step.name} failed on attempt {attempt}; its fail chance is {step.fail_chance:g}")
    return attempt
