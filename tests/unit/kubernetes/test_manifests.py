"""A YAML entry as Kubernetes objects: those of Skalds' guide, and what ours have besides."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from skald_bridge.domain.errors import InvalidInput
from skald_bridge.wire.manifests import Options, dump_all, entry_text, resource_name, workload, workloads
from skald_bridge.wire.pods import PodOptions
from skald_bridge.wire.skalds_yaml import Entry, parse
from tests.services.kubernetes import guide

POD = PodOptions("<your-registry>/<your-worker-image>:latest")
OPTIONS = Options(POD)
ENTRY = parse(guide.ENTRY, "guide")[0]
BATCH = parse(guide.BATCH, "guide")[0]


def missing(theirs: Any, ours: Any, at: str = "") -> list[str]:
    """Where ``ours`` has not what ``theirs`` says, or says something else; more than theirs is none of it."""
    if isinstance(theirs, dict) and isinstance(ours, dict):
        return [
            line for key, value in theirs.items() for line in missing(value, ours.get(key), f"{at}.{key}")
        ]
    if isinstance(theirs, list) and isinstance(ours, list):
        named = {item["name"]: item for item in ours}
        return [
            line for item in theirs for line in missing(item, named.get(item["name"]), f"{at}.{item['name']}")
        ]
    return [] if theirs == ours and type(theirs) is type(ours) else [f"{at}: {theirs!r}, here {ours!r}"]


def of_kind(kind: str, manifests: tuple[dict[str, Any], ...]) -> dict[str, Any]:
    (found,) = (each for each in manifests if each["kind"] == kind)
    return found


def test_the_comparison_sees_what_differs() -> None:
    assert missing({"a": [{"name": "x", "v": 1}]}, {"a": [{"name": "x", "v": True}]}) == [
        ".a.x.v: 1, here True"
    ]
    assert missing({"a": 1}, {}) == [".a: 1, here None"]


def test_a_persistent_entry_is_the_guides_config_map_and_deployment() -> None:
    pod = replace(POD, environment={"MONGO_HOST": "mongodb://username:password@mongo:27017/"})
    built = workload(ENTRY, Options(pod), "task-alpha")
    assert [each["kind"] for each in built.manifests] == ["ConfigMap", "Deployment", "PodDisruptionBudget"]
    config = yaml.safe_load(guide.CONFIG_MAP)
    assert missing(config, of_kind("ConfigMap", built.manifests)) == []
    deployment = of_kind("Deployment", built.manifests)
    assert missing(yaml.safe_load(guide.DEPLOYMENT), deployment) == []
    theirs = yaml.safe_load(guide.DEPLOYMENT)["spec"]["template"]["spec"]["containers"][0]["env"]
    env = deployment["spec"]["template"]["spec"]["containers"][0]["env"]
    assert env[: len(theirs)] == theirs
    assert deployment["spec"]["selector"] == {"matchLabels": {"app": "skald-single-worker-task-alpha"}}


def test_what_is_printed_is_what_was_built() -> None:
    built = workload(ENTRY, OPTIONS, "task-alpha")
    text = dump_all(built.manifests)
    assert list(yaml.safe_load_all(text)) == list(built.manifests)
    assert "  all_workers.yml: |\n    TaskWorkers:\n      TaskWorker1:\n        isPersistent: true\n" in text
    assert "&id" not in text


def test_an_entry_that_ends_is_a_job_and_with_a_schedule_a_cron_job() -> None:
    built = workload(BATCH, replace(OPTIONS, retries=2, keep=60))
    assert [each["kind"] for each in built.manifests] == ["ConfigMap", "Job"]
    job = of_kind("Job", built.manifests)
    assert (job["metadata"]["name"], job["spec"]["backoffLimit"]) == ("skald-single-worker-nightly", 2)
    assert job["spec"]["ttlSecondsAfterFinished"] == 60
    assert job["spec"]["template"]["spec"]["restartPolicy"] == "Never"
    scheduled = workload(BATCH, replace(OPTIONS, schedule="0 3 * * *"))
    cron = of_kind("CronJob", scheduled.manifests)
    assert cron["spec"]["schedule"] == "0 3 * * *"
    assert cron["spec"]["jobTemplate"]["spec"]["template"]["spec"] == job["spec"]["template"]["spec"]


@pytest.mark.parametrize(
    ("entry", "schedule", "says"),
    [(ENTRY, "@daily", "persistent"), (BATCH, "daily", "no schedule"), (BATCH, "* * * *", "no schedule")],
)
def test_a_schedule_that_does_not_fit_is_refused(entry: Entry, schedule: str, says: str) -> None:
    with pytest.raises(InvalidInput, match=says):
        workload(entry, replace(OPTIONS, schedule=schedule))


def test_a_changed_entry_changes_the_pods_template() -> None:
    """The guide's Deployment would run on with the old ConfigMap."""

    def template(entry: Entry) -> Any:
        return of_kind("Deployment", workload(entry, OPTIONS).manifests)["spec"]["template"]

    changed = replace(ENTRY, attachments={**ENTRY.attachments, "fix_frame": 20})
    assert template(ENTRY) == template(replace(ENTRY))
    assert template(ENTRY)["metadata"]["annotations"] != template(changed)["metadata"]["annotations"]
    assert template(ENTRY)["spec"] == template(changed)["spec"]


def test_two_pods_of_one_task_are_never_at_work_at_once_and_a_drain_waits() -> None:
    built = workload(ENTRY, OPTIONS)
    assert of_kind("Deployment", built.manifests)["spec"]["strategy"] == {"type": "Recreate"}
    budget = of_kind("PodDisruptionBudget", built.manifests)["spec"]
    assert (budget["maxUnavailable"], budget["unhealthyPodEvictionPolicy"]) == (0, "AlwaysAllow")
    selector = of_kind("Deployment", built.manifests)["spec"]["selector"]
    assert budget["selector"] == selector


@pytest.mark.parametrize(
    ("task", "name"),
    [
        ("task-alpha", "task-alpha"),
        ("TaskWorker1", "taskworker1"),
        ("lobby_cam", "lobby-cam-d8ab11"),
        ("攝影機", "task-"),
        ("a" * 33, "a" * 25 + "-"),
    ],
)
def test_names_are_kubernetes_own(task: str, name: str) -> None:
    assert resource_name(task).startswith(name)


@given(st.text(min_size=1, max_size=300))
def test_every_task_has_a_name_that_a_label_and_a_cron_job_can_carry(task: str) -> None:
    name = resource_name(task)
    assert len(f"skald-single-worker-{name}") <= 52
    assert name == name.lower()
    assert all(c.isascii() and (c.isalnum() or c == "-") for c in name)
    assert name[0] != "-" != name[-1]
    assert resource_name(name) == name


def test_two_entries_of_one_name_are_refused() -> None:
    entries = [(replace(BATCH, id=name), OPTIONS) for name in ("Cam", "cam")]
    with pytest.raises(InvalidInput, match="Cam and cam would both be cam"):
        workloads(entries)


JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**53), 2**53)
    | st.text(st.characters(exclude_categories=["C"])),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text("abc_", min_size=1), inner, max_size=3)
    ),
    max_leaves=8,
)


@given(st.dictionaries(st.text("abcXYZ", min_size=1), JSON, max_size=4), st.booleans())
def test_the_config_map_says_what_the_file_said(attachments: dict[str, Any], persistent: bool) -> None:
    entry = Entry("TaskWorker1", "MyWorker", attachments, persistent)
    assert parse(entry_text(entry), "config map") == [entry]


def test_dates_stay_text_and_text_stays_text() -> None:
    entry = Entry("t", "C", {"day": "2026-01-31", "yes": "yes", "lines": "a\nb\n", "n": "010"})
    assert parse(entry_text(entry), "config map") == [entry]


def test_more_than_a_config_map_holds_is_refused() -> None:
    with pytest.raises(InvalidInput, match="megabyte"):
        workload(Entry("t", "C", {"x": "a" * 1_000_001}), OPTIONS)
