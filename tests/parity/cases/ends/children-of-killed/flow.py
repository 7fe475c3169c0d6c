import json
import multiprocessing
import os
import signal
import subprocess
import time
from pathlib import Path

import spawned
from prefect import flow


def started(out: str, number: int) -> None:
    with Path(out, "child").open("a") as file:
        file.write(f"{number} ")


def named(out: str) -> bool:
    child = Path(out, "child")
    return child.exists() and child.stat().st_size > 0


def loop(out: str) -> None:
    started(out, os.getpid())
    while True:
        time.sleep(1)


def start(out: str, how: str) -> None:
    if how == "popen":
        started(out, subprocess.Popen(["sleep", "1000"]).pid)
    elif how == "session":
        started(out, subprocess.Popen(["sleep", "1000"], start_new_session=True).pid)
    elif how == "bare":
        command = "env -i setsid sleep 1000 > /dev/null & echo $!; disown"
        shell = ["setsid", "bash", "-c", command]
        done = subprocess.run(shell, env={}, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
        started(out, int(done.stdout))
    elif how == "fork":
        if os.fork() == 0:
            loop(out)
    elif how == "daemon":
        if os.fork() == 0:
            os.setsid()
            if os.fork() == 0:
                os.chdir("/")
                os.closerange(0, 64)
                os.environ.clear()
                loop(out)
            os._exit(0)
        os.wait()
    else:
        context = multiprocessing.get_context(how)
        context.Process(target=spawned.loop, args=(out,)).start()
    deadline = time.monotonic() + 20
    while not named(out) and time.monotonic() < deadline:
        time.sleep(0.05)


@flow
def main(out: str, how: str, end: str) -> None:
    start(out, how)
    Path(out, "seen.json").write_text(json.dumps({"how": how, "end": end}))
    if end == "kill":
        os.kill(os.getpid(), signal.SIGKILL)
    if end == "cancel":
        time.sleep(200)
