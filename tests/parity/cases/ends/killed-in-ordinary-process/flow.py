import json
import os
import signal
from pathlib import Path

from prefect import flow


def hook(flow, flow_run, state) -> None:
    with Path(flow_run.parameters["out"], "hooks").open("a") as file:
        file.write(f"on_crashed {state.type.value}\n")


@flow(on_crashed=[hook])
def main(out: str) -> None:
    Path(out, "seen.json").write_text(json.dumps({"own": os.environ.get("OWN")}))
    os.kill(os.getpid(), signal.SIGKILL)
