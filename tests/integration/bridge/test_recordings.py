"""What tasks record is in MongoDB while they run; what they made, and why attempts failed, is told too."""

from __future__ import annotations

import asyncio
import shutil
import threading
from datetime import UTC, datetime, timedelta
from pathlib import Path
from queue import SimpleQueue
from typing import Any
from uuid import UUID, uuid4

import pytest
from prefect import flow
from prefect.artifacts import create_table_artifact
from prefect.client.orchestration import PrefectClient
from prefect.client.schemas.actions import ArtifactCreate
from prefect.context import get_run_context
from prefect.states import AwaitingRetry, Completed, Crashed, Pending, Running

from skald_bridge import main
from skald_bridge.adapters.prefect import PrefectEngine
from skald_bridge.adapters.sqlite import SqliteArchive, SqliteRecordings
from skald_bridge.adapters.sqlite_file import SqliteFile
from skald_bridge.authoring import all_recorded, progress, recorded
from skald_bridge.domain.ids import TaskId
from skald_bridge.domain.recordings import Recording
from skald_work_pools.messages import TAKEN_BY
from tests.integration.bridge.test_inward import document, new_id, run_of, status
from tests.integration.bridge.test_mirror import running
from tests.services.bridged import Services
from tests.services.fleet import fleet
from tests.services.poll import auntil
from tests.services.prefect_server import PrefectServer
from tests.services.runs import Deployed, life, live, start, talking_to

pytestmark = [pytest.mark.server, pytest.mark.timeout(300)]
START = datetime(2026, 1, 1, 12, tzinfo=UTC)


class Recorder:
    """A user's flow in a thread of this process; it records what it is told to."""

    def __init__(self, url: str) -> None:
        self.run: UUID | None = None
        self._wanted: SimpleQueue[bool] = SimpleQueue()
        self._thread = threading.Thread(target=self._work, args=(url,))
        self._thread.start()

    def more(self) -> None:
        self._wanted.put(True)

    def end(self) -> None:
        self._wanted.put(False)
        self._thread.join(60)
        assert not self._thread.is_alive()

    def _work(self, url: str) -> None:
        @flow(name=f"recorder-{uuid4().hex[:8]}")
        def recorder() -> None:
            context: Any = get_run_context()
            self.run = context.flow_run.id
            count = 0
            while self._wanted.get():
                start = START + timedelta(seconds=2.5 * count)
                count += 1
                recorded(f"/media/{count}.mp4", start=start, seconds=2.5, codec="h264/aac", size=1000)
                progress(count, None, "segments")
            create_table_artifact(key="files", table=[{"a": 1}])
            assert all_recorded()

        with talking_to(url):
            recorder()


def recordings(services: Services, task: object) -> list[dict[str, Any]]:
    found = services.documents.database["recordings"].find({"taskId": str(task)}, {"_id": 0})
    return sorted(found, key=lambda each: each["startDateTime"])


async def arrive(services: Services, task: object, count: int) -> list[dict[str, Any]]:
    async def there() -> bool:
        return len(await asyncio.to_thread(recordings, services, task)) == count

    found = await asyncio.to_thread(recordings, services, task)
    await auntil(
        there, 30, f"{count} recordings of {task}, not {found}; the bridge: {services.bridge.log()[-2000:]}"
    )
    return recordings(services, task)


async def stored(path: Path, task: object) -> tuple[list[Recording], Any]:
    async with SqliteFile(path, write=False) as file:
        kept = await SqliteRecordings(file).of(TaskId(str(task)))
        return kept, await SqliteArchive(file).get(TaskId(str(task)))


async def test_recordings_arrive_while_the_task_runs_and_none_is_lost_with_a_bridge(
    services: Services, server: PrefectServer, client: PrefectClient, tmp_path: Path
) -> None:
    recorder = Recorder(server.url)
    try:
        recorder.more()

        async def begun() -> bool:
            return recorder.run is not None

        await auntil(begun, 30, "the flow runs")
        (first,) = await arrive(services, recorder.run, 1)
        assert first == {
            "id": first["id"],
            "taskId": str(recorder.run),
            "path": "/media/1.mp4",
            "startDateTime": 1767268800000,
            "endDateTime": 1767268802500,
            "durationSeconds": 2.5,
            "codec": "h264/aac",
            "size": 1000,
            "start": "2026-01-01T12:00:00+00:00",
        }
        # No state of the task changes now: the bridge is told.
        recorder.more()
        await arrive(services, recorder.run, 2)
        services.bridge.kill()
        recorder.more()
        services.bridge.start()
        await arrive(services, recorder.run, 3)
        services.bridge.kill()
        recorder.more()
    finally:
        recorder.end()
    services.bridge.start()
    found = await arrive(services, recorder.run, 4)
    assert [each["path"] for each in found] == [f"/media/{n}.mp4" for n in (1, 2, 3, 4)]

    async def told() -> bool:
        return (await asyncio.to_thread(services.task, str(recorder.run))).get("result") is not None

    await auntil(told, 30, "the result in the task's document")
    result = services.task(str(recorder.run))["result"]
    assert result == {
        "progress": "4: segments",
        "artifacts": ["files"],
        "recordings": {"count": 4, "seconds": 10.0, "size": 4000},
    }
    names = services.documents.database["recordings"].index_information().values()
    assert any(index["key"] == [("id", 1)] and index.get("unique") for index in names)

    anew = tmp_path / "anew.db"
    with talking_to(server.url):
        await main.rebuild(anew)
    kept, archived = await stored(services.bridge.journal, recorder.run)
    again, made = await stored(anew, recorder.run)
    assert {each.id for each in again} == {each.id for each in kept} == {each["id"] for each in found}
    assert made.result == archived.result == result


async def test_a_task_that_skalds_named_keeps_its_id_in_its_recordings(
    services: Services, client: PrefectClient, deployed: Deployed
) -> None:
    task = new_id()
    services.documents.insert_one(document(task, deployed.class_name))
    run = await run_of(client, task)
    await live(client, run.id, life("n1")[:2])
    told = {"path": "a.mp4", "start": START.isoformat(), "seconds": 1, "codec": "", "size": 5}
    for data in (told, told, {"path": "no start"}, None, {**told, "seconds": "nan"}):
        await client.create_artifact(ArtifactCreate(type="recording", data=data, flow_run_id=run.id))
    await live(client, run.id, [Completed(message="one file")])
    (found,) = await arrive(services, task, 1)
    assert (found["path"], found["codec"], found["size"]) == ("a.mp4", None, 5)
    assert (await status(services, task, "Finished"))["id"] == task

    async def concluded() -> bool:
        said = {"message": "one file", "recordings": {"count": 1, "seconds": 1.0, "size": 5}}
        return (await asyncio.to_thread(services.task, task)).get("result") == said

    await auntil(concluded, 30, f"its result: {services.task(task)}")


async def test_a_failed_attempt_is_an_error_that_people_see_while_the_task_goes_on(
    services: Services, client: PrefectClient, deployed: Deployed
) -> None:
    run = await start(client, deployed)
    claimed = [Pending(message=TAKEN_BY + "n1"), Running()]
    await live(client, run, [*claimed, Crashed(message="killed by SIGKILL"), AwaitingRetry(), *claimed])

    async def noted(error: str) -> bool:
        return services.pulse.get(f"task:{run}:has-error") == error

    await auntil(lambda: noted("killed by SIGKILL"), 30, "the first failed attempt in Redis")
    await live(client, run, [AwaitingRetry(message="out of film"), Running(name="Retrying")])
    await auntil(lambda: noted("out of film"), 30, "the second failed attempt in Redis")
    assert services.pulse.ttl(f"task:{run}:has-error") > 0
    assert services.pulse.get(f"task:{run}:exception") is None
    await live(client, run, [Completed()])

    async def finished() -> bool:
        return services.pulse.get(f"task:{run}:heartbeat") == "200"

    await auntil(finished, 30, "its end in Redis")
    assert await noted("out of film")


async def test_a_node_tells_of_recordings_at_once_and_of_the_last_one_when_cancelled(
    server: PrefectServer, tmp_path: Path
) -> None:
    folder = tmp_path / "project"
    folder.mkdir()
    shutil.copy(Path(__file__).parent / "project" / "recorder.py", folder)
    path = tmp_path / "journal.db"
    with (
        fleet(server, folder, [{"name": "recorder", "entrypoint": "recorder.py:recorder"}]) as made,
        talking_to(server.url),
    ):
        async with running(path):
            run = await asyncio.to_thread(made.run, "recorder/recorder", {"folder": "/media"})

            async def count(wanted: int) -> bool:
                return len((await stored(path, run))[0]) == wanted

            await auntil(lambda: count(1), 60, "the first recording, while the task runs")
            assert made.state(run) == "Running"
            cancelling = {"state": {"type": "CANCELLING"}}
            await asyncio.to_thread(made.api, "POST", f"/flow_runs/{run}/set_state", cancelling)
            await asyncio.to_thread(made.reaches, run, "Cancelled")
            await auntil(lambda: count(2), 30, "the one that was under way")

            async def concluded() -> bool:
                document = (await stored(path, run))[1]
                return document.result == {"recordings": {"count": 2, "seconds": 2.0, "size": 20}}

            await auntil(concluded, 30, "what it made, in its document")


async def test_many_recordings_and_other_artifacts_are_all_read(
    engine: PrefectEngine, client: PrefectClient, deployed: Deployed
) -> None:
    run = await start(client, deployed)
    task = TaskId(str(run))

    async def add(number: int) -> None:
        start = (START + timedelta(seconds=number)).isoformat()
        told = {"path": f"{number}.mp4", "start": start, "seconds": 1}
        await client.create_artifact(ArtifactCreate(type="recording", data=told, flow_run_id=run))

    for first in range(0, 230, 10):
        await asyncio.gather(*(add(number) for number in range(first, first + 10)))
    for number in range(25):
        made = ArtifactCreate(type="table", key=f"table-{run}-{number}", data="[]", flow_run_id=run)
        await client.create_artifact(made)
    paths = {each.path async for page in engine.recordings([task]) for each in page}
    assert len(paths) == 230
    found = [each async for page in engine.artifacts([task]) for each in page]
    assert {each.recording.path for each in found if each.recording is not None} == paths
    assert len({each.key for each in found if each.type == "table"}) == 25
    assert [each async for page in engine.recordings([]) for each in page] == []
    assert [each async for page in engine.artifacts([TaskId("nobody")]) for each in page] == []
