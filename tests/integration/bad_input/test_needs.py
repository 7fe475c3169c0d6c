"""Needs that no node of the fleet can meet."""

from __future__ import annotations

import json

import pytest

from tests.conftest import required
from tests.integration.bad_input.conftest import Project
from tests.services import nvml_stub
from tests.services.poll import until

pytestmark = pytest.mark.server


def test_nine_gpus_on_a_node_with_two_wait_and_why_says_so(nine_gpu_project: Project) -> None:
    project = nine_gpu_project
    if not nvml_stub.available():
        required("gcc, to build the stub NVML")
    stub = nvml_stub.NvmlStub(project.folder)
    with project.node("gpu-node", stub.env):
        task = json.loads(project.skald("submit", project.name, "--json", "--queue-anyway").out)["id"]

        def said() -> bool:
            told = json.loads(project.skald("why", task, "--json").out)
            return any("node gpu-node: needs 9 gpus, has 2" in one["message"] for one in told["nodeLog"])

        until(said, 60, "the node's refusal")
        told = project.skald("why", task)
        assert told.code == 0, told
        assert "needs 9 gpus, has 2" in told.out, told
        assert project.run(task)["state_type"] == "SCHEDULED"
        log = json.loads(project.skald("why", task, "--json").out)["nodeLog"]
        assert len([one for one in log if "needs 9 gpus" in one["message"]]) == 1, log

        after = json.loads(project.skald("submit", project.name, "--json", "--queue-anyway").out)["id"]
        project.skald("cancel", task)
        project.in_state(task, "CANCELLED")
        assert project.run(after)["state_type"] == "SCHEDULED"


def test_needs_that_are_no_size_wait_with_the_field_named_and_the_node_goes_on(project: Project) -> None:
    with project.node("node-1"):
        run = project.create_unchecked({"attachments": {}}, {"memory": "lots"})
        until(lambda: "'lots' is not a size" in project.skald("why", run).out, 60, "the node's refusal")
        assert "memory" in project.skald("why", run).out
        good = project.create_unchecked({"attachments": {}})
        project.in_state(good, "COMPLETED")
        assert project.run(run)["state_type"] == "SCHEDULED"
