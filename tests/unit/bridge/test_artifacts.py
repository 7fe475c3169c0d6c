"""Prefect's artifacts as facts: anybody may have written them."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given

from skald_bridge.adapters.prefect_artifacts import artifact_of
from skald_bridge.domain.recordings import Artifact
from skald_work_pools.messages import RECORDING
from tests.services.odd import recordings
from tests.unit.bridge.facts import TASK

TOLD = {"path": "a.mp4", "start": "2026-01-01T13:00:00+01:00", "seconds": 2, "codec": "h264", "size": 10}


def read(data: Any, type: str | None = RECORDING) -> Artifact:
    return artifact_of({"id": "1", "type": type, "flow_run_id": "run", "data": data}, TASK)


def test_a_recording_as_an_object_and_as_text_is_the_same() -> None:
    found = read(TOLD).recording
    assert found is not None and found == read(json.dumps(TOLD)).recording
    assert (found.task, found.path, found.seconds, found.codec, found.size) == (
        TASK,
        "a.mp4",
        2.0,
        "h264",
        10,
    )
    assert found.start == datetime(2026, 1, 1, 12, tzinfo=UTC)
    later = read({**TOLD, "start": "2026-01-01T13:00:01+01:00"}).recording
    assert later is not None and later.id != found.id


def test_what_may_be_missing() -> None:
    found = read({key: TOLD[key] for key in ("path", "start", "seconds")}).recording
    assert found is not None and (found.codec, found.size) == ("", 0)


@pytest.mark.parametrize(
    "data",
    [
        None,
        [],
        "no JSON",
        5,
        {},
        {**TOLD, "start": "yesterday"},
        {**TOLD, "start": 5},
        {**TOLD, "seconds": "nan"},
        {**TOLD, "seconds": -1},
        {**TOLD, "seconds": 1e300},
        {**TOLD, "start": "9999-12-31T23:59:59+00:00"},
        {**TOLD, "size": 2**63},
        {**TOLD, "size": "much"},
        {**TOLD, "path": "\ud800.mp4"},
    ],
)
def test_what_tells_of_no_recording_is_passed_over(data: Any, caplog: pytest.LogCaptureFixture) -> None:
    assert read(data) == Artifact(TASK, RECORDING)
    assert "tells of no recording" in caplog.text


def test_other_artifacts_have_no_recording() -> None:
    assert read(TOLD, "table") == Artifact(TASK, "table")
    assert read(TOLD, None) == Artifact(TASK, "")


@given(recordings)
def test_whatever_an_artifact_holds_is_no_error(data: Any) -> None:
    read(data)
    read(json.dumps(data))


@pytest.mark.parametrize("text", ["[" * 200_000, "9" * 6000, '{"path": NaN}', "\0"])
def test_text_that_is_no_json_of_ours_tells_of_no_recording(text: str) -> None:
    assert read(text).recording is None
