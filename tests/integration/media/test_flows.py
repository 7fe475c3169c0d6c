"""The product flows called as a user's test would call them, against a real Prefect server."""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from prefect import get_client
from prefect.blocks.system import Secret
from prefect.client.schemas.filters import (
    ArtifactFilter,
    ArtifactFilterFlowRunId,
    FlowRunFilter,
    FlowRunFilterId,
    LogFilter,
    LogFilterFlowRunId,
)
from prefect.flows import load_flow_from_entrypoint

from skald_blocks import MediaStore
from skald_bridge.domain.errors import InvalidInput
from skald_bridge.installation.bundled import flows_directory
from skald_bridge.media.inputs import local_source
from skald_bridge.media.measure import measure
from skald_bridge.media.probe import probe
from tests.integration.media.inputs import FAST, ffmpeg, pictures, tone
from tests.services.footage import bikes, reel
from tests.services.poll import until
from tests.services.prefect_server import PrefectServer
from tests.services.runs import talking_to

pytestmark = pytest.mark.server


def product(name: str) -> Any:
    return load_flow_from_entrypoint(f"{flows_directory()}/{name}.py:{name}", use_placeholder_flow=False)


@pytest.fixture(autouse=True)
def prefect(server: PrefectServer, home: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The flows talk to the test server; the footage lies under a media root, the store in SKALD_HOME."""
    monkeypatch.setenv("SKALD_MEDIA_ROOTS", str(reel().parent))
    with talking_to(server.url):
        yield


def artifacts(run_id: uuid.UUID) -> dict[str, Any]:
    with get_client(sync_client=True) as client:
        found = client.read_artifacts(
            artifact_filter=ArtifactFilter(flow_run_id=ArtifactFilterFlowRunId(any_=[run_id]))
        )
    return {str(each.key): each.data for each in found}


def run_of(state: Any) -> uuid.UUID:
    assert state.state_details.flow_run_id is not None
    return uuid.UUID(str(state.state_details.flow_run_id))


def test_transcode(home):
    state = product("transcode")(
        {"input": "reel.mp4", "heights": [720, 360, 180], "look": "gray", "output": "out"}, return_state=True
    )
    made = state.result()
    assert [each["rendition"] for each in made["renditions"]] == ["360p", "180p"]
    for each in made["renditions"]:
        assert len(measure(local_source(Path(each["url"]))).times) == 407
    assert Path(made["renditions"][0]["url"]) == home / "media" / "out" / "360p.mp4"
    assert len(json.loads(artifacts(run_of(state))["renditions"])) == 2


def test_analyze(home):
    state = product("analyze")(
        {"input": "reel.mp4", "output": "a", "thumbnailSeconds": 5, "thresholds": {"blackSeconds": 0.5}},
        return_state=True,
    )
    found = state.result()["findings"]
    assert found["scenes"] == [1.2, 3.04, 5.48, 7.48, 9.68, 10.0, 11.0]
    assert found["black"] == [{"start": 10.0, "end": 11.0}]
    thumbnails = sorted(path.name for path in (home / "media" / "a" / "thumbnails").iterdir())
    assert thumbnails == ["000000000.jpg", "000005000.jpg", "000010000.jpg", "000015000.jpg"]
    assert json.loads((home / "media" / "a" / "analysis.json").read_text())["video"]["width"] == 640
    assert "Scenes" in artifacts(run_of(state))["analysis"]


def test_record(home):
    state = product("record")(
        {"input": "bikes.mp4", "segmentSeconds": 2, "seconds": 5, "output": "rec"}, return_state=True
    )
    made = state.result()
    index = json.loads((home / "media" / "rec" / "recording.json").read_text())
    assert index["segments"] == made["segments"]
    assert made["seconds"] == pytest.approx(5, abs=0.2)


def test_pipeline_here(home):
    state = product("pipeline")(
        {"input": "reel.mp4", "partSeconds": 3, "parallel": 2, "failOnce": 2, "look": "sepia", "output": "p"},
        return_state=True,
    )
    made = state.result()
    video = local_source(Path(made["files"]["video.mp4"]))
    assert len(measure(video).times) == 407
    assert probe(video).audio_codec == "aac"
    assert made["findings"]["scenes"] == [1.2, 3.04, 5.48, 7.48, 9.68, 10.0, 11.0]
    report = json.loads(Path(made["files"]["report.json"]).read_text())
    assert [part["attempt"] for part in report["parts"]] == [1, 2, 1, 1, 1]
    assert {part["look"] for part in report["parts"]} == {"sepia"}
    shown = artifacts(run_of(state))
    assert shown["contact-sheet"].startswith("data:image/jpeg;base64,")
    assert "## Parts" in shown["report"]
    assert not (home / "media" / "p" / "parts").exists()


def test_what_was_lost_is_told_in_result_report_and_progress(home, tmp_path, monkeypatch):
    plain, video = tmp_path / "plain.mp4", tmp_path / "unknown.mp4"
    ffmpeg(*pictures(3), *tone(3), *FAST, "-g", "25", "-c:a", "aac", plain)
    video.write_bytes(plain.read_bytes().replace(b"mp4a", b"zzzz").replace(b"esds", b"zsds"))
    monkeypatch.setenv("SKALD_MEDIA_ROOTS", str(tmp_path))
    told = "sound track 1 is left out: its codec is unknown here"
    reports = {"transcode": "renditions", "analyze": "analysis", "pipeline": "report"}
    more: dict[str, dict[str, Any]] = {
        "transcode": {"heights": [120]},
        "pipeline": {"partSeconds": 1, "height": 120},
    }
    for name, report in reports.items():
        given = {"input": str(video), "output": name, **more.get(name, {})}
        state = product(name)(given, return_state=True)
        assert state.is_completed(), state.message
        assert state.result()["warnings"] == [told]
        assert told in str(artifacts(run_of(state))[report])
        until(partial(tells, run_of(state), told), 20, f"the last progress of {name}")


def tells(run_id: uuid.UUID, text: str) -> bool:
    """Whether its progress, which the task's document repeats, holds ``text``."""
    with get_client(sync_client=True) as client:
        found = client.read_artifacts(
            artifact_filter=ArtifactFilter(flow_run_id=ArtifactFilterFlowRunId(any_=[run_id]))
        )
    return any(text in str(each.description) for each in found if each.type == "progress")


@pytest.mark.parametrize("name", ["transcode", "analyze", "pipeline"])
def test_a_song_with_a_cover_fails_and_says_why(tmp_path, monkeypatch, name):
    cover, song = tmp_path / "cover.png", tmp_path / "song.m4a"
    ffmpeg(*pictures(1), "-frames:v", "1", cover)
    ffmpeg(
        *tone(2),
        "-i",
        cover,
        "-map",
        "0",
        "-map",
        "1",
        "-c:v",
        "copy",
        "-disposition:v:0",
        "attached_pic",
        song,
    )
    monkeypatch.setenv("SKALD_MEDIA_ROOTS", str(tmp_path))
    state = product(name)({"input": str(song)}, return_state=True)
    assert state.is_failed()
    assert "has no picture but a cover" in state.message


def test_complex_job():
    steps = [
        {"name": "Download Data", "duration": 0.1, "fail_chance": 0.5},
        {"name": "Process", "duration": 0},
    ]
    runs = [
        product("complex_job")({"jobId": "j", "retries": 9, "sub_tasks": steps, "seed": 7}) for _ in range(2)
    ]
    assert runs[0] == runs[1]
    assert runs[0]["attempts"]["Process"] == 1
    hopeless = {"jobId": "j", "retries": 1, "subTasks": [{"name": "X", "duration": 0, "failChance": 1}]}
    state = product("complex_job")(hopeless, return_state=True)
    assert state.is_failed()
    assert "X failed on attempt 2" in state.message


@pytest.mark.parametrize("name", ["transcode", "analyze", "record", "pipeline"])
def test_bad_input_fails_once_with_its_remedy(name, tmp_path):
    outside = tmp_path / "x.mp4"
    outside.write_bytes(bikes().read_bytes())
    state = product(name)({"input": str(outside)}, return_state=True)
    assert state.is_failed()
    assert "lies outside the media roots" in state.message
    with pytest.raises(InvalidInput, match="SKALD_MEDIA_ROOTS"):
        state.result()
    with get_client(sync_client=True) as client:
        these = FlowRunFilter(id=FlowRunFilterId(any_=[run_of(state)]))
        (run,) = client.read_flow_runs(flow_run_filter=these)
    assert run.run_count == 1


def test_a_secret_block_keeps_the_camera_s_address(camera_server, home):
    camera_server.publish(bikes(), "cam")
    block = f"camera-{uuid.uuid4().hex[:8]}"
    Secret(value=camera_server.url("cam", "admin:hunter2@")).save(block)
    state = product("transcode")(
        {"input": f"secret:{block}", "seconds": 1, "heights": [136], "output": "t"}, return_state=True
    )
    (made,) = state.result()["renditions"]
    assert made["rendition"] == "136p"
    with get_client(sync_client=True) as client:
        run = client.read_flow_run(run_of(state))
        of_run = LogFilter(flow_run_id=LogFilterFlowRunId(any_=[run.id]))
        until(
            lambda: any("***@127.0.0.1" in each.message for each in client.read_logs(of_run)), 20, "its log"
        )
        logs = client.read_logs(of_run)
    assert run.parameters["attachments"]["input"] == f"secret:{block}"
    assert not any("hunter2" in each.message for each in logs)
    missing = product("transcode")({"input": "secret:nothing-here"}, return_state=True)
    assert "no Secret block of this name" in missing.message


def test_a_full_disk_while_recording(home, small_disk, monkeypatch):
    monkeypatch.setenv("SKALD_HOME", str(small_disk))
    once = product("record").with_options(retries=0)
    state = once({"input": "bikes.mp4", "segmentSeconds": 1, "output": "rec"}, return_state=True)
    assert state.is_failed()
    assert "No space left where media are written" in state.message
    assert "Remedy: Free space there" in state.message
    published = list((small_disk / "media" / "rec").glob("*.mp4"))
    assert published
    assert all(measure(local_source(path)).times for path in published)


def test_a_store_block_of_ones_own(tmp_path):
    name = f"store-{uuid.uuid4().hex[:8]}"
    MediaStore(root=str(tmp_path / "mine")).save(name)
    given = {"input": "bikes.mp4", "store": name, "output": "a", "thumbnailSeconds": 0}
    assert product("analyze")(given)["folder"] == str(tmp_path / "mine" / "a")
    assert (tmp_path / "mine" / "a" / "analysis.json").exists()
    state = product("analyze")({**given, "store": "no-such-store"}, return_state=True)
    assert "there is no Media Store block of this name" in state.message
