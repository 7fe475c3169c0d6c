from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from skald_work_pools.node.processes.launch_plan import Codebase, plan

WORKING_DIRECTORY = "prefect.deployments.steps.set_working_directory"


def made(tmp_path: Path, **more: Any) -> Any:
    given = {
        "entrypoint": "flows/a.py:run",
        "path": None,
        "pull_steps": None,
        "stored": False,
        "env": {},
        "own_env": {},
        "cwd": str(tmp_path),
    }
    return plan(**{**given, **more})


def test_code_in_a_folder_is_forked(tmp_path: Path) -> None:
    (tmp_path / "code").mkdir()
    root = str(tmp_path / "code")
    steps = [{WORKING_DIRECTORY: {"directory": root}}]
    entry = "flows/a.py:run"
    assert made(tmp_path).codebase == Codebase(str(tmp_path), entry)
    assert (
        made(tmp_path, path="code").codebase
        == made(tmp_path, pull_steps=steps).codebase
        == Codebase(root, entry)
    )
    assert made(tmp_path, env={"B": "2", "A": "1"}).codebase == Codebase(
        str(tmp_path), entry, (("A", "1"), ("B", "2"))
    )
    assert made(tmp_path, start="late").codebase == Codebase(str(tmp_path), entry, start="late")


def test_a_folder_is_named_as_it_was_configured_so_that_a_link_may_be_turned(tmp_path: Path) -> None:
    (tmp_path / "release-1").mkdir()
    (tmp_path / "current").symlink_to("release-1")
    assert made(tmp_path, path="current").codebase.root == str(tmp_path / "current")


def test_what_only_one_run_has_in_its_environment_is_no_codebase_s(tmp_path: Path) -> None:
    own = made(tmp_path, env={"A": "1", "B": "2"}, own_env={"B": "3", "C": None})
    assert own.codebase == Codebase(str(tmp_path), "flows/a.py:run", (("A", "1"), ("B", "2")))
    assert own.env == {"A": "1", "B": "3", "C": None}
    assert own.own_env == {"B", "C"}


@pytest.mark.parametrize(
    ("more", "reason"),
    [
        ({"entrypoint": None}, "its deployment has no entrypoint"),
        ({"stored": True}, "its code is in a storage block"),
        ({"path": "$STORAGE_BASE_PATH/x"}, "its code is under $STORAGE_BASE_PATH"),
        ({"path": "missing"}, "there is no folder "),
        (
            {"pull_steps": [{"prefect.deployments.steps.git_clone": {}}]},
            "pulls its code with prefect.deployments.steps.git_clone",
        ),
        (
            {"pull_steps": [{WORKING_DIRECTORY: {"directory": "{{ clone.directory }}"}}]},
            "pulls its code with",
        ),
        ({"pull_steps": ["?"]}, "pulls its code with ?"),
    ],
)
def test_anything_else_is_fetched_for_each_run(tmp_path: Path, more: dict[str, Any], reason: str) -> None:
    ordinary = made(tmp_path, **more)
    assert ordinary.codebase is None and reason in ordinary.reason
