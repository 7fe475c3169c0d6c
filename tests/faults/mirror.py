"""Short tasks while bridge and Prefect server are killed; then the journal against Prefect's own history.

``python -m tests.faults.mirror --tasks 1000 --kills 30 --seed 7`` runs it longer; its last line is JSON.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import random
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any
from uuid import UUID

from prefect.client.orchestration import PrefectClient, get_client
from prefect.client.schemas.objects import State
from prefect.settings import PREFECT_CLIENT_MAX_RETRIES, temporary_settings
from prefect.states import AwaitingRetry, Cancelled, Completed, Crashed, Failed, Pending, Running

from skald_bridge import main, quick
from skald_bridge.adapters.prefect import PrefectEngine
from skald_bridge.domain.errors import NotFound
from skald_bridge.domain.ids import TaskId
from skald_bridge.domain.lifecycle import lifecycle_of
from tests.services.bridge_process import BridgeProcess
from tests.services.prefect_server import PrefectServer, running_server
from tests.services.runs import Deployed, deploy, start, talking_to
from work_pools.messages import TAKEN_BY

LANES = 6
ENDS: list[Callable[[], State[Any]]] = [Completed, Completed, Completed, Failed, Crashed, Cancelled]


@dataclass
class Result:
    """What the comparison found; all but the first four must be empty or zero."""

    seed: int
    tasks: int = 0
    states: int = 0
    kills: dict[str, int] = field(default_factory=dict)
    missing: int = 0
    doubled: int = 0
    untrue: int = 0
    out_of_order: int = 0
    archive_differs: int = 0

    @property
    def good(self) -> bool:
        return not (self.missing or self.doubled or self.untrue or self.out_of_order or self.archive_differs)


class Driver(threading.Thread):
    """Takes tasks through random lives; where the server is away it tries again."""

    def __init__(self, url: str, count: int, seed: int) -> None:
        super().__init__(name="driver", daemon=True)
        self._url = url
        self._count = count
        self._random = random.Random(seed)
        self._left = iter(range(count))
        self.done = 0
        self.error: BaseException | None = None

    def run(self) -> None:
        try:
            asyncio.run(self._drive())
        except BaseException as error:
            self.error = error

    async def _drive(self) -> None:
        with talking_to(self._url), temporary_settings({PREFECT_CLIENT_MAX_RETRIES: 0}):
            async with get_client({"timeout": 10}) as client, asyncio.TaskGroup() as group:
                deployed: Deployed = await _stubborn(lambda: deploy(client))
                for _ in range(LANES):
                    group.create_task(self._lane(client, deployed))

    async def _lane(self, client: PrefectClient, deployed: Deployed) -> None:
        for _ in self._left:
            run: UUID = await _stubborn(lambda: start(client, deployed))
            for state in self._life():
                await _stubborn(partial(client.set_flow_run_state, run, state, True))
            self.done += 1

    def _life(self) -> list[State[Any]]:
        attempts = self._random.choice([1, 1, 1, 2])
        states: list[State[Any]] = []
        for attempt in range(attempts):
            states += [Pending(message=f"{TAKEN_BY}n{self._random.randint(1, 3)}"), Running()]
            last = attempt == attempts - 1
            states += [self._random.choice(ENDS)()] if last else [Failed(), AwaitingRetry()]
        return states


async def _stubborn(call: Callable[[], Any]) -> Any:
    for _ in range(600):
        try:
            return await call()
        except Exception:
            await asyncio.sleep(0.2)
    raise AssertionError("the server did not come back")


def torment(
    server: PrefectServer, bridge: BridgeProcess, driver: Driver, kills: int, rng: random.Random
) -> dict[str, int]:
    """Kill the bridge or the server at random moments of the driver's work; each is started again at once."""
    counts = {"bridge": 0, "server": 0}
    # The moments are amounts of work done, so that a slow machine is hit as well.
    moments = sorted(rng.uniform(0.02, 0.98) for _ in range(kills))
    for number, moment in enumerate(moments):
        while driver.is_alive() and driver.done < moment * driver._count:
            time.sleep(rng.uniform(0.0, 0.02))
        if number % 3 == 1:
            server.kill()
            counts["server"] += 1
            server.start()
        else:
            bridge.kill()
            counts["bridge"] += 1
            time.sleep(rng.uniform(0.0, 0.5))
            bridge.start()
    driver.join()
    if driver.error is not None:
        raise driver.error
    return counts


async def compared(url: str, journal_file: Path, result: Result) -> Result:
    """Each state of every run against the journal, each run against the archive."""
    with talking_to(url):
        async with PrefectEngine() as engine:
            tasks = [task async for page in engine.changed_since(None) for task in page]
            tasks = list({task.id: task for task in tasks}.values())
            histories = {task.id: await engine.history(task.id) for task in tasks}
    async with quick.journal(journal_file) as journal, main.archive(journal_file) as archive:
        records = [record for _, record in await journal.read(limit=10_000_000)]
        documents = await archive.read([task.id for task in tasks])
    written: dict[TaskId, list[Any]] = {}
    for record in records:
        written.setdefault(record.task, []).append(record)
    result.tasks, result.states = len(tasks), sum(map(len, histories.values()))
    result.doubled = len(records) - len({record.id for record in records})
    for task in tasks:
        truth = [state.id for state in histories[task.id]]
        got = [record.id for record in written.get(task.id, [])]
        result.missing += len(set(truth) - set(got))
        result.untrue += len(set(got) - set(truth))
        numbers = [record.sequence for record in written.get(task.id, [])]
        result.out_of_order += got != truth or numbers != list(range(1, len(truth) + 1))
        document, last = documents.get(task.id), histories[task.id][-1]
        same = document is not None and (document.state_id, document.lifecycle, document.attachments) == (
            last.id,
            lifecycle_of(last.type),
            task.attachments,
        )
        result.archive_differs += not same
    result.untrue += sum(len(found) for task, found in written.items() if task not in histories)
    return result


def settled(url: str, journal: Path, empty: Result, patience: float = 40.0) -> Result:
    """The comparison, repeated until it is good or ``patience`` seconds are over."""
    deadline = time.monotonic() + patience
    while True:
        result = replace(empty)
        try:
            asyncio.run(compared(url, journal, result))
        except NotFound:
            result.missing = -1
        if result.good or time.monotonic() > deadline:
            return result
        time.sleep(0.5)


def run(folder: Path, *, tasks: int, kills: int, seed: int, patience: float = 40.0) -> Result:
    """The whole story."""
    rng = random.Random(seed)
    with running_server(folder / "prefect") as server:
        bridge = BridgeProcess(folder / "journal.db", server.client_env)
        bridge.start()
        try:
            driver = Driver(server.url, tasks, seed)
            driver.start()
            counts = torment(server, bridge, driver, kills, rng)
            return settled(server.url, bridge.journal, Result(seed, kills=counts), patience)
        finally:
            bridge.kill()


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--tasks", type=int, default=200)
    parser.add_argument("--kills", type=int, default=12)
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(10**6))
    return parser.parse_args()


if __name__ == "__main__":
    given = arguments()
    print(f"seed {given.seed}", flush=True)
    with tempfile.TemporaryDirectory() as temporary:
        found = run(Path(temporary), tasks=given.tasks, kills=given.kills, seed=given.seed)
        if not found.good:
            print((Path(temporary) / "journal.log").read_text()[-20_000:], file=sys.stderr)
    print(json.dumps(asdict(found)))
    sys.exit(not found.good)
