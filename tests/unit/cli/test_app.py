"""The command list, its help, its cost, and how errors look."""

from __future__ import annotations

import importlib
import inspect
import resource
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest

from skald_bridge.cli.app import COMMANDS
from skald_bridge.cli.lazy import LazyCommand
from tests.services.skald_cli import SKALD, Answer, skald_environment
from tests.services.skald_cli import skald as run_skald

NAMES = [
    "up",
    "demo",
    "doctor",
    "submit",
    "tasks",
    "task",
    "logs",
    "why",
    "queue",
    "events",
    "rejected",
    "cancel",
    "pause",
    "resume",
    "retry",
    "update",
    "types",
    "nodes",
    "node",
    "pool",
    "bridge",
    "run",
    "deploy",
    "k8s",
    "init",
    "version",
]


def skald(home: Path, *arguments: str, env: Mapping[str, str] | None = None) -> Answer:
    return run_skald(*arguments, home=home, env=env, cwd=home)


def test_help_lists_every_command_and_the_exit_codes(tmp_path: Path) -> None:
    said = skald(tmp_path, "--help", env={"COLUMNS": "200"})
    assert said.code == 0
    rows = [line.strip("│ ").split() for line in said.out.splitlines() if line.startswith("│ ")]
    listed = [words[0] for words in rows if words and words[0] in COMMANDS]
    assert listed == list(COMMANDS) == NAMES
    assert "0 done, 1 failed, 2 bad input, 3 not found, 4 a service does not answer, 5 refused" in said.out


def test_help_is_cheap_and_imports_no_prefect(tmp_path: Path) -> None:
    code = (
        "import sys\nsys.argv = ['skald', '--help']\nfrom skald_bridge.cli.app import main\n"
        "try:\n    main()\nexcept SystemExit:\n    pass\n"
        "assert not {'prefect', 'httpx', 'yaml'} & set(sys.modules)"
    )
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    done = subprocess.run(
        [sys.executable, "-c", code], env=skald_environment(tmp_path), capture_output=True, text=True
    )
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    assert done.returncode == 0, done.stderr
    assert (after.ru_utime + after.ru_stime) - (before.ru_utime + before.ru_stime) < 0.5


@pytest.mark.parametrize("name", [name for name in NAMES if name not in ("demo", "k8s")])
def test_a_commands_summary_is_its_docstrings_first_line(name: str) -> None:
    target, summary = COMMANDS[name]
    module, _, function = target.partition(":")
    documented = inspect.getdoc(getattr(importlib.import_module(module), function))
    assert documented is not None
    assert documented.splitlines()[0] == summary
    command = LazyCommand(name, module, function, summary).load()
    assert command.name == name


def test_an_unknown_command_or_option_is_bad_input(tmp_path: Path) -> None:
    said = skald(tmp_path, "taks")
    assert said.code == 2
    assert "Did you mean 'task" in said.err
    assert skald(tmp_path, "version", "--no-such").code == 2


def test_an_error_is_one_sentence_and_a_remedy_without_a_traceback(tmp_path: Path) -> None:
    said = skald(tmp_path, "tasks")
    assert said.code == 4
    assert said.out == ""
    assert said.err.splitlines() == [
        f"Error: No Prefect API is configured, and no `skald up` runs for {tmp_path}.",
        "  Remedy: Start everything with `skald up`, or set PREFECT_API_URL to a running Prefect server.",
    ]
    traced = skald(tmp_path, "--debug", "tasks")
    assert "Traceback" in traced.err


@pytest.mark.parametrize(
    ("arguments", "env", "code", "says"),
    [
        (["tasks"], {"PREFECT_API_URL": "http://127.0.0.1:1/api"}, 4, "does not answer"),
        (["tasks"], {"KAFKA_PORT": "x"}, 2, "kafka_port (from the environment, KAFKA_PORT)"),
        (["tasks", "--state", "Sleeping"], {}, 2, "there is no state 'Sleeping'"),
        (["--config", "none.yaml", "tasks"], {}, 3, "no configuration file none.yaml"),
        (["update", "x", "fps"], {}, 2, "'fps' is not key=value"),
        (["update", "x"], {}, 2, "No change is given"),
        (["submit", "X", "--file", "none.json"], {}, 3, "no file none.json"),
        (["events"], {}, 3, "journal"),
        (["init", "skald.json"], {}, 2, "cannot be a .json file"),
    ],
)
def test_exit_codes(tmp_path: Path, arguments: list[str], env: dict[str, str], code: int, says: str) -> None:
    said = skald(tmp_path, *arguments, env=env)
    assert (said.code, says in said.err) == (code, True), said.err


def test_init_writes_a_file_that_works_and_does_not_overwrite(tmp_path: Path) -> None:
    assert skald(tmp_path, "init").code == 0
    again = skald(tmp_path, "init")
    assert again.code == 2
    assert "is there already" in again.err
    assert skald(tmp_path, "init", "--force").code == 0
    used = skald(tmp_path, "--config", "skald.yaml", "tasks")
    assert used.code == 4


def test_version_names_three(tmp_path: Path) -> None:
    assert set(skald(tmp_path, "version", "--json").json) == {"skald", "prefect", "python"}


def test_the_option_prints_what_the_command_prints(tmp_path: Path) -> None:
    said = skald(tmp_path, "--version")
    assert said.code == 0
    assert said.out == skald(tmp_path, "version").out != ""


def test_module_and_script_are_the_same() -> None:
    assert SKALD[-1] == "skald_bridge.cli"
    assert importlib.util.find_spec("skald_bridge.cli.__main__") is not None
