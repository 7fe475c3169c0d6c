"""The small parts of a node."""

from __future__ import annotations

import asyncio
import logging
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import httpx
import pytest

from skald_work_pools import retrying
from skald_work_pools.job import SkaldJobConfiguration, SkaldVariables
from skald_work_pools.needs import Needs
from skald_work_pools.node.forked.loading import Loaded
from skald_work_pools.node.forked.shared_flags import SharedFlags
from skald_work_pools.node.lock import NameTaken, NodeLock
from skald_work_pools.node.processes import oom
from skald_work_pools.node.processes.output import LONGEST, LineCutter, PipeReader
from skald_work_pools.node.runs.refusal_log import BRIEF, RefusalLog
from skald_work_pools.node.server import run_logs
from skald_work_pools.node.server.run_logs import RunLogs
from skald_work_pools.node.settings import NodeSettings
from skald_work_pools.retrying import insist, unanswered
from skald_work_pools.task_type import TaskType


def test_a_refusal_is_told_once_per_reason_and_a_busy_node_not_at_once() -> None:
    refusals = RefusalLog()
    assert refusals.worth_telling("a", "needs 9 gpus", True, now=0)
    assert not refusals.worth_telling("a", "needs 9 gpus", True, now=100)
    assert refusals.worth_telling("a", "needs 8 gpus", True, now=101)
    assert not refusals.worth_telling("b", "1 free", False, now=0)
    assert refusals.worth_telling("b", "1 free", False, now=BRIEF)
    refusals.forget("a")
    assert refusals.worth_telling("a", "needs 8 gpus", True, now=102)


def test_a_page_is_seen_by_both_sides() -> None:
    node = SharedFlags.create()
    child = SharedFlags(os.dup(node.fd))
    assert child.intent is None and not child.policy_stored and not child.suspended
    node.intent, node.policy_stored, node.suspended = "cancel", True, True
    assert child.intent == "cancel" and child.policy_stored and child.suspended
    child.suspended = False
    assert not node.suspended
    node.intent = "reschedule"
    assert child.intent == "reschedule"
    child.close()
    node.close()


def test_a_name_is_one_nodes(tmp_path: Path) -> None:
    with NodeLock(tmp_path, "gpu", "a/b"):
        with (
            pytest.raises(NameTaken, match=rf"process {os.getpid()}.*another --name"),
            NodeLock(tmp_path, "gpu", "a/b"),
        ):
            pass
        with NodeLock(tmp_path, "cpu", "a/b"), NodeLock(tmp_path, "gpu", "a_b"):
            pass
    with NodeLock(tmp_path, "gpu", "a/b"):
        pass


def test_a_lock_knows_which_lives_before_it_have_ended(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with NodeLock(tmp_path, "gpu", "a") as lock:
        assert not lock.lives
        lock.claiming("one")
        lock.claimed("one")
    with NodeLock(tmp_path, "gpu", "a") as lock:
        assert lock.dead == {"one"}
        lock.claiming("two")
    with NodeLock(tmp_path, "gpu", "a") as lock:
        assert lock.dead == {"one", "two"}, "which of them has the name is not known"
        lock.claiming("three")
        lock.refused()
    monkeypatch.setattr("skald_work_pools.node.lock.boot_id", lambda: "another kernel")
    with NodeLock(tmp_path, "gpu", "a") as lock:
        assert set(lock.lives) == {"one", "two"} and not lock.dead
        lock.claimed("four")
    with NodeLock(tmp_path, "gpu", "a") as lock:
        assert lock.dead == {"four"} == set(lock.lives)
    (path,) = (tmp_path / "run").iterdir()
    path.write_text("no JSON")
    with NodeLock(tmp_path, "gpu", "a") as lock:
        assert not lock.lives


def test_settings_name_a_bad_variable() -> None:
    given = NodeSettings.from_environment(
        {"SKALD_TAGS": " a, ,b ", "SKALD_GRACE": "1.5", "SKALD_SPARES": "0"}
    )
    assert (given.tags, given.grace, given.spares) == (frozenset({"a", "b"}), 1.5, 0)
    for value in ("soon", "-1", "nan"):
        with pytest.raises(ValueError, match=r"SKALD_CANCEL_GRACE is .*; set it to a number"):
            NodeSettings.from_environment({"SKALD_CANCEL_GRACE": value})


def test_what_a_zygote_loaded_survives_the_wire() -> None:
    loaded = Loaded(name="a", retries=2, retry_delay=1.5, hooks=("crashed",))
    typed = Loaded(
        name="b", task_type=TaskType("b", Needs(gpus=1, tags=frozenset({"x"})), "attachments", True)
    )
    for each in (loaded, typed):
        assert Loaded.from_dict(each.to_dict()) == each


def test_kills_for_memory_are_counted_in_cgroups_of_both_versions(tmp_path: Path) -> None:
    (tmp_path / "proc/self").mkdir(parents=True)
    (tmp_path / "proc/vmstat").write_text("pgfault 9\noom_kill 2\n")
    (tmp_path / "proc/self/cgroup").write_text("0::/a/b\n5:cpu,memory:/c\n")
    for path, text in (
        ("a/b/memory.events", "oom 3\noom_kill 4\n"),
        ("memory/c/memory.oom_control", "oom_kill 8\n"),
    ):
        file = tmp_path / "sys/fs/cgroup" / path
        file.parent.mkdir(parents=True)
        file.write_text(text)
    assert oom.kills(tmp_path) == 14
    assert oom.kills(tmp_path / "none") == 0


async def test_output_is_lines_bounded_and_whole() -> None:
    read, write = os.pipe()
    output, found = PipeReader(read), []
    output.listen(lambda lines: found.extend(lines))
    os.write(write, b"one\ntw")
    os.write(write, b"o\n10%\r20%\r\n" + b"x" * (LONGEST + 5) + b"\n\xff\nlast")
    os.close(write)
    while len(found) < 5:
        await asyncio.sleep(0.01)
    output.drain()
    output.close()
    assert found[:3] == ["one", "two", "20%"]
    assert found[3] == "x" * LONGEST + " … [cut]"
    assert found[4:] == ["\ufffd", "last"]


async def test_logs_wait_for_the_server_in_order(monkeypatch: pytest.MonkeyPatch) -> None:
    sent: list[dict[str, Any]] = []
    answers = iter([False, True, True])

    async def send(records: list[dict[str, Any]]) -> None:
        if not next(answers):
            raise httpx.ConnectError("away")
        sent.extend(records)

    monkeypatch.setattr(run_logs, "BATCH", 2)
    logs = RunLogs(send)
    logs.say("r", "first")
    logs.output("r", "stdout", ["second", "", "third"])
    await logs.flush()
    assert [record["message"] for record in sent] == ["first", "second", "third"]
    assert [record["name"] for record in sent] == ["skald.node", "stdout", "stdout"]


async def test_logs_drop_the_oldest_and_say_so(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(run_logs, "KEPT", 3)
    sent: list[str] = []

    async def send(records: list[dict[str, Any]]) -> None:
        sent.extend(record["message"] for record in records)

    logs = RunLogs(send)
    logs.output("r", "stdout", ["1", "2", "3", "4", "5"])
    with caplog.at_level(logging.WARNING, "skald.node.logs"):
        await logs.flush()
    assert sent == ["3", "4", "5"]
    assert "2 log records were dropped" in caplog.text


async def test_a_request_is_repeated_until_the_server_answers(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(retrying, "pauses", lambda: iter([0.0] * 10))
    request = httpx.Request("GET", "http://x")
    errors: list[Exception] = [
        httpx.ConnectError("away"),
        httpx.HTTPStatusError("busy", request=request, response=httpx.Response(503)),
    ]

    async def call() -> str:
        if errors:
            raise errors.pop()
        return "done"

    assert await insist(call, "it") == "done"
    refusal = httpx.HTTPStatusError("no", request=request, response=httpx.Response(409))
    errors.append(refusal)
    assert not unanswered(refusal)
    with pytest.raises(httpx.HTTPStatusError):
        await insist(call, "it")


def test_job_variables_are_typed_and_have_no_defaults_that_would_override_a_declaration() -> None:
    properties = SkaldVariables.model_json_schema()["properties"]
    assert set(properties) == {*Needs.model_fields, "env", "start"}
    assert all(each.get("description") and each.get("title") for each in properties.values())
    assert not any("default" in each for each in properties.values())
    declared = Needs(cpus=2, gpus=1)
    assert SkaldJobConfiguration().needs(declared) == declared
    assert SkaldJobConfiguration(gpus=0, memory="1GiB").needs(declared) == Needs(cpus=2, memory=2**30)


async def test_logs_that_the_server_refuses_do_not_hold_up_the_others(
    caplog: pytest.LogCaptureFixture,
) -> None:
    sent: list[str] = []
    refusal = httpx.HTTPStatusError(
        "422", request=httpx.Request("POST", "http://x"), response=httpx.Response(422)
    )

    async def send(records: list[dict[str, Any]]) -> None:
        if any(record["message"] == "bad" for record in records):
            raise refusal
        sent.extend(record["message"] for record in records)

    logs = RunLogs(send)
    logs.say("r", "bad")
    await logs.flush()
    logs.output("r", "stdout", ["a\0b \ud800"])
    await logs.flush()
    assert sent == ["a\\0b ?"]
    assert "1 log records were refused" in caplog.text


def test_lines_are_the_same_however_they_arrive() -> None:
    text = b"one\n10%\r20%\r\n" + b"x" * 3 * LONGEST + b"\ntwo\r\n a\rb"
    whole = LineCutter()
    assert whole.feed(text) == ["one", "20%", "x" * LONGEST + " … [cut]", "two"]
    assert whole.rest() == ["b"]
    piecewise = LineCutter()
    found = [line for place in range(len(text)) for line in piecewise.feed(text[place : place + 1])]
    assert found == ["one", "20%", "x" * LONGEST + " … [cut]", "two"]
    assert piecewise.rest() == ["b"]


def test_a_line_without_end_takes_no_more_memory_than_its_head() -> None:
    lines = LineCutter()
    for _ in range(100):
        assert lines.feed(b"y" * 65536) == []
    assert lines.rest() == ["y" * LONGEST + " … [cut]"]


async def test_a_task_that_logs_faster_than_the_server_takes_it_is_held_up_and_nothing_is_lost(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(run_logs, "CROWDED", 6)
    monkeypatch.setattr(run_logs, "ROOMY", 3)
    monkeypatch.setattr(run_logs, "BATCH", 2)
    answers: list[bool] = []
    sent: list[str] = []

    async def send(records: Sequence[dict[str, Any]]) -> None:
        if answers and not answers.pop(0):
            raise httpx.ConnectError("away")
        sent.extend(each["message"] for each in records)

    logs = RunLogs(send)
    resumed: list[int] = []
    for number in range(5):
        logs.say("r", str(number))
    assert not logs.hold(lambda: resumed.append(len(sent)))
    logs.say("r", "5")
    assert logs.hold(lambda: resumed.append(len(sent)))
    await logs.flush()
    assert resumed == [4] and sent == [str(number) for number in range(6)]

    for number in range(6):
        logs.say("r", str(number))
    assert logs.hold(lambda: resumed.append(-1))
    answers[:] = [False]
    await logs.flush(tries=1)
    assert resumed[-1] == -1, "a server that is away holds nobody up"
    assert not logs.hold(lambda: None)
