"""A real node and a bridge of the test's own: what it offers may be outdated."""

from __future__ import annotations

import contextlib
import queue
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from websockets.exceptions import ConnectionClosed
from websockets.sync.server import Server, ServerConnection, serve

from skald_work_pools.link.frames import decode, encode
from skald_work_pools.link.messages import Alive, Hello, Message, Offer, Refused, Taken, Welcome
from tests.services.fleet import Fleet, fleet
from tests.services.poll import until
from tests.services.prefect_server import PrefectServer

pytestmark = pytest.mark.server
PATIENCE = 60.0


class Bridge:
    """Welcomes whoever comes, and keeps what is said."""

    def __init__(self) -> None:
        self.links: queue.Queue[ServerConnection] = queue.Queue()
        self.said: queue.Queue[Message] = queue.Queue()
        self.server: Server
        self.pool_id = ""

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server.socket.getsockname()[1]}"

    def handle(self, socket: ServerConnection) -> None:
        with contextlib.suppress(ConnectionClosed):
            hello = decode(socket.recv())
            assert isinstance(hello, Hello)
            self.pool_id = hello.pool_id
            socket.send(encode(Welcome(3.0)))
            self.links.put(socket)
            for frame in socket:
                if (message := decode(frame)) is not None:
                    self.said.put(message)
                if isinstance(message, Alive):
                    socket.send(encode(Alive()))

    def answer(self) -> Taken | Refused:
        while not isinstance(found := self.said.get(timeout=PATIENCE), Taken | Refused):
            pass
        return found


@pytest.fixture
def bridge() -> Iterator[Bridge]:
    made = Bridge()
    with serve(made.handle, "127.0.0.1", 0) as made.server:
        thread = threading.Thread(target=made.server.serve_forever, daemon=True)
        thread.start()
        yield made
        made.server.shutdown()
        thread.join(PATIENCE)


@pytest.fixture
def made(server: PrefectServer, tmp_path: Path) -> Iterator[Fleet]:
    with fleet(server, tmp_path, [{"name": "wait", "entrypoint": "jobs.py:wait"}]) as made:
        yield made


def test_an_offer_of_a_run_that_has_ended_runs_nothing(made: Fleet, bridge: Bridge, tmp_path: Path) -> None:
    lines = tmp_path / "lines"
    run = made.run("wait/wait", {"log": str(lines)})
    told = {
        **made.reaches(run, "Completed"),
        "state": {"type": "SCHEDULED", "name": "Scheduled"},
        "run_count": 0,
    }
    before = made.states(run)
    with made.node("linked", env={"SKALD_LINK": bridge.url}):
        socket = bridge.links.get(timeout=PATIENCE)

        def taken() -> bool:
            socket.send(encode(Offer(run, bridge.pool_id, "default", told)))
            answer = bridge.answer()
            # Its code may have to be loaded first.
            assert isinstance(answer, Taken) or not answer.permanent, answer
            return isinstance(answer, Taken)

        until(taken, PATIENCE, "the node takes it for a new one")
        until(lambda: len(made.states(run)) >= len(before) + 2, PATIENCE, "its claim is taken back")
    states = [(state["type"], state["name"]) for state in made.states(run)[len(before) :]]
    assert states == [("PENDING", "Pending"), ("COMPLETED", "Completed")]
    assert made.states(run)[-1]["data"] == before[-1]["data"]
    assert lines.read_text().count("start") == 1


def test_a_new_run_is_offered_twice_and_runs_once(made: Fleet, bridge: Bridge, tmp_path: Path) -> None:
    lines = tmp_path / "lines"
    with made.node("linked", env={"SKALD_LINK": bridge.url}):
        socket = bridge.links.get(timeout=PATIENCE)
        run = made.run("wait/wait", {"log": str(lines)})
        told = {**made.read(run), "state": {"type": "SCHEDULED", "name": "Scheduled"}}
        for _ in range(3):
            socket.send(encode(Offer(run, bridge.pool_id, "default", told)))
        answers = [bridge.answer() for _ in range(3)]
        assert {answer.run_id for answer in answers} == {run}
        made.reaches(run, "Completed")
    assert lines.read_text().count("start") == 1
