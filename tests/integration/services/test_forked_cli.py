"""What fixtures deploy with a forked command line is what a user deploys."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest

from tests.services.fleet import PROJECT
from tests.services.forked_cli import forked_prefect
from tests.services.http import request
from tests.services.prefect_cli import prefect
from tests.services.prefect_server import PrefectServer

pytestmark = pytest.mark.server
ITS_OWN = {"id", "created", "updated", "name", "work_pool_name", "work_queue_id", "last_polled", "slug"}
SCHEDULES_OWN = {"id", "created", "updated", "deployment_id"}
POOLS_OWN = {"id", "created", "updated", "name", "default_queue_id"}


def read(server: PrefectServer, path: str) -> dict[str, Any]:
    answer = request("GET", f"{server.url}{path}", timeout=60)
    assert answer.is_success, answer.text
    found: dict[str, Any] = answer.json()
    return found


def without(found: dict[str, Any], names: set[str]) -> dict[str, Any]:
    kept = {key: value for key, value in found.items() if key not in names}
    if "schedules" in kept:
        kept["schedules"] = [without(each, SCHEDULES_OWN) for each in kept["schedules"]]
    return kept


def deployed(
    server: PrefectServer, folder: Path, command: Callable[..., str]
) -> tuple[dict[str, Any], dict[str, Any], dict[str, Any]]:
    """The pool, its queue and the deployment, without what is each one's own."""
    name = f"alike-{uuid4().hex[:8]}"
    entry = {
        "name": name,
        "entrypoint": "jobs.py:wait",
        "version": "7",
        "tags": ["a"],
        "schedules": [{"cron": "0 4 * * *", "active": False}],
        "work_pool": {"name": name, "work_queue_name": "urgent", "job_variables": {"env": {"A": "b"}}},
    }
    pull = [{"prefect.deployments.steps.set_working_directory": {"directory": str(folder)}}]
    (folder / "prefect.yaml").write_text(json.dumps({"pull": pull, "deployments": [entry]}))
    command(server, "work-pool", "create", name, "--type", "skald", cwd=folder)
    command(server, "work-queue", "create", "urgent", "--pool", name, cwd=folder)
    command(server, "deploy", "--all", cwd=folder)
    pool = read(server, f"/work_pools/{name}")
    queue = read(server, f"/work_pools/{name}/queues/urgent")
    deployment = read(server, f"/deployments/name/wait/{name}")
    assert deployment["work_pool_name"] == name and deployment["work_queue_id"] == queue["id"]
    return (
        without(pool, POOLS_OWN),
        without(queue, ITS_OWN | {"work_pool_id"}),
        without(deployment, ITS_OWN),
    )


def test_a_forked_command_makes_what_prefects_own_makes(server: PrefectServer, tmp_path: Path) -> None:
    shutil.copy(PROJECT / "jobs.py", tmp_path / "jobs.py")
    real = deployed(server, tmp_path, prefect)
    assert deployed(server, tmp_path, forked_prefect) == real
    assert real[2]["parameter_openapi_schema"]["properties"] and len(real[2]["schedules"]) == 1


def test_a_forked_command_that_fails_says_why(server: PrefectServer, tmp_path: Path) -> None:
    with pytest.raises(AssertionError, match=r"work-pool inspect .*: 1: .*not found"):
        forked_prefect(server, "work-pool", "inspect", f"none-{uuid4().hex}", cwd=tmp_path)
    assert "none" not in forked_prefect(server, "version", cwd=tmp_path)
