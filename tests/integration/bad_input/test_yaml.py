"""A Skalds YAML file that is wrong: nothing is started, and the entry and field are named."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import httpx
import pytest

from tests.services.prefect_server import PrefectServer
from tests.services.skald_cli import skald

WORKERS = """
from pydantic import BaseModel
from skald_bridge.authoring import task_type

class Camera(BaseModel):
    rtsp_url: str
    fix_frame: int = 30

@task_type(name="CameraWorker")
def camera(attachments: Camera) -> None:
    open("was-run", "w").close()
"""
GOOD_URL = "rtsp_url: 'rtsp://127.0.0.1/1'"
WRONG = {
    "unknown class": ("className: CamerWorker", ["className", "CamerWorker", "Did you mean CameraWorker"]),
    "missing field": ("className: CameraWorker\n    attachments: {fix_frame: 5}", ["rtsp_url"]),
    "wrong type": (
        f"className: CameraWorker\n    attachments: {{{GOOD_URL}, fix_frame: many}}",
        ["fix_frame", "many"],
    ),
    "attachments no mapping": ("className: CameraWorker\n    attachments: [1, 2]", ["attachments"]),
    "no class": (f"attachments: {{{GOOD_URL}}}", ["className"]),
}


def run_wrong(case: str, folder: Path, mode: str, env: Mapping[str, str] | None = None) -> None:
    entry, words = WRONG[case]
    (folder / "workers.py").write_text(WORKERS)
    (folder / "all_workers.yml").write_text(f"TaskWorkers:\n  cam1:\n    {entry}\n")
    arguments = ["run", "all_workers.yml", "--mode", mode, "--import", "workers.py"]
    answer = skald(*arguments, home=folder / "home", cwd=folder, env=env)
    answer.is_clear(2, "all_workers.yml", "entry cam1", *words)
    assert not (folder / "was-run").exists()


@pytest.mark.parametrize("case", WRONG)
def test_a_wrong_entry_is_named_and_does_not_run(case: str, tmp_path: Path) -> None:
    run_wrong(case, tmp_path, "single_process")


@pytest.mark.server
@pytest.mark.parametrize("case", ["unknown class", "wrong type"])
def test_an_edge_creates_no_task_of_a_wrong_file(
    case: str, own_server: PrefectServer, tmp_path: Path
) -> None:
    run_wrong(case, tmp_path, "edge", {"PREFECT_API_URL": own_server.url})
    assert httpx.post(f"{own_server.url}/flow_runs/count", json={}, timeout=30).json() == 0


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("TaskWorkers:\n  cam1: {className: [", ["all_workers.yml", "line"]),
        ("Workers:\n  cam1: {className: CameraWorker}", ["TaskWorkers"]),
        ("- cam1\n- cam2\n", ["TaskWorkers"]),
        ("TaskWorkers: {}\n", ["TaskWorkers"]),
        ("", ["TaskWorkers"]),
    ],
    ids=["no yaml", "other key", "a list", "no entry", "empty"],
)
def test_a_file_that_is_no_list_of_workers_says_what_it_must_hold(
    text: str, words: list[str], tmp_path: Path
) -> None:
    (tmp_path / "all_workers.yml").write_text(text)
    answer = skald("run", "all_workers.yml", "--mode", "single_process", home=tmp_path / "home", cwd=tmp_path)
    answer.is_clear(2, *words)


def test_a_file_that_is_not_there_is_not_found(tmp_path: Path) -> None:
    answer = skald("run", "nowhere.yml", "--mode", "edge", home=tmp_path / "home", cwd=tmp_path)
    answer.is_clear(3, "nowhere.yml")
