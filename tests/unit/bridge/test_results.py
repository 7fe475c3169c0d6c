"""What a task made, in short."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime

from hypothesis import given
from hypothesis import strategies as st

from skald_bridge.domain.causes import Concluded, Seen
from skald_bridge.domain.documents import document_of, moved_on, records_of, span_of
from skald_bridge.domain.effects import Put
from skald_bridge.domain.lifecycle import StateType
from skald_bridge.domain.mirror import Known, decide
from skald_bridge.domain.recordings import Artifact, Recording
from skald_bridge.domain.records import JournalRecord
from skald_bridge.domain.results import KEYS, Made
from skald_bridge.wire.recordings import recording_json, recording_of
from skald_bridge.wire.skalds import document_json
from skald_bridge.wire.skalds import document_of as read_document
from tests.unit.bridge.facts import TASK, state, task

S = StateType
any_character = st.characters(codec=None)
RECORDING = Recording("r1", TASK, "/media/a.mp4", datetime(2026, 1, 1, 12, tzinfo=UTC), 2.5, "h264/aac", 1000)


def ended(type: StateType = S.COMPLETED, message: str | None = None) -> JournalRecord:
    return records_of([state(1, type, message=message)], task=TASK, class_name="Probe")[0]


def made(*artifacts: Artifact) -> Made:
    found = Made()
    for artifact in artifacts:
        found.add(artifact)
    return found


def test_nothing_made_is_no_result() -> None:
    assert made().result(ended()) is None
    assert made().result(ended(message="All states completed.")) is None
    assert made().result(ended(S.FAILED, "boom")) is None


def test_what_is_told_in_short() -> None:
    again = replace(RECORDING, id="r2", seconds=1.5, size=24)
    found = made(
        *(Artifact(TASK, "recording", recording=each) for each in (RECORDING, again, RECORDING)),
        Artifact(TASK, "progress", "progress-1", "9 of 9: frames"),
        Artifact(TASK, "progress", "progress-1", "8 of 9: frames"),
        Artifact(TASK, "table", "files"),
        Artifact(TASK, "markdown", "analysis"),
        Artifact(TASK, "markdown", "analysis"),
        Artifact(TASK, "markdown"),
    )
    assert found.result(ended(message="3 files")) == {
        "message": "3 files",
        "progress": "9 of 9: frames",
        "artifacts": ["analysis", "files"],
        "recordings": {"count": 2, "seconds": 4.0, "size": 1024},
    }


@given(st.text(any_character, min_size=1), st.text(any_character), st.lists(st.text(), max_size=40))
def test_it_stays_small(message: str, progress: str, keys: list[str]) -> None:
    artifacts = [Artifact(TASK, "table", key * 20) for key in keys]
    told = made(Artifact(TASK, "progress", "p", progress * 100), Artifact(TASK, "x", recording=RECORDING))
    for artifact in artifacts:
        told.add(artifact)
    result = told.result(ended(message=message * 100)) or {}
    texts = [result["message"], result.get("progress", ""), *result.get("artifacts", [])]
    frame = json.dumps({**result, "message": "", "progress": "", "artifacts": [""] * KEYS})
    assert len(frame) + sum(len(text.encode()) for text in texts) <= 2048
    assert len(result.get("artifacts", [])) <= KEYS


def test_an_end_keeps_its_result_and_a_new_attempt_begins_without() -> None:
    lived = [state(0, S.SCHEDULED), state(1, S.RUNNING), state(2, S.COMPLETED)]
    records = records_of(lived, task=TASK, class_name="Probe")
    document = document_of(task(lived[-1]), records[-1], span_of(records))
    known = Known.stored(records[-1], document)
    (put,) = decide(known, Concluded({"message": "3 files"}))
    assert isinstance(put, Put) and put.document.result == {"message": "3 files"}
    known = known.after([put])
    assert decide(known, Concluded({"message": "3 files"})) == []
    assert decide(known, Seen(task(lived[-1]))) == []
    assert read_document(document_json(put.document)) == put.document

    later = records_of([*lived, state(3, S.SCHEDULED), state(4, S.RUNNING)], task=TASK, class_name="Probe")
    waiting = moved_on(put.document, later[3])
    assert waiting.result == {"message": "3 files"}
    running = moved_on(waiting, later[4])
    assert running.result is None
    assert decide(Known.stored(later[4], running), Concluded({"message": "3 files"})) == []


def test_a_recording_as_a_document() -> None:
    data = recording_json(RECORDING)
    assert data == {
        "id": "r1",
        "taskId": TASK,
        "path": "/media/a.mp4",
        "startDateTime": 1767268800000,
        "endDateTime": 1767268802500,
        "durationSeconds": 2.5,
        "codec": "h264/aac",
        "size": 1000,
        "start": "2026-01-01T12:00:00+00:00",
    }
    assert recording_of(data) == RECORDING
