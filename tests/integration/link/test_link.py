"""Nodes that hold a link to a bridge: tasks are offered to them, and nothing is lost whatever ends."""

from __future__ import annotations

import re
import signal
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.services.fleet import Fleet, fleet
from tests.services.poll import until
from tests.services.prefect_server import PrefectServer, free_port
from tests.services.rest import ENDED, Rest, running_rest
from tests.services.skald_cli import skald

pytestmark = pytest.mark.server
KEY = "a-long-random-text-0123456789"
PATIENCE = 60.0


@pytest.fixture(scope="module")
def made(server: PrefectServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Fleet]:
    """A pool without a node."""
    deployments = [{"name": "wait", "entrypoint": "jobs.py:wait"}]
    with fleet(server, tmp_path_factory.mktemp("fleet"), deployments, node=None) as made:
        yield made


@pytest.fixture
def own(made: Fleet, tmp_path: Path) -> Own:
    return Own(made, tmp_path)


class Own:
    """One test's bridges, tasks, and the file that these write a line to whenever they start and end."""

    def __init__(self, made: Fleet, folder: Path) -> None:
        self.made, self.folder, self.port = made, folder, free_port()
        self.lines = folder / "lines"
        self.seen: dict[str, float] = {}
        """Offers by outcome, as they were looked at last."""

    @contextmanager
    def bridge(self, key: str = "") -> Iterator[Rest]:
        with running_rest(self.made.server, self.folder / "home", key=key, port=self.port) as rest:
            yield rest

    @contextmanager
    def nodes(self, rest: Rest, *names: str, key: str = "", options: tuple[str, ...] = ()) -> Iterator[None]:
        """Linked, their code loaded."""
        env = {"SKALD_LINK": rest.url, "SKALD_API_KEY": key}
        with ExitStack() as stack:
            for name in names:
                stack.enter_context(self.made.node(name, *options, env=env))
            self.linked(rest, len(names))
            yield

    def linked(self, rest: Rest, count: int) -> None:
        until(lambda: metric(rest, "skald_links", status="online") == count, PATIENCE, f"{count} links")
        until(lambda: self.loaded(count), PATIENCE, "code loaded, and told")

    def loaded(self, count: int) -> bool:
        found = [each["value"] for each in self.made.api("POST", "/variables/filter", {})]
        ready = [
            each
            for each in found
            if isinstance(each, dict)
            and each.get("pool") == self.made.pool
            and each.get("linked")
            and "wait" in each.get("task_types", ())
        ]
        return len(ready) >= count

    def create(self, rest: Rest, task: str, **attachments: Any) -> str:
        given = {"log": str(self.lines), **attachments}
        done = rest.do("POST", "/api/tasks/", {"id": task, "className": "wait", "attachments": given})
        assert done["data"]["taskId"] == task
        return task

    def starts(self) -> Counter[str]:
        """How often user code was begun, by run."""
        if not self.lines.exists():
            return Counter()
        return Counter(line.split()[1] for line in self.lines.read_text().splitlines() if "start" in line)


def metric(rest: Rest, name: str, **labels: str) -> float:
    text = rest.ask("GET", "/metrics").text
    wanted = ",".join(f'{key}="{value}"' for key, value in labels.items())
    found = re.search(rf"^{name}\{{{wanted}\}} (\S+)$", text, re.M)
    assert found is not None, (name, labels, text)
    return float(found[1])


def offers(rest: Rest) -> dict[str, float]:
    """Those outcomes that are not 0."""
    names = ("taken", "refused", "lost", "unplaced", "held", "early")
    found = {name: metric(rest, "skald_offers_total", outcome=name) for name in names}
    return {name: count for name, count in found.items() if count}


def test_a_task_of_rest_starts_by_an_offer(own: Own) -> None:
    with own.bridge(KEY) as rest, own.nodes(rest, "linked-1", key=KEY):
        # The first one may come before the bridge that has begun knows its nodes.
        until(lambda: _taken(own, rest, 1), PATIENCE, "a task is taken by an offer")
        before = offers(rest)
        for number in range(5):
            rest.reaches(own.create(rest, f"after-{number}-{own.folder.name}"), *ENDED)
        after = offers(rest)
        assert after["taken"] - before["taken"] == 5, (before, after)
        assert {**after, "taken": 0} == {**before, "taken": 0}
        assert set(own.starts().values()) == {1}
        env = {"PREFECT_API_URL": own.made.server.url}
        listed = skald("nodes", "--json", home=own.folder, env=env).json
        assert {node["name"]: node["linked"] for node in listed if node["pool"] == own.made.pool} == {
            "linked-1": True
        }
        assert KEY not in rest.log() + (own.made.folder / "node-linked-1.log").read_text()


def test_a_wrong_key_is_refused_and_the_node_works_without_a_link(own: Own) -> None:
    with own.bridge(KEY) as rest:
        env = {"SKALD_LINK": rest.url, "SKALD_API_KEY": "wrong"}
        with own.made.node("stranger", env=env):
            log = own.made.folder / "node-stranger.log"
            until(lambda: "set SKALD_API_KEY" in log.read_text(), PATIENCE, "the node says what is wrong")
            found = rest.reaches(own.create(rest, f"unlinked-{own.folder.name}"), *ENDED)
            assert found["lifecycleStatus"] == "Finished"
        assert metric(rest, "skald_links", status="online") == 0 and offers(rest) == {}
        assert log.read_text().count("set SKALD_API_KEY") == 1


def test_prefects_own_limits_hold(own: Own) -> None:
    pool = f"/work_pools/{own.made.pool}"
    with own.bridge() as rest, own.nodes(rest, "limited"):
        until(lambda: _taken(own, rest, 1), PATIENCE, "a task is taken by an offer")
        own.made.api("PATCH", f"{pool}/queues/default", {"concurrency_limit": 1})
        try:
            before = offers(rest)
            until(lambda: _held(own, rest, before), PATIENCE, "the queue's limit is known")
            gate = own.folder / "go"
            tasks = [own.create(rest, f"limited-{n}-{own.folder.name}", until=str(gate)) for n in range(3)]
            until(lambda: _running(rest, tasks), PATIENCE, "one of them runs")
            assert offers(rest)["taken"] == own.seen["taken"]
            assert _running(rest, tasks) == 1
            gate.touch()
            for task in tasks:
                assert rest.reaches(task, *ENDED)["lifecycleStatus"] == "Finished"
        finally:
            own.made.api("PATCH", f"{pool}/queues/default", {"concurrency_limit": None})
        assert set(own.starts().values()) == {1}


def test_a_bridge_that_is_killed_and_started_again_loses_nothing(own: Own) -> None:
    tasks = []
    with ExitStack() as stack:
        with own.bridge() as rest:
            stack.enter_context(own.nodes(rest, "kept-1", "kept-2"))
            until(lambda: _taken(own, rest, 1), PATIENCE, "a task is taken by an offer")
            gate = own.folder / "go"
            tasks += [own.create(rest, f"before-{n}-{own.folder.name}", until=str(gate)) for n in range(4)]
            rest.process.kill()
            rest.process.wait()
        with own.bridge() as rest:
            again = [own.create(rest, task, until=str(gate)) for task in tasks]
            assert again == tasks
            gate.touch()
            tasks += [own.create(rest, f"early-{n}-{own.folder.name}") for n in range(3)]
            until(lambda: metric(rest, "skald_links", status="online") == 2, PATIENCE, "linked again")
            tasks += [own.create(rest, f"after-{n}-{own.folder.name}") for n in range(3)]
            for task in tasks:
                assert rest.reaches(task, *ENDED)["lifecycleStatus"] == "Finished"
            until(lambda: _taken(own, rest, 1), PATIENCE, "offers are made again")
    assert set(own.starts().values()) == {1} and len(own.starts()) >= len(tasks)


def test_a_node_that_is_killed_right_after_an_offer_loses_nothing(own: Own) -> None:
    with own.bridge() as rest, own.nodes(rest, "doomed", "spare"):
        until(lambda: _taken(own, rest, 1), PATIENCE, "a task is taken by an offer")
        process = own.made.nodes["doomed"]
        # It has the offers in its socket, and will never read them.
        process.send_signal(signal.SIGSTOP)
        tasks = [own.create(rest, f"doomed-{n}-{own.folder.name}") for n in range(6)]
        process.kill()
        process.wait()
        for task in tasks:
            assert rest.reaches(task, *ENDED)["lifecycleStatus"] == "Finished"
        assert offers(rest)["lost"] >= 1
        until(lambda: metric(rest, "skald_links", status="online") == 1, PATIENCE, "its link is gone")
        assert set(own.starts().values()) == {1}


def _taken(own: Own, rest: Rest, count: int) -> bool:
    """Creates tasks until an offer was taken."""
    known = sum(own.starts().values())
    rest.reaches(own.create(rest, f"first-{known}-{own.folder.name}"), *ENDED)
    return offers(rest).get("taken", 0) >= count


def _held(own: Own, rest: Rest, before: dict[str, float]) -> bool:
    known = sum(own.starts().values())
    rest.reaches(own.create(rest, f"held-{known}-{own.folder.name}"), *ENDED)
    own.seen = offers(rest)
    return own.seen.get("held", 0) > before.get("held", 0)


def _running(rest: Rest, tasks: list[str]) -> int:
    return sum(rest.get(f"/api/tasks/{task}")["lifecycleStatus"] == "Running" for task in tasks)
