"""Errors as people read them: cause, and remedy."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from skald_bridge.cli.problems import problem_of
from skald_bridge.domain.errors import InvalidInput
from skald_bridge.domain.names import check_resource_name
from tests.services.skald_cli import SKALD, skald, skald_environment


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["taks"], "Did you mean"),
        (["version", "--no-such"], "No such option: --no-such"),
        (["task"], "Missing argument"),
        (["tasks", "--limit", "0"], "--limit"),
        (["tasks", "--limit", "many"], "integer"),
        (["events", "--after", str(10**30)], "--after"),
        (["pool", "a/b"], "'a/b' has the character / in it"),
        (["pool", ""], "the name is empty"),
        (["pool", "a?b"], "the character ?"),
        (["node", "--name", "x\ny"], "the character U+000A"),
        (["node", "--pool", ".."], "'..' is no name"),
        (["logs", "x", "--follow", "--limit", "3"], "--limit is of the past"),
    ],
)
def test_wrong_input_has_a_cause_and_a_remedy(tmp_path: Path, arguments: list[str], says: str) -> None:
    skald(*arguments, home=tmp_path).is_clear(2, says)


def test_a_remedy_names_the_command(tmp_path: Path) -> None:
    assert "`skald tasks --help`" in skald("tasks", "--limit", "0", home=tmp_path).err
    assert "`skald --help`" in skald("taks", home=tmp_path).err


def test_the_first_error_of_a_chain_is_named() -> None:
    try:
        try:
            raise OSError(28, "No space left on device")
        except OSError as error:
            raise RuntimeError("exited with code 1") from error
    except RuntimeError as error:
        assert "No space left on device" in problem_of(error).message
        assert problem_of(ExceptionGroup("several", [error])).message == problem_of(error).message


def test_text_that_is_no_text() -> None:
    with pytest.raises(UnicodeEncodeError) as raised:
        "a\udcff".encode()
    problem = problem_of(raised.value)
    assert isinstance(problem, InvalidInput) and "is no text in UTF-8" in problem.message
    with pytest.raises(UnicodeEncodeError) as raised:
        "ä".encode("ascii")
    assert problem_of(raised.value).remedy == "Set PYTHONUTF8=1."


def test_names_that_are_taken() -> None:
    for name in ("cpu", "a b", "gpu-1.lan", "größer_2"):
        assert check_resource_name("pool", name) == name
    with pytest.raises(InvalidInput, match="201 characters"):
        check_resource_name("pool", "a" * 201)


@pytest.mark.parametrize("arguments", [["--help"], ["version"], ["tasks", "--help"], ["--version"]])
def test_a_reader_that_is_gone_is_no_error(tmp_path: Path, arguments: list[str]) -> None:
    process = subprocess.Popen(
        [*SKALD, *arguments],
        env=skald_environment(tmp_path, {"COLUMNS": "60"}),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None and process.stderr is not None
    process.stdout.close()
    assert process.wait(60) == 0
    assert process.stderr.read() == ""
    process.stderr.close()


def test_a_full_device_is_named(tmp_path: Path) -> None:
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(
            [*SKALD, "version"],
            env=skald_environment(tmp_path),
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            timeout=60,
            check=False,
        )
    assert done.returncode == 1
    assert "No space left on device" in done.stderr and "Traceback" not in done.stderr
