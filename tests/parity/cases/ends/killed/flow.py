import json
import os
import signal
from pathlib import Path

from prefect import flow


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


@flow(**HOOKS)
def main(out: str) -> None:
    Path(out, "seen.json").write_text(json.dumps({"own": os.environ.get("OWN")}))
    os.kill(os.getpid(), signal.SIGKILL)
