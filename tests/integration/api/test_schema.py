"""The OpenAPI document against the running API: whatever is asked, the answer is one that it describes."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.integration.api.test_tasks import create
from tests.services.rest import ENDED, Rest

pytestmark = [pytest.mark.server, pytest.mark.slow]
ENDLESS = ("/api/events/tasks", "/api/events/skalds", "/api/events/fleet")
EXAMPLES = 10
STAYS = "use_after_free"
"""Not to be asked for: DELETE cancels, and the task stays and says how it ended."""
CONFIG = """
# What attachments may hold is up to the task type, which the document cannot know.
[[operations]]
include-path-regex = "^/api/tasks/({task_id}/attachments)?$"
checks.positive_data_acceptance.expected-statuses = ["2xx", "404", "409", "422"]
"""


def test_schemathesis_finds_no_fault(rest: Rest, tmp_path: Path) -> None:
    rest.reaches(create(rest), *ENDED)
    config = tmp_path / "schemathesis.toml"
    config.write_text(CONFIG)
    program = [str(Path(sys.executable).with_name("schemathesis")), "--config-file", str(config)]
    command = [*program, "run", f"{rest.url}/api/openapi.json"]
    options = ["--checks", "all", "--max-examples", str(EXAMPLES), "--generation-deterministic", "--no-color"]
    options += ["--exclude-checks", STAYS]
    for path in ENDLESS:
        options += ["--exclude-path", path]
    done = subprocess.run(
        [*command, *options], cwd=tmp_path, capture_output=True, text=True, timeout=280, check=False
    )
    assert done.returncode == 0, done.stdout[-20_000:] + done.stderr[-3000:]
    paths = rest.get("/api/openapi.json")["paths"]
    operations = sum(len(methods) for path, methods in paths.items() if path not in ENDLESS)
    assert f"Tested: {operations}\n" in done.stdout, done.stdout[-3000:]
    assert rest.get("/api/system/health")["status"] == "healthy"


def test_every_route_is_in_the_document(rest: Rest) -> None:
    paths = rest.get("/api/openapi.json")["paths"]
    assert {(method.upper(), path) for path, methods in paths.items() for method in methods} == {
        ("GET", "/api/tasks/"),
        ("POST", "/api/tasks/"),
        ("GET", "/api/tasks/classnames"),
        ("GET", "/api/tasks/{task_id}"),
        ("DELETE", "/api/tasks/{task_id}"),
        ("GET", "/api/tasks/{task_id}/heartbeat"),
        ("GET", "/api/tasks/{task_id}/why"),
        ("PUT", "/api/tasks/{task_id}/status"),
        ("PUT", "/api/tasks/{task_id}/attachments"),
        ("POST", "/api/tasks/{task_id}/pause"),
        ("POST", "/api/tasks/{task_id}/resume"),
        ("POST", "/api/tasks/{task_id}/retry"),
        ("GET", "/api/queue/"),
        ("GET", "/api/skalds/"),
        ("GET", "/api/skalds/summary/statistics"),
        ("GET", "/api/skalds/{skald_id}"),
        ("GET", "/api/skalds/{skald_id}/tasks"),
        ("GET", "/api/skalds/{skald_id}/status"),
        ("GET", "/api/skalds/{skald_id}/heartbeat"),
        ("POST", "/api/skalds/{skald_id}/ping"),
        ("GET", "/api/cache/{name}.jpg"),
        ("GET", "/api/cache/{name}.json"),
        ("GET", "/api/system/health"),
        ("GET", "/api/system/status"),
        ("GET", "/api/system/metrics"),
        ("GET", "/api/system/dashboard/summary"),
        ("GET", "/api/events/fleet"),
        ("GET", "/api/events/skalds"),
        ("GET", "/api/events/tasks"),
        ("GET", "/api/events/status"),
        ("GET", "/metrics"),
    }


def test_every_answer_has_a_shape(rest: Rest) -> None:
    for path, methods in rest.get("/api/openapi.json")["paths"].items():
        for method, operation in methods.items():
            for status, answer in operation["responses"].items():
                kinds = answer.get("content", {})
                assert kinds, (method, path, status)
                for kind, content in kinds.items():
                    assert content["schema"], (method, path, status, kind)
                    if int(status) >= 400:
                        assert content["schema"]["$ref"].endswith("/Problem"), (method, path, status)
