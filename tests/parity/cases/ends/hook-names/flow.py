import json
import os
import signal
from pathlib import Path

from prefect import flow


def note(run, text: str) -> None:
    with Path(run.parameters["out"], "hooks").open("a") as file:
        file.write(text + "\n")


def other_names(the_flow, run, its_state) -> None:
    note(run, f"other names {its_state.type.value}")


async def asynchronous(flow, flow_run, state) -> None:
    note(flow_run, f"async {state.type.value}")


def raises(flow, flow_run, state) -> None:
    raise RuntimeError("in a hook")


def last(flow, flow_run, state) -> None:
    note(flow_run, f"last of {flow.name} {Path.cwd().name}")


HOOKS = [other_names, asynchronous, raises, last]


@flow(on_completion=HOOKS, on_crashed=HOOKS)
def main(out: str, how: str) -> None:
    Path(out, "seen.json").write_text(json.dumps({"how": how}))
    if how == "kill":
        os.kill(os.getpid(), signal.SIGKILL)
