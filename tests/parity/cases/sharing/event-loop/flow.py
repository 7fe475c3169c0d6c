import asyncio
import json
import threading
from pathlib import Path

from prefect import flow

LOOP = asyncio.new_event_loop()
READY = asyncio.Event()


async def waits() -> str:
    await READY.wait()
    return "ready"


TASK = LOOP.create_task(waits())
LOOP.run_until_complete(asyncio.sleep(0))


async def ticks() -> str:
    for _ in range(200):
        await asyncio.sleep(0.001)
    READY.set()
    return await TASK


@flow
def main(out: str) -> None:
    seen = {}

    def use() -> None:
        seen["ready"] = LOOP.run_until_complete(asyncio.wait_for(ticks(), 20))
        LOOP.close()

    thread = threading.Thread(target=use)
    thread.start()
    thread.join(30)
    Path(out, "seen.json").write_text(json.dumps(seen))
