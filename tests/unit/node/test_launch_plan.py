from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from work_pools.node.processes.launch_plan import Codebase, plan

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
    assert made(tmp_path).codebase == Codebase(str(tmp_path))
    assert made(tmp_path, path="code").codebase == made(tmp_path, pull_steps=steps).codebase == Codebase(root)
    assert made(tmp_path, env={"B": "2", "A": "1"}).codebase == Codebase(
        str(tmp_path), (("A", "1"), ("B", "2"))
    )


@pytest.mark.parametrize(
    ("more", "reason"),
    [
        ({"entrypoint": None}, "its deployment has no entrypoint"),
        ({"stored": True}, "its code is in a storage block"),
        ({"path": "$STORAGE_BASE_PATH/x"}, "its code is under $STORAGE_BASE_PATH"),
        ({"path": "missing"}, "there is no folder "),
        ({"own_env": {"B": "1", "A": "2"}}, "it has environment variables of its own (A, B)"),
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
def test_anything_else_needs_an_ordinary_process(tmp_path: Path, more: dict[str, Any], reason: str) -> None:
    ordinary = made(tmp_path, **more)
    assert ordinary.codebase is None and reason in ordinary.reason
