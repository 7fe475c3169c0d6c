import asyncio
import json
import threading
from pathlib import Path

from made import elsewhere
from prefect import flow

__all__ = ["elsewhere"]


def function(out: str) -> None:
    Path(out, "seen.json").write_text(json.dumps({"main": threading.current_thread().name}))


@flow
async def coroutine(out: str) -> None:
    task = asyncio.current_task()
    seen = {"main": threading.current_thread().name, "task": task is not None}
    seen["loop"] = type(asyncio.get_running_loop()).__name__
    Path(out, "seen.json").write_text(json.dumps(seen))


class Jobs:
    @flow
    @staticmethod
    def method(out: str) -> None:
        Path(out, "seen.json").write_text(json.dumps({"static": True}))
