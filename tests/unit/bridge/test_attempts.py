"""Which states tell that an attempt failed while its task goes on."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from skald_bridge.adapters.memory_pulse import MemoryPulse
from skald_bridge.adapters.sqlite import SqliteJournal, SqlitePositions
from skald_bridge.adapters.sqlite_file import SqliteFile
from skald_bridge.domain.attempts import failure_before
from skald_bridge.domain.documents import records_of
from skald_bridge.domain.facts import State
from skald_bridge.domain.lifecycle import StateType
from skald_bridge.domain.pulse import SILENT
from skald_bridge.domain.records import JournalRecord
from skald_bridge.services.dead_letters import DeadLetters
from skald_bridge.services.relays import ERROR_TTL, to_people
from tests.unit.bridge.facts import START, TASK, state

S = StateType


def again(number: int, message: str | None = None) -> State:
    return state(number, S.SCHEDULED, name="AwaitingRetry", message=message)


def told(states: Sequence[State]) -> list[str | None]:
    records = records_of(states, task=TASK, class_name="Probe")
    return [failure_before(record, before) for before, record in zip([None, *records], records, strict=False)]


@pytest.mark.parametrize(
    ("states", "error"),
    [
        ([state(0, S.RUNNING), again(1, "boom")], "boom"),
        ([state(0, S.RUNNING), again(1)], None),
        ([state(0, S.CRASHED, message="killed by SIGKILL"), again(1)], "killed by SIGKILL"),
        ([state(0, S.FAILED), again(1, "started again")], "Failed"),
        ([state(0, S.FAILED, message="boom"), state(1, S.SCHEDULED)], "boom"),
        ([state(0, S.COMPLETED, message="done"), again(1, "once more")], None),
        ([state(0, S.CANCELLED, message="stop"), again(1)], None),
        ([state(0, S.RUNNING), state(1, S.SCHEDULED, name="Rescheduled", message="stopped")], None),
        ([state(0, S.RUNNING), state(1, S.FAILED, message="boom")], None),
    ],
)
def test_only_a_failed_attempt_that_is_tried_again_is_an_error(
    states: list[State], error: str | None
) -> None:
    assert told(states) == [None, error]


async def test_the_error_is_told_once_while_the_task_goes_on(tmp_path: Path) -> None:
    class Clock:
        def now(self):  # type: ignore[no-untyped-def]
            return START + timedelta(seconds=10)

        async def sleep(self, seconds: float) -> None: ...

    class Counting(MemoryPulse):
        notes = 0

        async def note_error(self, *arguments):  # type: ignore[no-untyped-def]
            self.notes += 1
            await super().note_error(*arguments)

    clock, pulse = Clock(), Counting()
    lived = [state(0, S.SCHEDULED), state(1, S.RUNNING), state(2, S.CRASHED, message="out of memory")]
    records = records_of([*lived, again(3), state(4, S.RUNNING)], task=TASK, class_name="Probe")
    old: list[JournalRecord] = [
        replace(each, id=f"old-{each.id}", task="old", at=each.at - ERROR_TTL)  # type: ignore[arg-type]
        for each in records
    ]
    async with SqliteFile(tmp_path / "journal.db", write=True) as file:
        journal, positions = SqliteJournal(file), SqlitePositions(file)
        await journal.append([*old, *records[:3]])
        relay = to_people(journal, positions, pulse, clock, DeadLetters(None, clock))
        await relay.step()
        assert (await pulse.vitals([TASK], clock.now())).get(TASK, SILENT).error is None
        await journal.append(records[3:])
        await relay.step()
        assert (await pulse.vitals([TASK], clock.now())).get(TASK, SILENT).error == "out of memory"
        await to_people(journal, positions, pulse, clock, DeadLetters(None, clock)).step()
        assert pulse.notes == 1
