"""`skald k8s` without a cluster: what it renders, and what it refuses."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import yaml
from typer.testing import CliRunner

from skald_bridge.cli.app import app
from skald_bridge.domain.errors import SkaldError, Unavailable
from skald_bridge.kubernetes import connect, create_single_process_resources
from tests.services.kubernetes import guide

TWO = guide.ENTRY + "".join(f"{line}\n" for line in guide.BATCH.splitlines()[1:])
TYPES = """
from skald_bridge.authoring import Attachments, Needs, task_type

class Job(Attachments):
    jobId: str
    retries: int = 0

@task_type(name="ComplexWorker", needs=Needs(cpus=2, memory="1GiB"))
def complex_worker(attachments: Job) -> None: ...
"""


@pytest.fixture
def file(tmp_path: Path) -> str:
    (tmp_path / "all_workers.yml").write_text(TWO)
    return str(tmp_path / "all_workers.yml")


def k8s(*arguments: str) -> str:
    result = CliRunner().invoke(app, ["k8s", *arguments])
    if isinstance(result.exception, SkaldError):
        raise result.exception
    assert result.exit_code == 0, result.output
    return result.stdout


def rendered(*arguments: str) -> dict[str, dict[str, Any]]:
    found = yaml.safe_load_all(k8s("render", *arguments))
    return {f"{each['kind']}/{each['metadata']['name']}": each for each in found}


def test_its_help_names_its_commands() -> None:
    said = k8s("--help")
    assert all(name in said for name in ("render", "apply", "list", "delete", "logs"))


def test_every_entry_is_rendered_or_the_one_that_is_named(file: str) -> None:
    assert set(rendered(file)) == {
        "ConfigMap/skald-worker-config-taskworker1",
        "Deployment/skald-single-worker-taskworker1",
        "PodDisruptionBudget/skald-single-worker-taskworker1",
        "ConfigMap/skald-worker-config-nightly",
        "Job/skald-single-worker-nightly",
    }
    assert set(rendered(file, "--task", "nightly", "--schedule", "@daily")) == {
        "ConfigMap/skald-worker-config-nightly",
        "CronJob/skald-single-worker-nightly",
    }


def test_options_reach_the_pod(file: str) -> None:
    options = ["--task", "nightly", "--image", "r/i:1", "--gpu", "1", "--gpu-model", "L4", "--cpus", "0.5"]
    options += ["--memory", "2GiB", "--shm", "1GiB", "--env", "A=b=c", "--secret", "MONGO_HOST=mongo:uri"]
    job = rendered(file, *options, "-n", "studio")["Job/skald-single-worker-nightly"]
    assert job["metadata"]["namespace"] == "studio"
    pod = job["spec"]["template"]["spec"]
    (container,) = pod["containers"]
    assert container["image"] == "r/i:1"
    assert container["resources"]["limits"] == {"memory": "2Gi", "nvidia.com/gpu": "1"}
    assert container["resources"]["requests"]["cpu"] == "500m"
    assert {"name": "A", "value": "b=c"} in container["env"]
    assert pod["nodeSelector"] == {"nvidia.com/gpu.product": "L4"}


def test_json_is_one_list(file: str) -> None:
    listed = json.loads(k8s("render", file, "--json"))
    assert (listed["kind"], len(listed["items"])) == ("List", 5)


def test_needs_come_from_the_task_type_and_attachments_are_checked(tmp_path: Path, file: str) -> None:
    types = tmp_path / "k8s_types.py"
    types.write_text(TYPES)
    job = rendered(file, "-t", "nightly", "-i", str(types), "--memory", "2GiB")[
        "Job/skald-single-worker-nightly"
    ]
    resources = job["spec"]["template"]["spec"]["containers"][0]["resources"]
    assert resources == {"requests": {"cpu": "2", "memory": "2Gi"}, "limits": {"memory": "2Gi"}}
    Path(file).write_text(guide.BATCH.replace("jobId", "jobID"))
    with pytest.raises(SkaldError, match="jobI"):
        k8s("render", file, "-i", str(types))


@pytest.mark.parametrize(
    ("arguments", "code", "says"),
    [
        (["--task", "TaskWorker2"], 3, "no entry TaskWorker2"),
        (["--memory", "much"], 2, "--memory"),
        (["--env", "A"], 2, "NAME=VALUE"),
        (["--env", "A=1", "--env", "A=2"], 2, "twice"),
        (["--secret", "A=b"], 2, "SECRET:KEY"),
        (["--gpu-model", "L4"], 2, "GPU model without a GPU"),
        (["--task", "TaskWorker1", "--schedule", "@daily"], 2, "persistent"),
        (["--image", ""], 2, "no image"),
        (["--namespace", "My_Space"], 2, "--namespace: 'My_Space' is no namespace"),
        (["--node-selector", "zone a=lan"], 2, "--node-selector: 'zone a'"),
        (["--node-selector", "zone=two words"], 2, "--node-selector: 'two words'"),
        (["--gpu", "1", "--gpu-model", "NVIDIA L4"], 2, "--gpu-model: 'NVIDIA L4'"),
        (["--gpu", "1", "--gpu-model", "L4", "--gpu-label", "a b"], 2, "--gpu-label: 'a b'"),
        (["--gpu", "1", "--gpu-resource", "gpu"], 2, "--gpu-resource: 'gpu' has no domain"),
        (["--secret", "MONGO_HOST=Mongo:uri"], 2, "--secret: 'Mongo'"),
        (["--secret", "MONGO_HOST=mongo:a b"], 2, "--secret: 'a b' is no key"),
        (["--task", "nightly", "--schedule", "0 25 * * *"], 2, "its hour is '25'"),
        (["--env", "1A=x"], 2, "'1A' is no name of a variable"),
        (["--memory", "-1GiB"], 2, "--memory"),
        (["--cpus", "inf"], 2, "--cpus: inf is more"),
        (["--gpu", str(2**31)], 2, "--gpu: 2147483648 is more"),
        (["--grace", str(2**31)], 2, "--grace: 2147483648 is more"),
        (["--keep", str(2**63)], 2, "--keep: 9223372036854775808 is more"),
        (["--retries", str(2**31)], 2, "--retries: 2147483648 is more"),
    ],
)
def test_wrong_input_is_named_with_its_remedy(file: str, arguments: list[str], code: int, says: str) -> None:
    with pytest.raises(SkaldError, match=says) as refused:
        k8s("render", file, *arguments)
    assert refused.value.exit_code == code
    assert refused.value.remedy


def test_a_missing_file_is_not_found(tmp_path: Path) -> None:
    with pytest.raises(SkaldError) as missing:
        k8s("render", str(tmp_path / "none.yml"))
    assert missing.value.exit_code == 3


def test_without_the_client_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(Unavailable, match="not installed") as said:
        connect()
    assert said.value.remedy == "pip install 'prefect-skald[kubernetes]'"


class Applied:
    """Keeps what it is given; what a cluster makes of it is tested on a real one."""

    namespace = "default"

    def __init__(self) -> None:
        self.manifests: list[dict[str, Any]] = []

    def apply(self, manifest: dict[str, Any], **_: Any) -> dict[str, Any]:
        self.manifests.append(manifest)
        return manifest


def test_the_functions_of_the_guide_take_the_entry_of_that_name_or_the_first(file: str) -> None:
    for task, kind in (("nightly", "Job"), ("task-alpha", "Deployment")):
        cluster: Any = Applied()
        create_single_process_resources("default", task, yaml_file=file, cluster=cluster)
        names = {each["kind"]: each["metadata"]["name"] for each in cluster.manifests}
        assert names["ConfigMap"] == f"skald-worker-config-{task}"
        assert names[kind] == f"skald-single-worker-{task}"
