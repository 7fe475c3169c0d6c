"""Who beats: nodes that are online, tasks whose process is at work."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from uuid import uuid4

from prefect.client.orchestration import PrefectClient

from skald_bridge.adapters.memory_pulse import MemoryPulse
from skald_bridge.adapters.prefect import PrefectEngine
from skald_bridge.domain.documents import records_of
from skald_bridge.domain.ids import NodeId, TaskId
from skald_bridge.domain.lifecycle import StateType
from skald_bridge.domain.mirror import Known
from skald_bridge.domain.pulse import SILENT, NodeBeat, NodeMode, RunningTask
from skald_bridge.services.heartbeats import BUSY_NODES, IDLE_NODES, PERIOD, Heartbeats
from skald_bridge.services.task_cache import TaskCache
from skald_work_pools import messages
from tests.services.runs import Deployed
from tests.unit.bridge.facts import history

S = StateType


class ShownClock:
    """Time that the test moves."""

    def __init__(self) -> None:
        self.at = datetime.now(UTC)

    def now(self) -> datetime:
        return self.at

    async def sleep(self, seconds: float) -> None:
        self.at += timedelta(seconds=seconds)


class HeardPulse(MemoryPulse):
    """Keeps the newest beats."""

    def __init__(self) -> None:
        super().__init__()
        self.heard: dict[NodeId, NodeBeat] = {}
        self.refuses: str | None = None

    async def beat(self, nodes: Sequence[NodeBeat], tasks: Sequence[TaskId], now: datetime) -> str | None:
        self.heard = {node.id: node for node in nodes}
        await super().beat(nodes, tasks, now)
        return self.refuses


async def announce(client: PrefectClient, pool: str, name: str) -> str:
    await client.send_worker_heartbeat(pool, name, heartbeat_interval_seconds=30)
    variable = f"{messages.NODE_VARIABLE_PREFIX}{name}"
    announced = {"name": name, "pool": pool, "cpus": 2, "task_types": ["Probe"]}
    await client.request("POST", "/variables/", json={"name": variable, "value": announced})
    return variable


def remember(memory: TaskCache, node: str, *states: StateType) -> TaskId:
    task = TaskId(str(uuid4()))
    records = records_of(history(*states, node=node), task=task, class_name="Probe")
    memory.keep(task, Known(records[-1]))
    return task


async def test_who_beats(engine: PrefectEngine, client: PrefectClient, deployed: Deployed) -> None:
    here, gone = f"here{uuid4().hex[:6]}", f"gone{uuid4().hex[:6]}"
    await announce(client, deployed.pool, here)
    left = await announce(client, deployed.pool, gone)
    memory, pulse, clock, idle = TaskCache(), HeardPulse(), ShownClock(), [False]
    beat = Heartbeats(engine, pulse, memory, clock, lambda: idle[0])
    running = remember(memory, here, S.SCHEDULED, S.PENDING, S.RUNNING)
    cancelling = remember(memory, here, S.SCHEDULED, S.PENDING, S.RUNNING, S.CANCELLING)
    stranded = remember(memory, gone, S.SCHEDULED, S.PENDING, S.RUNNING)
    quiet = [
        remember(memory, here, S.SCHEDULED),
        remember(memory, here, S.SCHEDULED, S.PENDING, S.RUNNING, S.PAUSED),
        remember(memory, here, S.SCHEDULED, S.PENDING, S.RUNNING, S.COMPLETED),
    ]
    assert await beat.step() == 0.0
    assert await beat.step() == PERIOD
    beats = await pulse.nodes(clock.now())
    assert {here, gone} <= beats.keys()
    for task in (running, cancelling, stranded):
        assert (await pulse.vitals([task], clock.now())).get(task, SILENT).heartbeat is not None
    for task in quiet:
        assert (await pulse.vitals([task], clock.now())).get(task, SILENT).heartbeat is None
    ours = pulse.heard[NodeId(here)]
    assert ours.mode is NodeMode.NODE and ours.task_types == ("Probe",)
    assert set(ours.tasks) == {RunningTask(task, "Probe", ours.id) for task in (running, cancelling)}

    await client.request("DELETE", f"/variables/name/{left}")
    clock.at += BUSY_NODES
    await beat.step()
    clock.at += timedelta(seconds=PERIOD)
    await beat.step()
    clock.at += timedelta(seconds=6)
    await beat.step()
    assert gone not in await pulse.nodes(clock.now())
    assert (await pulse.vitals([stranded], clock.now())).get(stranded, SILENT).heartbeat is None
    assert (await pulse.vitals([running], clock.now())).get(running, SILENT).heartbeat is not None

    idle[0] = True
    asked = beat.asked
    clock.at += IDLE_NODES - timedelta(seconds=20)
    await beat.step()
    assert beat.asked == asked


async def test_what_the_store_refuses_is_told(engine: PrefectEngine) -> None:
    pulse, heard = HeardPulse(), list[str]()
    beat = Heartbeats(engine, pulse, TaskCache(), ShownClock(), lambda: False, refused=heard.append)
    await beat.step()
    pulse.refuses = "HSET skalds:hash: WRONGTYPE"
    await beat.step()
    assert heard == [pulse.refuses]
