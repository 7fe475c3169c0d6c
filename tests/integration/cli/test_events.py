"""`skald events` reads the journal, while a bridge writes it and while nothing runs."""

from __future__ import annotations

import asyncio
import json
import subprocess
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import uuid4

import pytest

from skald_bridge.adapters.sqlite import SqliteJournal
from skald_bridge.adapters.sqlite_file import SqliteFile
from skald_bridge.domain.ids import NodeId, StateId, TaskId
from skald_bridge.domain.lifecycle import LifecycleStatus, StateType, lifecycle_of
from skald_bridge.domain.records import JournalRecord
from tests.services.poll import until
from tests.services.skald_cli import SKALD, skald, skald_environment

LIFE = (StateType.SCHEDULED, StateType.PENDING, StateType.RUNNING, StateType.FAILED)
BEGAN = datetime(2026, 1, 1, 12, tzinfo=UTC)


def life(task: TaskId) -> list[JournalRecord]:
    return [
        JournalRecord(
            StateId(str(uuid4())),
            task,
            number,
            "Job",
            lifecycle_of(kind),
            kind,
            kind.capitalize(),
            BEGAN + timedelta(seconds=number),
            "[no] camera" if kind is StateType.FAILED else None,
            NodeId("node-1"),
        )
        for number, kind in enumerate(LIFE, 1)
    ]


def write(home: Path, *tasks: TaskId) -> None:
    async def append() -> None:
        async with SqliteFile(home / "journal.db", write=True) as file:
            for task in tasks:
                await SqliteJournal(file).append(life(task))

    asyncio.run(append())


@pytest.fixture
def tasks(tmp_path: Path) -> list[TaskId]:
    made = [TaskId(str(uuid4())) for _ in range(3)]
    write(tmp_path, *made)
    return made


def test_events_in_skalds_words_for_people(tmp_path: Path, tasks: list[TaskId]) -> None:
    lines = skald("events", "--task", tasks[1], home=tmp_path).out.splitlines()
    assert [line.split()[1] for line in lines] == ["Created", "Assigning", "Running", "Failed"]
    assert lines[-1].endswith("node-1  Failed: [no] camera")


def test_events_as_json_lines_by_task_and_position(tmp_path: Path, tasks: list[TaskId]) -> None:
    everything = skald("events", "--json", home=tmp_path).lines
    assert [entry["position"] for entry in everything] == list(range(1, 13))
    assert everything[0]["taskIds"] == [tasks[0]]
    assert everything[3]["lifecycleStatus"] == LifecycleStatus.FAILED
    assert everything[3]["message"] == "[no] camera"
    one = skald("events", "--json", "--task", tasks[2][:12], home=tmp_path).lines
    assert [entry["position"] for entry in one] == [9, 10, 11, 12]
    assert len(skald("events", "--json", "--limit", "5", home=tmp_path).lines) == 5
    assert len(skald("events", "--json", "--after", "10", home=tmp_path).lines) == 2
    unknown = skald("events", "--task", "ffffffff-0", home=tmp_path)
    unknown.is_clear(2, "no task in the journal")


def test_follow_prints_what_comes(tmp_path: Path, tasks: list[TaskId]) -> None:
    out = tmp_path / "followed"
    with out.open("w") as file:
        process = subprocess.Popen(
            [*SKALD, "events", "--follow", "--json", "--limit", "1"],
            env=skald_environment(tmp_path),
            stdout=file,
        )
    try:
        until(lambda: out.read_text().count("\n") == 1, 30, "the last event")
        later = TaskId(str(uuid4()))
        write(tmp_path, later)
        until(lambda: out.read_text().count("\n") == 5, 30, "the new events")
    finally:
        process.terminate()
        process.wait(20)
    entries = [json.loads(line) for line in out.read_text().splitlines()]
    assert [entry["position"] for entry in entries] == [12, 13, 14, 15, 16]
    assert entries[-1]["taskIds"] == [later]
