import asyncio
import json
import os
import signal
import time
from pathlib import Path

from prefect import flow, task


def hook(kind: str):
    def write(flow, flow_run, state) -> None:
        with Path(flow_run.parameters["out"], "hooks").open("a") as file:
            file.write(f"{kind} {state.type.value}\n")

    write.__name__ = kind
    return [write]


HOOKS = {
    kind: hook(kind)
    for kind in ("on_running", "on_completion", "on_failure", "on_cancellation", "on_crashed")
}


@task
def long() -> None:
    time.sleep(200)


@flow(**HOOKS)
def main(out: str, how: str) -> None:
    if how == "ignore":
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
    try:
        Path(out, "seen.json").write_text(json.dumps({"own": os.environ.get("OWN")}))
        if how == "task":
            long()
        else:
            time.sleep(200)
    finally:
        Path(out, "finally").touch()


@flow(**HOOKS)
async def asynchronous(out: str) -> None:
    try:
        Path(out, "seen.json").write_text(json.dumps({"own": os.environ.get("OWN")}))
        await asyncio.sleep(200)
    finally:
        Path(out, "finally").touch()
