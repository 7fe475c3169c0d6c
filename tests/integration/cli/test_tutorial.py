"""docs/tutorial.md, done as it says: its files written, its commands run."""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from tests.services.leashed import leashed
from tests.services.poll import until
from tests.services.prefect_server import free_port
from tests.services.skald_cli import SKALD, skald_environment

pytestmark = [pytest.mark.server, pytest.mark.timeout(600)]

PAGE = (Path(__file__).parents[3] / "docs" / "tutorial.md").read_text()
BLOCK = re.compile(r'^```(\w+)(?: title="([^"]+)")?\n(.*?)^```$', re.MULTILINE | re.DOTALL)
INSTALLING = ("python3 -m venv", "pip install")
REFUSED = {"skald update TASK seconds=-1": 5}


class Reader:
    """Somebody who does what the page says, in a folder and a home of their own."""

    def __init__(self, folder: Path, home: Path) -> None:
        self.folder = folder
        own = {"SKALD_SERVER_PORT": str(free_port()), "PYTHONPATH": str(folder)}
        self.env = skald_environment(home, own)
        self.task = ""
        self.up: subprocess.Popen[bytes] | None = None
        self.log = home / "up.log"

    def does(self, command: str) -> None:
        if command == "skald up":
            with self.log.open("wb") as out:
                self.up = subprocess.Popen(
                    leashed([*SKALD, "up"]), env=self.env, cwd=self.folder, stdout=out, stderr=out
                )
            until(lambda: "export PREFECT_API_URL" in self.log.read_text(), 120, f"it is up: {self.log}")
            return
        words = shlex.split(command.replace("TASK", self.task[-8:]))
        program = SKALD if words[0] == "skald" else [sys.executable]
        done = subprocess.run(
            [*program, *words[1:]], env=self.env, cwd=self.folder, capture_output=True, text=True, timeout=180
        )
        assert done.returncode == REFUSED.get(command, 0), (command, done.stdout, done.stderr, self.tail())
        if words[:2] == ["skald", "submit"]:
            self.task = done.stdout.split()[-1]

    def tail(self) -> str:
        return self.log.read_text()[-3000:] if self.log.exists() else ""

    def leaves(self) -> None:
        if self.up is not None:
            self.up.terminate()
            self.up.wait(60)


def test_every_command_of_the_tutorial_does_what_it_says(tmp_path: Path) -> None:
    folder, home = tmp_path / "load", tmp_path / "home"
    folder.mkdir()
    home.mkdir()
    reader = Reader(folder, home)
    commands = []
    try:
        for kind, title, text in BLOCK.findall(PAGE):
            if title:
                (folder / title).write_text(text)
            elif kind == "console":
                for line in text.splitlines():
                    command = line.removeprefix("$ ")
                    if not command.startswith(INSTALLING):
                        commands.append(command)
                        reader.does(command)
    finally:
        reader.leaves()
    assert {"skald up", "skald deploy .", "python -m pytest -q"} <= set(commands)
    assert len(reader.task) == 36
