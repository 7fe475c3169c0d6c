"""What breaks off goes on: files on servers from the byte where they broke, a task from where it was killed."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import textwrap
import uuid
from pathlib import Path
from typing import Any

import pytest
from prefect import get_client
from prefect.client.schemas.filters import (
    ArtifactFilter,
    ArtifactFilterFlowRunId,
    LogFilter,
    LogFilterFlowRunId,
)
from prefect.flows import load_flow_from_entrypoint

from skald_bridge.installation.bundled import flows_directory
from skald_bridge.media.errors import BadMedia, Unanswered
from skald_bridge.media.inputs import local_source, remote_source
from skald_bridge.media.recorder import Recorder
from skald_bridge.media.recording import RecordingIndex
from tests.services.breaking_http import breaking_server
from tests.services.encoded import S, T, X, decoded, encode
from tests.services.poll import until
from tests.services.prefect_server import PrefectServer
from tests.services.runs import talking_to

PICTURES = 300


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("long")


def long(folder: Path, name: str = "long.mp4") -> Path:
    """12 s, a key frame each second."""
    path = folder / name
    movflags = "-movflags +faststart" if path.suffix == ".mp4" else ""
    length = f"{T} {S} {X} -c:a aac".replace("d=4", "d=12")
    return path if path.exists() else encode(path, f"{length} {movflags}")


def counted(segments) -> list[int]:
    """Pictures of each segment, by decoding."""
    return [len(decoded(segment.url).pictures) for segment in segments]


@pytest.mark.parametrize("name", ["long.mp4", "long.mkv", "long.ts"])
@pytest.mark.parametrize("ranges", [True, False])
def test_a_file_that_breaks_off_is_taken_up_where_it_broke(store, folder, name, ranges):
    path = long(folder, name)
    size = path.stat().st_size
    breaks = [size // 3, size // 4] if ranges else [size // 3, size // 2]
    with breaking_server(path, breaks=breaks, ranges=ranges) as server:
        made = Recorder(remote_source(server.url(), "http"), store, "x", segment_seconds=lambda: 2).run()
    assert sum(counted(made.segments)) == made.pictures == PICTURES
    assert [segment.seconds for segment in made.segments] == [2.0] * 6
    assert (made.gaps, made.warnings) == ([], [])
    if ranges:
        assert server.asked == [0, size // 3, size // 3 + size // 4]
        assert server.sent == size


def test_a_server_that_is_away_for_a_while(store, folder):
    path = long(folder)
    with breaking_server(path, breaks=[path.stat().st_size // 2], away=2.0) as server:
        source = remote_source(server.url(), "http")
        made = Recorder(source, store, "x", segment_seconds=lambda: 2, timeout=1.0).run()
    assert made.pictures == PICTURES
    assert server.asked == [0, path.stat().st_size // 2]


def test_a_server_that_stays_away_fails_and_a_later_try_goes_on(store, folder):
    path = long(folder)
    size = path.stat().st_size
    told: list[str] = []
    options: dict[str, Any] = {"segment_seconds": lambda: 2, "task": "t"}
    options |= {"on_segment": lambda segment: told.append(segment.name)}
    with breaking_server(path, breaks=[size // 2], away=3600) as server:
        source = remote_source(server.url(), "http")
        first = Recorder(source, store, "x", give_up_after=0.5, **options)
        with pytest.raises(Unanswered, match=r"nobody answers.*segments are safe"):
            first.run()
        before = [segment.name for segment in first.recording.segments]
        assert told == before
        assert 100 <= sum(counted(first.recording.segments)) < PICTURES
        server.back = 0
        asked = len(server.asked)
        made = Recorder(source, store, "x", **options).run()
    assert [segment.name for segment in made.segments][: len(before)] == before
    assert counted(made.segments) == [50] * 6
    assert made.seconds == 12
    assert min(server.asked[asked + 1 :]) > size // 4


def test_a_file_that_is_replaced_meanwhile(store, folder, tmp_path):
    path = tmp_path / "in.mp4"
    path.write_bytes(long(folder).read_bytes())
    with breaking_server(path, breaks=[path.stat().st_size // 2]) as server:
        recorder = Recorder(
            remote_source(server.url(), "http"),
            store,
            "x",
            segment_seconds=lambda: 2,
            on_change=lambda *_: path.write_bytes(path.read_bytes() + b"more"),
        )
        server.away = 0.3
        with pytest.raises(BadMedia, match="was replaced"):
            recorder.run()


def test_an_interrupted_file_goes_on_without_a_picture_twice(store, folder):
    class Interrupt(BaseException):
        pass

    def length() -> float:
        if len(first.recording.segments) == 3:
            raise Interrupt
        return 2.0

    source = local_source(long(folder))
    first = Recorder(source, store, "x", segment_seconds=length, task="t")
    with pytest.raises(Interrupt):
        first.run()
    made = Recorder(source, store, "x", segment_seconds=lambda: 2, task="t").run()
    assert counted(made.segments) == [50] * 6
    assert len([name for name in store.list("x") if name.endswith(".mp4")]) == 6


def test_another_task_begins_anew(store, folder):
    source = local_source(long(folder))
    for task in ("a", "b", ""):
        made = Recorder(source, store, "x", segment_seconds=lambda: 60, task=task).run()
        assert len(made.segments) == 1
    again = Recorder(source, store, "x", segment_seconds=lambda: 60, task="b").run()
    assert len(again.segments) == 1


_PROGRAM = """
import sys
from pathlib import Path
from skald_blocks import MediaStore
from skald_bridge.media.inputs import local_source
from skald_bridge.media.recorder import Recorder
store = MediaStore(root=sys.argv[2])
heard = lambda recording, text: print(text, flush=True)
source = local_source(Path(sys.argv[1]))
Recorder(source, store, "x", segment_seconds=lambda: 1, own_speed=True, task="t", on_change=heard).run()
"""


@pytest.mark.parametrize("unnamed", [False, True])
def test_a_killed_recording_goes_on(store, folder, unnamed):
    path = long(folder)
    command = [sys.executable, "-c", textwrap.dedent(_PROGRAM), str(path), store.root]
    process = subprocess.Popen(command, stdout=subprocess.PIPE)
    assert process.stdout is not None
    for _ in range(3):
        assert process.stdout.readline()
    process.send_signal(signal.SIGKILL)
    process.wait(10)
    process.stdout.close()
    index = Path(store.url("x/recording.json"))
    if unnamed:  # as if it had been killed before the index could name the newest
        data = json.loads(index.read_text())
        lost = data["segments"].pop()
        data["resume"]["pictures"] -= lost["pictures"]
        index.write_text(json.dumps(data))
    told: list[str] = []
    made = Recorder(
        local_source(path),
        store,
        "x",
        segment_seconds=lambda: 1,
        task="t",
        on_segment=lambda segment: told.append(segment.name),
    ).run()
    assert counted(made.segments) == [25] * 12
    assert made.pictures == PICTURES
    assert len(store.list("x")) == 13
    assert (made.segments[2].name in told) == unnamed
    finished = json.loads(index.read_text())
    assert finished["ended"] is True
    assert finished["seconds"] == 12
    assert RecordingIndex(store, "x", "t").load() is None


def test_an_index_of_somebody_else_is_left_alone(store, folder):
    for text in ("", "[]", "{}", '{"task": "t"}', '{"task": "t", "segments": [{}], "gaps": 1}'):
        (Path(store.root) / "x").mkdir(parents=True, exist_ok=True)
        (Path(store.root) / "x" / "recording.json").write_text(text)
        assert RecordingIndex(store, "x", "t").load() is None


@pytest.mark.server
def test_a_retried_task_continues_and_shows_no_credentials(server: PrefectServer, home, folder):
    path = long(folder)
    flow: Any = load_flow_from_entrypoint(f"{flows_directory()}/record.py:record", use_placeholder_flow=False)
    breaking = breaking_server(path, breaks=[path.stat().st_size // 2], away=3.0)
    with talking_to(server.url), breaking as http, get_client(sync_client=True) as client:
        url = http.url().replace("://", "://admin:hunter2@") + "?user=admin&loginpas=hunter2"
        attachments = {"input": url, "segmentSeconds": 2, "output": "rec", "giveUpAfter": 0.5}
        state = flow.with_options(retries=4, retry_delay_seconds=1)(attachments, return_state=True)
        made = state.result()
        assert made["pictures"] == PICTURES
        assert [segment["pictures"] for segment in made["segments"]] == [50] * 6
        run = uuid.UUID(str(state.state_details.flow_run_id))
        logs = LogFilter(flow_run_id=LogFilterFlowRunId(any_=[run]))
        of_run = ArtifactFilter(flow_run_id=ArtifactFilterFlowRunId(any_=[run]))

        def texts() -> str:
            said = [log.message for log in client.read_logs(logs, limit=200)]
            return "\n".join(said) if any("of an earlier try" in text for text in said) else ""

        seen = until(texts, 20, "the logs of the run")
        seen += str(client.read_artifacts(artifact_filter=of_run)) + json.dumps(made)
        seen += str(client.read_flow_run_states(run))
    seen += (home / "media" / "rec" / "recording.json").read_text()
    assert "hunter2" not in seen
    assert "loginpas=***" in seen
