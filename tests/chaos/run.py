"""The whole story: everything is started, tasks flow, faults strike by turns, and in the end all is compared."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from prefect.settings import PREFECT_CLIENT_MAX_RETRIES, temporary_settings

from skald_bridge.adapters.prefect import PrefectEngine
from skald_bridge.domain.ids import TaskId
from skald_work_pools import host
from tests.chaos.evidence import collected, left_over, survivors
from tests.chaos.judge import Evidence, Findings, judge
from tests.chaos.lag import Outage, Series
from tests.chaos.plan import Fault, estimated_seconds
from tests.chaos.poison import Poison
from tests.chaos.stage import NODES, WHOLE, Stage, stage
from tests.chaos.traffic import Traffic
from tests.chaos.watch import Watch
from tests.services.runs import talking_to

SETTLE_SECONDS = 120.0
"""Until everything is where it belongs, once the last task was asked for."""
_LEASE_SECONDS = 60.0
_BUSY = 0.8
"""Of the faults' estimated time, what is filled with tasks."""


@dataclass(frozen=True)
class Result:
    """``rss`` in bytes; ``ends`` counts tasks by their last state's name."""

    seed: int
    seconds: float
    findings: Findings
    outages: list[Outage]
    meters: Mapping[str, Series]
    rss: int
    ends: Mapping[str, int]
    outcomes: Mapping[str, int]
    refusals: Mapping[str, int]
    tasks: int
    states: int
    began: int
    poison: int
    """Items that nobody can carry out."""
    logs: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Moment:
    """For whoever watches: how far it has come, and what happens."""

    created: int
    ended: int
    fault: int
    doing: str


def chaos(
    folder: Path,
    *,
    seed: int,
    tasks: int,
    faults: list[Fault],
    told: Callable[[Moment], None] = lambda _: None,
) -> Result:
    began = time.monotonic()
    told(Moment(0, 0, 0, "starting Prefect, Kafka, Redis, MongoDB, a bridge and two nodes"))
    with stage(folder) as made:
        rate = tasks / max(1.0, _BUSY * estimated_seconds(faults))
        traffic = Traffic(made.server.url, folder, tasks, rate, seed)
        watch = Watch(made)
        poison = Poison(made, seed)
        with watch.watching():
            traffic.start()
            poison.start()
            outages = _torment(made, traffic, faults, told)
            poison.stop()
            _drain(traffic, told, len(faults))
            evidence = _settled(made, traffic, poison, told, len(faults))
        told(Moment(tasks, traffic.ended, len(faults), "asking each node for all of its cpus"))
        alive = survivors(made)
        leaked = asyncio.run(_leases(made.server.url, folder))
        for program in (*made.nodes.values(), made.bridge):
            program.stop()
        orphans = [*made.orphans, *alive, *left_over(made.mark)]
        evidence = replace(evidence, orphans=orphans, leaked_leases=leaked)
        return Result(
            seed=seed,
            seconds=time.monotonic() - began,
            findings=judge(evidence),
            outages=outages,
            meters=watch.series,
            rss=watch.rss,
            ends=Counter(run.last.name for run in evidence.runs.values() if run.states),
            outcomes=traffic.outcomes,
            refusals=traffic.refusals,
            tasks=len(evidence.runs),
            states=sum(len(run.states) for run in evidence.runs.values()),
            began=sum(evidence.begun.values()),
            poison=len(poison.records) + len(poison.documents) + poison.keys,
            logs={log.name: log.read_text(errors="replace") for log in folder.glob("*.log")},
        )


def _torment(
    made: Stage, traffic: Traffic, faults: list[Fault], told: Callable[[Moment], None]
) -> list[Outage]:
    outages = []
    for number, fault in enumerate(faults):
        # Each fault gets its share of the tasks: none strikes where nothing happens.
        traffic.allowed = traffic.count * (number + 1) // len(faults)
        share = 0.8 * traffic.count * number / len(faults)
        deadline = time.monotonic() + 120
        while len(traffic.tasks) < share and time.monotonic() < deadline and traffic.is_alive():
            time.sleep(0.05)
        _pass(fault.pause, traffic, number, "all is well", told)
        told(Moment(len(traffic.tasks), traffic.ended, number, fault.name))
        outages.append(made.suffer(fault))
    return outages


def _pass(seconds: float, traffic: Traffic, fault: int, doing: str, told: Callable[[Moment], None]) -> None:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        told(Moment(len(traffic.tasks), traffic.ended, fault, doing))
        time.sleep(0.1)


def _drain(traffic: Traffic, told: Callable[[Moment], None], faults: int) -> None:
    traffic.allowed, traffic.rate = traffic.count, 1000.0
    while traffic.is_alive():
        _pass(0.2, traffic, faults, "the last tasks", told)
    if traffic.error is not None:
        raise traffic.error


def _settled(
    made: Stage, traffic: Traffic, poison: Poison, told: Callable[[Moment], None], faults: int
) -> Evidence:
    deadline = time.monotonic() + SETTLE_SECONDS
    while True:
        told(Moment(len(traffic.tasks), traffic.ended, faults, "comparing"))
        evidence = replace(collected(made, traffic), unanswered=poison.unanswered())
        if judge(evidence).clean or time.monotonic() > deadline:
            return evidence
        time.sleep(1)


async def _leases(url: str, folder: Path) -> list[str]:
    """Nodes that do not start a task that takes all of their cpus: somebody still holds some."""
    with talking_to(url), temporary_settings({PREFECT_CLIENT_MAX_RETRIES: 3}):
        async with PrefectEngine() as engine:
            asked = {
                name: (
                    await engine.create(
                        WHOLE, {"folder": str(folder)}, job_variables={"cpus": host.cpus(), "tags": [name]}
                    )
                ).id
                for name in NODES
            }
            deadline = time.monotonic() + _LEASE_SECONDS
            waiting = dict(asked)
            while waiting and time.monotonic() < deadline:
                await asyncio.sleep(0.2)
                found = await engine.read(list(waiting.values()))
                ended = {id for id, task in found.items() if task.end is not None}
                waiting = {name: task for name, task in waiting.items() if task not in ended}
            return [f"{name}: {await _why(engine, task)}" for name, task in waiting.items()]


async def _why(engine: PrefectEngine, task: TaskId) -> str:
    said = await engine.node_log(task)
    return said[-1][1] if said else "not started"
