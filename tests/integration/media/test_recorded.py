"""The product's recorder tells Prefect of each segment: what was made, and that it is really there."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
from prefect import get_client
from prefect.client.schemas.filters import ArtifactFilter, ArtifactFilterFlowRunId, ArtifactFilterType
from prefect.flows import load_flow_from_entrypoint

from skald_bridge.installation.bundled import flows_directory
from skald_bridge.media.inputs import local_source
from skald_bridge.media.measure import measure
from tests.services.footage import reel
from tests.services.prefect_server import PrefectServer
from tests.services.runs import talking_to

pytestmark = pytest.mark.server


@pytest.fixture(autouse=True)
def prefect(server: PrefectServer, home: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("SKALD_MEDIA_ROOTS", str(reel().parent))
    with talking_to(server.url):
        yield


def record(attachments: dict[str, Any]) -> Any:
    flow = load_flow_from_entrypoint(f"{flows_directory()}/record.py:record", use_placeholder_flow=False)
    return flow.with_options(retries=0)(attachments, return_state=True)


def told(state: Any) -> list[dict[str, Any]]:
    """Data of the run's recordings, oldest first."""
    run = ArtifactFilterFlowRunId(any_=[uuid.UUID(str(state.state_details.flow_run_id))])
    wanted = ArtifactFilter(flow_run_id=run, type=ArtifactFilterType(any_=["recording"]))
    with get_client(sync_client=True) as client:
        found = client.read_artifacts(artifact_filter=wanted, limit=200)
    assert all(each.key is None and str(each.data["path"]) in str(each.description) for each in found)
    return sorted((each.data for each in found), key=lambda data: str(data["path"]))


def agrees(state: Any, folder: Path, codec: str) -> int:
    """How many segments there are; each is told of as it is."""
    found = told(state)
    assert [data["path"] for data in found] == sorted(str(path) for path in folder.glob("*.m*"))
    for data in found:
        video = Path(data["path"])
        assert data["size"] == video.stat().st_size
        assert data["codec"] == codec
        assert measure(local_source(video)).times
        assert datetime.fromisoformat(data["start"]).utcoffset() is not None
        assert 0 < data["seconds"] < 5
    return len(found)


def test_every_segment_is_in_prefect_when_the_run_ends(home: Path) -> None:
    state = record({"input": "reel.mp4", "segmentSeconds": 2, "output": "rec", "container": "mkv"})
    made = state.result()
    assert agrees(state, home / "media" / "rec", "h264/aac") == len(made["segments"]) > 3
    assert [data["start"] for data in told(state)] == [each["began"] for each in made["segments"]]
    assert sum(data["seconds"] for data in told(state)) == pytest.approx(made["seconds"], abs=0.01)


def test_those_of_a_recording_that_fails_too(small_disk: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SKALD_HOME", str(small_disk))
    state = record({"input": "bikes.mp4", "segmentSeconds": 1, "output": "rec"})
    assert state.is_failed()
    assert agrees(state, small_disk / "media" / "rec", "h264") >= 1
