"""Collects what Prefect, Kafka, MongoDB, Redis and the tasks themselves say; asks each of them directly."""

from __future__ import annotations

import json
import time
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from typing import Any

import httpx
import psutil
from pymongo import MongoClient

from tests.chaos.judge import Document, Evidence, Record, Run, State
from tests.chaos.program import MARK, marked
from tests.chaos.stage import Stage, stamp_lines
from tests.chaos.traffic import TAG, Traffic
from tests.chaos.watch import DATABASE, STATE_TOPIC, TASKS
from tests.services.consumed import consumed
from tests.services.redis_keys import immortal_keys

_PAGE = 200
_REVISION = "skald.revision"


def collected(stage: Stage, traffic: Traffic) -> Evidence:
    """All but what is looked for at the very end: orphans and leases."""
    runs = _runs(stage.server.url)
    records: dict[str, list[Record]] = defaultdict(list)
    for task, told in consumed(stage.kafka.client(), STATE_TOPIC):
        if task.startswith("poison-"):
            continue  # refused: Prefect has none of them
        records[task].append(Record(told["id"], told["sequence"]))
    with MongoClient[dict[str, Any]](stage.mongo.uri) as client:
        wanted = {"id": {"$not": {"$regex": "^poison-"}}}
        documents = {found["id"]: _document(found) for found in client[DATABASE][TASKS].find(wanted)}
    return Evidence(
        wanted=frozenset(traffic.keys),
        runs=runs,
        begun=Counter(stamp["task"] for stamp in stamps(stage)),
        records=records,
        documents=documents,
        answered=dict(traffic.answered),
        immortal_keys=immortal_keys(stage.redis.port),
    )


def stamps(stage: Stage) -> list[dict[str, Any]]:
    return [json.loads(line) for line in stamp_lines(stage.stamps)]


def survivors(stage: Stage) -> list[str]:
    """Processes in which a task has run, and which are still there although it has ended."""
    begun = {stamp["pid"]: stamp for stamp in stamps(stage)}
    return [
        f"process {process.pid} of task {begun[process.pid]['task']}"
        for process in marked(stage.mark)
        if process.pid in begun and process.create_time() <= begun[process.pid]["at"]
    ]


def left_over(mark: str, patience: float = 10.0) -> list[str]:
    """Processes of the product's that are there after all of it was stopped; they are ended."""
    deadline = time.monotonic() + patience
    while (found := marked(mark)) and time.monotonic() < deadline:
        time.sleep(0.1)
    sentences = [f"process {process.pid}: {' '.join(_command(process))}" for process in found]
    for process in found:
        process.kill()
    return sentences


def _command(process: psutil.Process) -> list[str]:
    try:
        return process.cmdline()
    except psutil.NoSuchProcess:
        return [MARK]


def _runs(url: str) -> dict[str, Run]:
    with httpx.Client(base_url=url, timeout=60) as client:
        return {row["id"]: _run(client, row) for row in _rows(client)}


def _rows(client: httpx.Client) -> Iterable[Mapping[str, Any]]:
    wanted = {"flow_runs": {"tags": {"all_": [TAG]}}, "sort": "ID_DESC", "limit": _PAGE}
    offset = 0
    while (
        rows := client.post("/flow_runs/filter", json={**wanted, "offset": offset}).raise_for_status().json()
    ):
        yield from rows
        offset += len(rows)


def _run(client: httpx.Client, row: Mapping[str, Any]) -> Run:
    answer = client.get("/flow_run_states/", params={"flow_run_id": row["id"]}).raise_for_status()
    states = sorted(answer.json(), key=lambda state: (state["timestamp"], state["id"]))
    return Run(
        key=row["idempotency_key"],
        states=tuple(State(state["id"], state["type"], state["name"]) for state in states),
        attachments=row["parameters"]["attachments"],
        revision=int(row["labels"].get(_REVISION, 1)),
    )


def _document(found: Mapping[str, Any]) -> Document:
    return Document(found["lifecycleStatus"], found["stateId"], found["attachments"], found["revision"])
