"""Labels for the pictures of a video, by a model that keeps to its share of a GPU."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any

import av
import numpy as np
from prefect import get_run_logger, task
from prefect.cache_policies import NO_CACHE
from pydantic import Field

from skald_bridge.authoring import Attachments, Needs, progress, task_type

LABELS = ("dark", "dim", "bright")


class Inference(Attachments):
    video: str
    every: float = Field(1.0, gt=0, description="Seconds between two pictures that are looked at.")
    batch: int = Field(8, ge=1, le=256, description="Pictures that the model sees at once.")


class Model:
    """Stands where yours stands: three labels by brightness."""

    def __init__(self) -> None:
        # torch.cuda.set_per_process_memory_fraction(float(fraction)) is what a model on a GPU does with it.
        self.fraction = os.environ.get("SKALD_GPU_MEMORY_FRACTION")
        self.device = "cuda" if os.environ.get("CUDA_VISIBLE_DEVICES") else "cpu"

    def __call__(self, pictures: np.ndarray[Any, Any]) -> list[str]:
        return [LABELS[min(2, int(3 * each))] for each in pictures.mean(axis=(1, 2)) / 256]


@task_type(name="inference", needs=Needs(cpus=1, memory="500MiB", gpu_memory="2GiB"), retries=1)
def inference(attachments: Inference) -> dict[str, int]:
    """How many pictures have which label."""
    model = Model()
    get_run_logger().info("on %s, GPU share: %s", model.device, model.fraction or "none")
    pictures = sampled(attachments.video, attachments.every)
    counts = dict.fromkeys(LABELS, 0)
    for begin in range(0, len(pictures), attachments.batch):
        for label in labelled(model, pictures[begin : begin + attachments.batch]):
            counts[label] += 1
        progress(min(begin + attachments.batch, len(pictures)), len(pictures), "pictures")
    return counts


# A stage: shown on its own, tried again on its own. What is large is not kept as a result.
@task(retries=2, retry_delay_seconds=1, cache_policy=NO_CACHE, persist_result=False)
def sampled(video: str, every: float) -> list[np.ndarray[Any, Any]]:
    """Gray pictures of 64x36, one for each ``every`` seconds."""
    found, due = [], 0.0
    with av.open(video) as container:
        for frame in container.decode(video=0):
            if (frame.time or 0) >= due:
                found.append(frame.reformat(64, 36, "gray").to_ndarray())
                due += every
    return found


@task(retries=2, retry_delay_seconds=1, cache_policy=NO_CACHE, persist_result=False)
def labelled(model: Model, pictures: Sequence[np.ndarray[Any, Any]]) -> list[str]:
    """The labels of one batch."""
    return model(np.stack(pictures))
