import asyncio
import contextvars
import json
import signal
import threading
from pathlib import Path

from prefect import flow, task

VALUE = contextvars.ContextVar("VALUE", default="none")
VALUE.set("at import")


def state() -> dict:
    try:
        loop = type(asyncio.get_running_loop()).__name__
    except RuntimeError:
        loop = "none"
    return {
        "loop": loop,
        "thread": threading.current_thread() is threading.main_thread(),
        "value": VALUE.get(),
        "sigterm": getattr(signal.getsignal(signal.SIGTERM), "__name__", "?"),
    }


@task
def in_task() -> dict:
    return state()


@flow
def synchronous(out: str) -> None:
    seen = {"flow": state(), "task": in_task(), "submitted": in_task.submit().result()}
    seen["run"] = asyncio.run(asyncio.sleep(0, "ran"))
    Path(out, "seen.json").write_text(json.dumps(seen))


@flow
async def asynchronous(out: str) -> None:
    seen = {"flow": state(), "task": in_task(), "policy": type(asyncio.get_event_loop_policy()).__name__}
    seen["thread"] = await asyncio.to_thread(lambda: threading.current_thread().name.partition("-")[0])
    asyncio.get_running_loop().add_signal_handler(signal.SIGUSR1, lambda: None)
    Path(out, "seen.json").write_text(json.dumps(seen))
