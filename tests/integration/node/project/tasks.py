"""Flows that tests run on a node; every one leaves marks in the folder it is given."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

from prefect import flow, get_run_logger, task
from prefect.client.schemas.objects import FlowRun, State
from prefect.flows import Flow
from prefect.runtime import flow_run

from skald_bridge.authoring import Attachments, Needs, live, task_type
from tests.integration.node.project.constants import VERSION


def mark(folder: str, name: str, text: str = "") -> None:
    made = Path(folder) / f"{name}.new"
    made.write_text(text)
    made.replace(Path(folder) / name)


def _hook(name: str) -> Any:
    def hook(flow: Flow[..., Any], run: FlowRun, state: State[Any]) -> None:
        mark(run.parameters["folder"], name, state.name or "")

    hook.__name__ = name
    return hook


@flow
def quick(folder: str) -> str:
    mark(folder, "quick", f"{VERSION} {os.environ.get('CUDA_VISIBLE_DEVICES', 'unset')} {flow_run.id}")
    return VERSION


@flow
async def quick_async(folder: str) -> None:
    mark(folder, "quick_async")


@flow
def counted(folder: str) -> Iterator[int]:
    yield from range(3)
    mark(folder, "counted")


@flow
async def counted_async(folder: str) -> AsyncIterator[int]:
    for number in range(3):
        yield number
    mark(folder, "counted_async")


@task
def double(number: int) -> int:
    return 2 * number


@flow
def talkative(folder: str) -> int:
    get_run_logger().info("said through prefect")
    print("said on stdout")
    print("said on stderr", file=sys.stderr)
    subprocess.run(["echo", "said by a subprocess"], check=True)
    return sum(future.result() for future in double.map([1, 2, 3]))


@flow(on_cancellation=[_hook("on_cancellation")], on_crashed=[_hook("on_crashed")])
def patient(folder: str, own_session: bool = False) -> None:
    helper = subprocess.Popen(["sleep", "1000"], start_new_session=own_session)
    mark(folder, "helper", str(helper.pid))
    mark(folder, "started", str(os.getpid()))
    try:
        while True:
            mark(folder, "tick", str(time.monotonic()))
            time.sleep(0.05)
    finally:
        mark(folder, "released")


@flow
async def patient_async(folder: str) -> None:
    mark(folder, "started", str(os.getpid()))
    try:
        await asyncio.sleep(1000)
    finally:
        mark(folder, "released")


@flow(on_cancellation=[_hook("on_cancellation")])
def stubborn(folder: str) -> None:
    import signal

    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    mark(folder, "started", str(os.getpid()))
    while True:
        time.sleep(0.05)


@flow(retries=1)
def fragile(folder: str) -> None:
    attempts = Path(folder) / "attempts"
    with attempts.open("a") as file:
        file.write(f"{os.getpid()}\n")
    if len(attempts.read_text().split()) == 1:
        raise ValueError("not yet")


@flow(retries=1, retry_delay_seconds=0)
def mortal(folder: str) -> None:
    attempts = Path(folder) / "attempts"
    with attempts.open("a") as file:
        file.write(f"{os.getpid()}\n")
    if len(attempts.read_text().split()) == 1:
        os.kill(os.getpid(), 9)


@task
def step(folder: str) -> None:
    with (Path(folder) / "steps").open("a") as file:
        file.write("x")
    time.sleep(0.3)


@flow
def stepwise(folder: str) -> None:
    mark(folder, "started", str(os.getpid()))
    while not (Path(folder) / "enough").exists():
        step(folder)


class Speed(Attachments):
    folder: str
    speed: int = 1


@task_type(name="adjustable", needs=Needs(cpus=0.25))
def adjustable(attachments: Speed) -> None:
    with live(attachments) as settings:
        while settings.value.speed < 10:
            mark(attachments.folder, "speed", str(settings.value.speed))
            time.sleep(0.02)
        mark(attachments.folder, "speed", str(settings.value.speed))


@task_type(name="demanding", needs=Needs(gpus=9))
def demanding(attachments: Speed) -> None:
    mark(attachments.folder, "demanding")


@task_type(name="sharing", needs=Needs(gpu_memory="4GiB"))
def sharing(attachments: Speed) -> None:
    told = " ".join(os.environ.get(name, "-") for name in ("SKALD_GPU_MEMORY", "SKALD_GPU_MEMORY_FRACTION"))
    mark(attachments.folder, "share", told)
    while not (Path(attachments.folder) / "enough").exists():
        time.sleep(0.02)


@task_type(name="rendering", needs=Needs(gpus=1))
def rendering(attachments: Speed) -> None:
    mark(attachments.folder, "devices", os.environ["CUDA_VISIBLE_DEVICES"])
    while not (Path(attachments.folder) / "enough").exists():
        time.sleep(0.02)
