"""single_process: one entry in one process tree, no server; the exit code is the result."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.integration.authoring.test_real_skalds import skalds_path
from tests.services.poll import until

PROJECT = Path(__file__).parent / "project"
MAIN = [sys.executable, str(PROJECT / "main.py")]
SKALD = [sys.executable, "-m", "skald_bridge.cli"]


class Listener:
    """Where a Prefect server, Kafka or Redis would be; nobody may come."""

    def __init__(self) -> None:
        self.socket = socket.socket()
        self.socket.bind(("127.0.0.1", 0))
        self.socket.listen()
        self.socket.settimeout(0)
        self.port = self.socket.getsockname()[1]

    def visited(self) -> bool:
        try:
            self.socket.accept()
        except BlockingIOError:
            return False
        return True


@pytest.fixture
def listener() -> Iterator[Listener]:
    made = Listener()
    yield made
    made.socket.close()


@pytest.fixture
def env(tmp_path: Path, listener: Listener) -> dict[str, str]:
    """The documents' variables, nothing else; a Prefect server is configured and must not be used."""
    return {
        "PATH": os.environ["PATH"],
        "HOME": str(tmp_path / "home"),
        "PYTHONPATH": os.pathsep.join([str(Path(__file__).parents[3]), *sys.path[1:2]]),
        "PREFECT_API_URL": f"http://127.0.0.1:{listener.port}/api",
        "SKALD_MODE": "single_process",
        "SKALD_ID": "worker-sp-task-alpha",
        "YAML_FILE": str(PROJECT / "all_workers.yml"),
        "LOG_LEVEL": "INFO",
        "KAFKA_HOST": "",
        "REDIS_HOST": "",
        "MONGO_HOST": "mongodb://username:password@mongo:27017/",
        "STAMPS": str(tmp_path / "stamps"),
    }


def lines(env: dict[str, str]) -> list[list[str]]:
    path = Path(env["STAMPS"])
    return [line.split() for line in path.read_text().splitlines()] if path.exists() else []


def end(env: dict[str, str], how: str = "well") -> None:
    Path(env["STAMPS"]).with_suffix(".end").write_text(how)


def run(
    command: list[str], env: dict[str, str], cwd: Path, seconds: float = 90
) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command, env=env, cwd=cwd, capture_output=True, text=True, timeout=seconds)


@contextmanager
def started(command: list[str], env: dict[str, str], cwd: Path) -> Iterator[subprocess.Popen[bytes]]:
    process = subprocess.Popen(command, env=env, cwd=cwd, stdin=subprocess.DEVNULL)
    try:
        yield process
    finally:
        process.kill()
        process.wait(10)


def test_the_first_entry_runs_by_the_documents_variables_alone(
    env: dict[str, str], tmp_path: Path, listener: Listener
) -> None:
    end(env)
    done = run(MAIN, env, tmp_path)
    assert done.returncode == 0, done.stderr
    assert [line[:2] for line in lines(env)] == [
        ["TaskWorker1", "before"],
        ["TaskWorker1", "main"],
        ["TaskWorker1", "release"],
        ["after-run"],
    ]
    assert not listener.visited()


def test_a_failure_is_the_exit_code(env: dict[str, str], tmp_path: Path) -> None:
    end(env, "fail")
    done = run(MAIN, env, tmp_path)
    assert done.returncode == 1
    assert "lens cap on" in done.stderr
    assert ["TaskWorker1", "release", "0"] in lines(env) and ["after-run"] not in lines(env)


def test_sigterm_calls_the_release_handler(env: dict[str, str], tmp_path: Path, listener: Listener) -> None:
    with started(MAIN, env, tmp_path) as process:
        until(lambda: any(line[1:2] == ["main"] for line in lines(env)), 120, "main")
        process.terminate()
        assert process.wait(30) == 143
    assert lines(env)[-1] == ["TaskWorker1", "release", "2"]
    assert int(lines(env)[0][3]) == process.pid
    assert not listener.visited()


def test_the_command_takes_the_classes_from_an_import(env: dict[str, str], tmp_path: Path) -> None:
    end(env)
    command = [*SKALD, "run", str(PROJECT / "all_workers.yml"), "--mode", "single_process"]
    del env["SKALD_MODE"], env["YAML_FILE"]
    done = run([*command, "--import", str(PROJECT / "main.py")], env, tmp_path)
    assert done.returncode == 0, done.stderr
    assert [line[1] for line in lines(env)] == ["before", "main", "release"]


def test_the_command_does_with_variables_alone(env: dict[str, str], tmp_path: Path) -> None:
    end(env, "fail")
    done = run([*SKALD, "run"], {**env, "SKALD_IMPORT": str(PROJECT / "main.py")}, tmp_path)
    assert done.returncode == 1, done.stderr
    assert [line[1] for line in lines(env)] == ["before", "main", "release"]


FLOW = """
from prefect import flow, get_run_logger, task
from prefect.artifacts import create_markdown_artifact
from prefect.concurrency.sync import concurrency
from prefect.variables import Variable
from skald_bridge.authoring import Attachments, live, progress, task_type

class Count(Attachments):
    up_to: int = 3
    fails: int = 0

tried = []

@task(retries=1, tags=["gpu"])
def square(number: int) -> int:
    if number == 2 and not tried:
        tried.append(number)
        raise ValueError("once")
    return number * number

@flow
def total(numbers: list[int]) -> int:
    return sum(numbers)

attempts = []

@task_type(name="count", retries=1, retry_delay_seconds=0)
def count(attachments: Count) -> int:
    attempts.append(1)
    get_run_logger().info("attempt %d", len(attempts))
    create_markdown_artifact("# counting", key="counting")
    with live(attachments) as settings, concurrency("nobody-limits-this", occupy=1):
        squares = [square(number) for number in range(settings.value.up_to)]
        more = square.submit(3).result()
    progress(1, 2, "squares")
    assert Variable.get("unset", default=7) == 7
    if len(attempts) <= attachments.fails:
        raise ValueError("too few attempts")
    print("TOTAL", total([*squares, more]), "ATTEMPTS", len(attempts), flush=True)
    return 0
"""


@pytest.mark.parametrize(("fails", "said"), [(0, "TOTAL 14 ATTEMPTS 1"), (1, "TOTAL 14 ATTEMPTS 2")])
def test_a_task_type_has_its_subtasks_retries_and_artifacts(
    env: dict[str, str], tmp_path: Path, listener: Listener, fails: int, said: str
) -> None:
    (tmp_path / "counting.py").write_text(FLOW)
    (tmp_path / "f.yml").write_text(
        f"TaskWorkers: {{a: {{className: count, attachments: {{up_to: 3, fails: {fails}}}}}}}"
    )
    done = run([*SKALD, "run", "f.yml", "--import", "counting.py"], env, tmp_path)
    assert done.returncode == 0, done.stderr
    assert said in done.stdout
    assert "failed to process" not in done.stderr
    assert not listener.visited()


def test_retries_that_are_used_up_fail_the_process(env: dict[str, str], tmp_path: Path) -> None:
    (tmp_path / "counting.py").write_text(FLOW)
    (tmp_path / "f.yml").write_text("TaskWorkers: {a: {className: count, attachments: {fails: 2}}}")
    done = run([*SKALD, "run", "f.yml", "--import", "counting.py"], env, tmp_path)
    assert done.returncode == 1
    assert "too few attempts" in done.stderr


@pytest.mark.parametrize(
    ("text", "code", "said"),
    [
        ("TaskWorkers: {a: {className: Nobody}}", 2, "entry a, className: there is no task type Nobody"),
        (
            "TaskWorkers: {a: {className: MyWorker}}",
            2,
            "rtspUrl: required, but not given; fixFrame:",
        ),
        (
            "TaskWorkers: {a: {className: MyWorker, attachments: {rtspUrl: x, fixFrame: many}}}",
            2,
            "entry a, attachments of MyWorker: fixFrame: Input should be a valid integer",
        ),
        ("TaskWorkers: []", 2, "TaskWorkers is missing or has no entries"),
    ],
)
def test_bad_input_is_one_message_and_nothing_starts(
    env: dict[str, str], tmp_path: Path, text: str, code: int, said: str
) -> None:
    (tmp_path / "f.yml").write_text(text)
    for command in (
        [*SKALD, "run", "f.yml", "--import", str(PROJECT / "main.py")],
        MAIN,
    ):
        done = run(command, {**env, "YAML_FILE": "f.yml"}, tmp_path)
        assert done.returncode == code, done.stderr
        assert said in done.stderr.replace("\n", " ")
        assert "Traceback" not in done.stderr
    assert lines(env) == []


def test_a_wrong_mode_variable_is_named(env: dict[str, str], tmp_path: Path) -> None:
    done = run([*SKALD, "run"], {**env, "SKALD_MODE": "edgy"}, tmp_path)
    assert done.returncode == 2
    assert "SKALD_MODE" in done.stderr


def test_classes_on_the_real_skalds_base_run_unchanged(env: dict[str, str], tmp_path: Path) -> None:
    workers = (Path(__file__).parents[1] / "authoring" / "project" / "workers.py").read_text()
    (tmp_path / "workers.py").write_text(workers)
    (tmp_path / "f.yml").write_text(
        f"TaskWorkers: {{a: {{className: Stamper, attachments: {{outFile: {env['STAMPS']}}}}}}}"
    )
    path = os.pathsep.join([env["PYTHONPATH"], str(skalds_path())])
    env = {**env, "PYTHONPATH": path, "YAML_FILE": "f.yml", "SKALD_IMPORT": "workers.py"}
    done = run([*SKALD, "run"], env, tmp_path)
    assert done.returncode == 0, done.stderr
    assert [line[0] for line in lines(env)] == ["initialize", "before", "main", "after", "release"]
    assert ["main", "a"] in lines(env)
