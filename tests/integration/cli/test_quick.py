"""Commands that ask Prefect without importing it, and those that must import it all the same."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import pytest
from prefect.client.orchestration import PrefectClient
from prefect.events import Event, Resource
from prefect.events.clients import get_events_client, get_events_subscriber
from prefect.events.filters import EventFilter, EventNameFilter

from skald_bridge.adapters.prefect_http import plain_http
from skald_bridge.adapters.sqlite_file import SqliteFile
from skald_bridge.domain.errors import Denied
from skald_work_pools import messages
from tests.services.prefect_server import PrefectServer, running_server
from tests.services.runs import Deployed, client_of, deploy, life, live, start
from tests.services.skald_cli import skald_environment

LOGIN = "admin:pass"
_RUN = """
import sys
sys.argv[0] = "skald"
from skald_bridge.cli.app import main
try:
    main()
except SystemExit as end:
    code = end.code
else:
    code = 0
sys.stdout.flush()
print(code or 0, "prefect" in sys.modules, file=sys.stderr)
"""


@dataclass(frozen=True)
class Ran:
    code: int
    imported: bool
    """Whether Prefect was."""
    out: str
    err: str


@dataclass(frozen=True)
class Cli:
    home: Path
    url: str

    def environment(self, own: Mapping[str, str]) -> dict[str, str]:
        return skald_environment(self.home, {"PREFECT_API_URL": self.url, **own})

    def __call__(self, *arguments: str, **own: str) -> Ran:
        done = subprocess.run(
            [sys.executable, "-c", _RUN, *arguments],
            env=self.environment(own),
            cwd=self.home,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=90,
        )
        code, imported = done.stderr.splitlines()[-1].split()
        return Ran(int(code), imported == "True", done.stdout, done.stderr)

    def quick(self, *arguments: str, **own: str) -> Any:
        """The JSON of a command that did not import Prefect."""
        ran = self(*arguments, "--json", **own)
        assert (ran.code, ran.imported) == (0, False), ran
        return json.loads(ran.out or "null")


@pytest.fixture
def cli(server: PrefectServer, tmp_path: Path) -> Cli:
    return Cli(tmp_path, server.url)


@pytest.fixture
async def client(server: PrefectServer) -> AsyncIterator[PrefectClient]:
    async with client_of(server.url) as client:
        yield client


@pytest.fixture
async def deployed(client: PrefectClient) -> Deployed:
    return await deploy(client)


async def test_what_is_asked_and_commanded_without_prefect(
    cli: Cli, client: PrefectClient, deployed: Deployed
) -> None:
    given = ["inputUrl=a.mp4", "--key", uuid4().hex, "--name", f"first-{uuid4().hex[:6]}"]
    made = cli.quick("submit", deployed.class_name, *given, "--queue-anyway")
    id_ = made["id"]
    assert cli.quick("submit", deployed.class_name, *given, "--queue-anyway")["id"] == id_
    assert [task["id"] for task in cli.quick("tasks", "--type", deployed.class_name)] == [id_]
    assert cli.quick("task", made["name"])["id"] == id_
    assert cli.quick("why", id_)["reasons"]
    assert cli.quick("nodes", "--pool", deployed.pool) == []
    await live(client, UUID(id_), life("n1")[:2])
    assert cli.quick("pause", id_)[0]["lifecycleStatus"] == "Paused"
    assert cli.quick("resume", id_)[0]["lifecycleStatus"] == "Running"
    assert cli.quick("cancel", id_)[0]["state"]["type"] == "CANCELLING"
    await live(client, UUID(id_), life("n1")[-1:])
    assert cli.quick("retry", id_)[0]["state"]["name"] == "AwaitingRetry"


async def test_submit_waits_without_prefect(cli: Cli, client: PrefectClient, deployed: Deployed) -> None:
    name = f"waited-{uuid4().hex}"
    command = [
        sys.executable,
        "-c",
        _RUN,
        "submit",
        "--queue-anyway",
        deployed.class_name,
        "inputUrl=a",
        "--wait",
        "--name",
        name,
    ]
    process = await asyncio.create_subprocess_exec(
        *command, env=cli.environment({}), stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    assert process.stdout is not None
    first = (await process.stdout.readline()).decode()
    assert name in first
    await live(client, UUID(first.split()[-1]), life("n1", fails=True))
    out, err = await process.communicate()
    assert "ffmpeg ended with 1" in out.decode()
    assert err.decode().split() == ["1", "False"]


async def test_a_running_task_is_updated_without_prefect(
    cli: Cli, client: PrefectClient, deployed: Deployed
) -> None:
    run = await start(client, deployed)
    await live(client, run, life("n1")[:2])
    answering = asyncio.create_task(_answer(str(run)))
    told = await asyncio.to_thread(cli.quick, "update", str(run), "segmentSeconds=4", "--timeout", "30")
    request = await answering
    assert (told["outcome"], told["revision"]) == ("applied", 2)
    assert request.payload["changes"] == {"segmentSeconds": 4}
    pool = await client.read_work_pool(deployed.pool)
    assert [related.id for related in request.related] == [f"prefect.work-pool.{pool.id}"]


async def test_errors_and_exit_codes_need_no_prefect(cli: Cli, deployed: Deployed) -> None:
    for arguments, code, said in (
        (["submit", deployed.class_name, "colour=red", "--queue-anyway"], 2, "colour"),
        (
            ["submit", deployed.class_name, "inputUrl=a", "segmentSeconds=0", "--queue-anyway"],
            2,
            "segmentSeconds",
        ),
        (["submit", "NoSuch"], 3, deployed.class_name),
        (["task", str(uuid4())], 3, "No task"),
    ):
        ran = cli(*arguments)
        assert (ran.code, ran.imported) == (code, False), ran
        assert said in ran.err and "Remedy:" in ran.err


async def test_the_journal_is_read_without_prefect(cli: Cli) -> None:
    async with SqliteFile(cli.home / "journal.db", write=True):
        pass
    ran = cli("events", "--json")
    assert (ran.code, ran.imported, ran.out) == (0, False, "")


async def test_a_setting_of_prefects_client_has_it_imported(cli: Cli, deployed: Deployed) -> None:
    asked = ["tasks", "--type", deployed.class_name, "--json"]
    ran = cli(*asked, PREFECT_CLIENT_CUSTOM_HEADERS='{"X-Team": "a"}')
    assert (ran.code, ran.imported, ran.out) == (0, True, cli(*asked).out)
    (cli.home / "prefect.toml").write_text("[client]\nmax_retries = 1\n")
    ran = cli(*asked)
    assert (ran.code, ran.imported) == (0, True)


async def test_a_server_that_wants_a_login(tmp_path: Path) -> None:
    with running_server(tmp_path / "prefect", {"PREFECT_SERVER_API_AUTH_STRING": LOGIN}) as server:
        cli = Cli(tmp_path, server.url)
        assert cli.quick("tasks", PREFECT_API_AUTH_STRING=LOGIN) == []
        profiles = tmp_path / "prefect-client" / "profiles.toml"
        profiles.write_text(f'active = "a"\n[profiles.a]\nPREFECT_API_AUTH_STRING = "{LOGIN}"\n')
        assert cli.quick("tasks") == []
        ran = cli("tasks", PREFECT_API_AUTH_STRING="admin:wrong")
        assert (ran.code, ran.imported) == (5, False)
        assert "refuses the credentials" in ran.err
        async with plain_http(server.url, LOGIN) as http, http.events(["a"]) as events:
            heard = asyncio.create_task(anext(events.heard()))
            event = {"event": "a", "resource": {"prefect.resource.id": "x"}, "payload": {"n": 1}}
            while not heard.done():
                await events.say({**event, "event": "b"})
                await events.say(event)
                await asyncio.wait([heard], timeout=0.1)
            assert heard.result() == ("a", {"n": 1})
        async with plain_http(server.url, "admin:wrong") as http:
            with pytest.raises(Denied, match="refuses the credentials"):
                async with http.events(["a"]):
                    pass


async def _answer(task: str) -> Event:
    wanted = EventFilter(event=EventNameFilter(name=[messages.UPDATE_REQUESTED]))
    async with get_events_subscriber(wanted) as requests, get_events_client(checkpoint_every=1) as events:
        async for request in requests:
            if request.resource.id.endswith(task):
                answer = {
                    "update_id": request.payload["update_id"],
                    "revision": 2,
                    "attachments": {},
                    "node": "n",
                }
                told = Resource({"prefect.resource.id": request.resource.id})
                await events.emit(Event(event=messages.UPDATE_APPLIED, resource=told, payload=answer))
                return request
    raise AssertionError("no request")
