import atexit
import ctypes
import json
import os
import signal
import sys
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


class Odd(BaseException):
    pass


def end(how: str) -> None:
    if how == "raise":
        raise ValueError("as asked")
    if how == "exit 0":
        sys.exit(0)
    if how == "exit 3":
        sys.exit(3)
    if how == "exit text":
        sys.exit("as asked")
    if how == "_exit 0":
        os._exit(0)
    if how == "_exit 7":
        os._exit(7)
    if how == "abort":
        os.abort()
    if how == "segfault":
        ctypes.string_at(0)
    if how == "sigterm":
        os.kill(os.getpid(), signal.SIGTERM)
    if how == "interrupt":
        raise KeyboardInterrupt
    if how == "base exception":
        raise Odd("as asked")


@flow(**HOOKS)
def main(out: str, how: str) -> None:
    atexit.register(Path(out, "atexit").touch)
    Path(out, "seen.json").write_text(json.dumps({"how": how}))
    try:
        end(how)
    finally:
        Path(out, "finally").touch()
