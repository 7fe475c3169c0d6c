"""Attachments that the task type's model does not take."""

from __future__ import annotations

import json

import pytest

from tests.integration.bad_input.conftest import Project

pytestmark = pytest.mark.server


@pytest.mark.parametrize(
    ("word", "words"),
    [
        ("frameRate=many", ["frameRate", "many", "integer"]),
        ("frameRate=0", ["frameRate", "1"]),
        ("frmeRate=30", ["frmeRate"]),
    ],
    ids=["wrong type", "out of range", "unknown field"],
)
def test_submit_names_the_field_and_creates_nothing(word: str, words: list[str], project: Project) -> None:
    before = project.runs()
    project.skald("submit", project.name, word).is_clear(2, *words)
    assert project.runs() == before


def test_an_unknown_task_type_is_not_found(project: Project) -> None:
    project.skald("submit", f"{project.name}x").is_clear(3, f"{project.name}x", project.name)


def test_an_update_of_a_waiting_task_is_checked_before_it_is_stored(project: Project) -> None:
    words = ("frameRate=25", "--json", "--queue-anyway")
    task = json.loads(project.skald("submit", project.name, *words).out)["id"]
    project.skald("update", task, "frameRate=many").is_clear(2, "frameRate", "many")
    assert project.run(task)["parameters"] == {"attachments": {"frameRate": 25}}
    project.skald("cancel", task)


def test_what_only_the_model_knows_fails_the_task_with_the_field_and_runs_no_user_code(
    project: Project,
) -> None:
    with project.node("node-1"):
        unchecked = project.create_unchecked({"attachments": {"frameRate": "many"}})
        same = project.create_unchecked({"attachments": {"source": "a", "target": "a"}})
        for run, words in ((unchecked, ("frameRate", "valid integer")), (same, ("target", "another name"))):
            failed = project.in_state(run, "FAILED")
            assert failed["state_name"] == "Failed"
            assert all(word in failed["state"]["message"] for word in words), failed["state"]
        shown = project.skald("task", unchecked)
        assert "frameRate" in shown.out, shown


def test_a_running_task_rejects_what_its_model_rejects_and_goes_on(project: Project) -> None:
    end = project.folder / "end"
    with project.node("node-1"):
        words = [f"until={end}", "frameRate=25"]
        task = json.loads(project.skald("submit", project.name, *words, "--json").out)["id"]
        project.in_state(task, "RUNNING")
        project.skald("update", task, "target=a").is_clear(5, "target", "another name")
        assert project.run(task)["parameters"]["attachments"]["frameRate"] == 25
        assert project.run(task)["state_type"] == "RUNNING"
        end.touch()
        project.in_state(task, "COMPLETED")
