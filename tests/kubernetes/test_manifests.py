"""What is rendered, and what Skalds' guide shows, is taken by a real apiserver."""

from __future__ import annotations

import itertools
import json

import pytest
import yaml

from tests.kubernetes.conftest import K8s
from tests.services.kubernetes import guide
from tests.services.kubernetes.cluster import ControlPlane

pytestmark = pytest.mark.kubernetes
TWO = guide.ENTRY + "".join(f"{line}\n" for line in guide.BATCH.splitlines()[1:])
EVERYTHING = [
    *("--cpus", "0.5", "--memory", "2GiB", "--gpu", "1", "--gpu-model", "NVIDIA-L4", "--shm", "1GiB"),
    *("--env", "A=b", "--secret", "MONGO_HOST=mongo:uri", "--node-selector", "zone=lan", "--retries", "3"),
]


@pytest.fixture
def strict(plane: ControlPlane, namespace: str) -> str:
    """A namespace in which Pod Security Admission lets only restricted pods be."""
    label = "pod-security.kubernetes.io/enforce=restricted"
    assert plane.kubectl("label", "namespace", namespace, label).returncode == 0
    return namespace


@pytest.mark.parametrize("options", [[], EVERYTHING, ["--no-probes", "--disruptions", "1"]])
def test_the_apiserver_takes_everything_that_is_rendered(
    plane: ControlPlane, k8s: K8s, strict: str, options: list[str]
) -> None:
    file = k8s.write(TWO)
    said = k8s("render", file, *options)
    assert said.code == 0, said
    scheduled = k8s("render", file, "--task", "nightly", "--schedule", "0 3 * * *", *options)
    for text, count in ((said.out, 5), (scheduled.out, 2)):
        taken = plane.kubectl("apply", "--dry-run=server", "-f", "-", given=text)
        assert taken.returncode == 0, taken.stderr
        assert "Warning" not in taken.stderr
        assert len(taken.stdout.splitlines()) == count


@pytest.mark.parametrize("options", [[], EVERYTHING])
def test_its_pods_pass_pod_security_restricted(
    plane: ControlPlane, k8s: K8s, strict: str, options: list[str]
) -> None:
    """The apiserver only warns of a Deployment; a pod it would refuse."""
    for manifest in yaml.safe_load_all(k8s("render", k8s.write(TWO), *options).out):
        if template := manifest.get("spec", {}).get("template"):
            pod = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "p", "namespace": strict}}
            given = json.dumps(pod | {"spec": template["spec"]})
            taken = plane.kubectl("apply", "--dry-run=server", "-f", "-", given=given)
            assert taken.returncode == 0, taken.stderr
            rights = template["spec"]["containers"][0].pop("securityContext")
            assert rights
            refused = plane.kubectl(
                "apply", "--dry-run=server", "-f", "-", given=json.dumps(pod | {"spec": template["spec"]})
            )
            assert refused.returncode != 0
            assert "violates PodSecurity" in refused.stderr


def test_the_guides_own_yaml_is_applied_and_becomes_a_pod(
    plane: ControlPlane, k8s: K8s, namespace: str
) -> None:
    for text in (guide.CONFIG_MAP, guide.DEPLOYMENT):
        applied = plane.kubectl("apply", "-n", namespace, "-f", "-", given=text)
        assert applied.returncode == 0, applied.stderr
    (row,) = k8s("list", "--json").json
    assert (row["name"], row["kind"], row["task"], row["ready"]) == ("task-alpha", "Deployment", None, False)
    assert row["image"] == "<your-registry>/<your-worker-image>:latest"


def test_ours_stands_in_for_what_the_guide_applied(plane: ControlPlane, k8s: K8s, namespace: str) -> None:
    """kubectl's fields are somebody else's, and its Deployment may have two pods at once: ours replaces it."""
    text = guide.DEPLOYMENT.replace("<your-registry>/<your-worker-image>", "r/i")
    assert plane.kubectl("apply", "-n", namespace, "-f", "-", given=text).returncode == 0
    file = k8s.write(guide.ENTRY.replace("TaskWorker1", "task-alpha"))
    refused = k8s("apply", file, "--no-wait")
    refused.is_clear(5, "belongs to somebody else", "--force")
    k8s("apply", file, "--no-wait", "--force").is_clear(5, "cannot be changed", "skald k8s delete")
    assert k8s("delete", "task-alpha").out == "removed Deployment/skald-single-worker-task-alpha\n"
    made = k8s("apply", file, "--no-wait", "--json").json
    assert {change["action"] for change in made["tasks"][0]["changes"]} == {"created"}


def test_somebody_elses_field_is_taken_over_by_force_alone(
    plane: ControlPlane, k8s: K8s, namespace: str
) -> None:
    file = k8s.write(guide.ENTRY.replace("TaskWorker1", "task-alpha"))
    assert k8s("apply", file, "--no-wait").code == 0
    name = "deployment/skald-single-worker-task-alpha"
    changed = plane.kubectl("set", "image", name, "worker=r/other:1", "-n", namespace)
    assert changed.returncode == 0, changed.stderr
    k8s("apply", file, "--no-wait").is_clear(5, "belongs to somebody else", "--force")
    taken = k8s("apply", file, "--no-wait", "--force", "--json").json
    assert [change["action"] for change in taken["tasks"][0]["changes"]] == [
        "unchanged",
        "changed",
        "unchanged",
    ]


def test_the_longest_names_are_taken(plane: ControlPlane, k8s: K8s, namespace: str) -> None:
    ids = ["a" * 80, "攝影機 1", "UPPER_lower.9"]
    entries = {id_: {"className": "C", "isPersistent": False} for id_ in ids}
    file = k8s.write(yaml.safe_dump({"TaskWorkers": entries}, allow_unicode=True))
    texts = (k8s("render", file, *more).out for more in ([], ["--schedule", "@hourly"]))
    for text in itertools.chain(texts):
        taken = plane.kubectl("apply", "--dry-run=server", "-n", namespace, "-f", "-", given=text)
        assert taken.returncode == 0, taken.stderr
