"""A second node of the same name in the same pool."""

from __future__ import annotations

import json
import os
import signal

import pytest

from tests.integration.bad_input.conftest import Project
from tests.services.poll import until

pytestmark = pytest.mark.server


def test_it_does_not_start_and_the_first_goes_on(project: Project) -> None:
    with project.node("twin") as first:
        second = project.skald("node", "--pool", project.name, "--name", "twin")
        second.is_clear(4, "twin", project.name, str(first.pid), "--name")
        assert first.poll() is None
        done = json.loads(project.skald("submit", project.name, "--wait", "--json").out)
        assert done["state"]["type"] == "COMPLETED"
        assert project.node_of(done["id"]) == "twin"


def test_the_name_of_a_node_that_was_killed_is_free_at_once(project: Project) -> None:
    with project.node("twin") as first:
        os.kill(first.pid, signal.SIGKILL)
        first.wait(10)
        with project.node("twin") as second:
            done = json.loads(project.skald("submit", project.name, "--wait", "--json").out)
            assert project.node_of(done["id"]) == "twin"
            assert second.poll() is None


def test_the_name_is_free_in_another_pool(project: Project, tmp_path_factory: pytest.TempPathFactory) -> None:
    from tests.integration.bad_input.conftest import made_project

    other = made_project(project.server, tmp_path_factory.mktemp("other"))
    with project.node("twin") as first, other.node("twin") as second:
        until(lambda: first.poll() is None and second.poll() is None, 5, "both run")
