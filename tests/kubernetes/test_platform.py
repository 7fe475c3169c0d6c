"""`deployments/kubernetes/`: each overlay is taken by a real apiserver, fits together, and becomes pods."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from prefect.settings.legacy import _get_valid_setting_names
from prefect.settings.models.root import Settings as PrefectSettings
from prefect_kubernetes.settings import KubernetesSettings

from skald_bridge.settings import Settings
from skald_bridge.settings.file import environment_names
from tests.services.kubernetes.cluster import ControlPlane
from tests.services.kubernetes.overlays import KUSTOMIZE, OVERLAYS, Json, containers, objects, text, workloads
from tests.services.poll import until
from tests.services.prefect_cli import running
from tests.services.prefect_server import PrefectServer, free_port
from tests.services.skald_cli import SKALD, skald_environment

pytestmark = pytest.mark.kubernetes
ROOT = Path(__file__).parents[2]
each_overlay = pytest.mark.parametrize("overlay", OVERLAYS)
SECRET_KEYS = {"postgres-password", "prefect-auth", "api-key", "database-url", "redis-host", "redis-password"}


@each_overlay
def test_the_apiserver_takes_it_without_a_warning(platform: ControlPlane, overlay: str) -> None:
    strict = ("apply", "--dry-run=server", "--validate=strict", "-f", "-")
    taken = platform.kubectl(*strict, given=text(overlay))
    assert taken.returncode == 0, taken.stderr
    assert "Warning" not in taken.stderr, taken.stderr
    assert len(taken.stdout.splitlines()) == len(objects(overlay))
    typo = text(overlay).replace("terminationGracePeriodSeconds", "terminationGraceSeconds")
    assert platform.kubectl(*strict, given=typo).returncode != 0


@each_overlay
def test_its_pods_pass_pod_security_restricted(platform: ControlPlane, overlay: str) -> None:
    for name, workload in workloads(overlay).items():
        spec = workload["spec"]["template"]["spec"]
        pod = {
            "apiVersion": "v1",
            "kind": "Pod",
            "metadata": {"name": "p", "namespace": "skald"},
            "spec": spec,
        }
        for claim in workload["spec"].get("volumeClaimTemplates", []):
            bound = {
                "name": claim["metadata"]["name"],
                "persistentVolumeClaim": {"claimName": claim["metadata"]["name"]},
            }
            spec["volumes"].append(bound)
        taken = platform.kubectl("apply", "--dry-run=server", "-f", "-", given=json.dumps(pod))
        assert taken.returncode == 0, f"{name}: {taken.stderr}"
        for container in containers(workload):
            rights = container["securityContext"]
            assert rights["readOnlyRootFilesystem"] is True
            assert container["resources"]["limits"]["memory"]
        containers(workload)[0]["securityContext"]["allowPrivilegeEscalation"] = True
        refused = platform.kubectl("apply", "--dry-run=server", "-f", "-", given=json.dumps(pod))
        assert "violates PodSecurity" in refused.stderr, name


@each_overlay
def test_services_policies_and_budgets_find_their_pods(overlay: str) -> None:
    """By label, and each named port is one of the container's."""
    pods = {
        name: (
            workload["spec"]["template"]["metadata"]["labels"],
            {port["name"] for each in containers(workload) for port in each.get("ports", [])},
        )
        for name, workload in workloads(overlay).items()
    }

    def chosen(labels: Json) -> list[str]:
        return [name for name, (has, _) in pods.items() if labels.items() <= has.items()]

    for service in objects(overlay, "Service"):
        (name,) = chosen(service["spec"]["selector"])
        assert {port["targetPort"] for port in service["spec"]["ports"]} <= pods[name][1]
    for policy in objects(overlay, "NetworkPolicy"):
        spec = policy["spec"]
        if not spec["podSelector"]:
            assert "ingress" not in spec
            continue
        (name,) = chosen(spec["podSelector"]["matchLabels"])
        ports = {port["port"] for rule in spec["ingress"] for port in rule["ports"]}
        assert ports <= pods[name][1]
        for peer in (peer for rule in spec["ingress"] for peer in rule["from"]):
            selector = peer.get("podSelector", {})
            if "namespaceSelector" not in peer and "matchLabels" in selector:
                assert chosen(selector["matchLabels"])
            for each in selector.get("matchExpressions", []):
                assert set(each.get("values", [])) <= pods.keys()
    if overlay == "ha":
        for budget in objects(overlay, "PodDisruptionBudget"):
            (name,) = chosen(budget["spec"]["selector"]["matchLabels"])
            assert workloads(overlay)[name]["spec"]["replicas"] > budget["spec"]["minAvailable"]


@each_overlay
def test_every_variable_is_a_setting_and_every_secret_is_documented(overlay: str) -> None:
    documented = (ROOT / "docs" / "kubernetes.md").read_text()
    ours = {name for field in Settings.model_fields for name in environment_names(field)}
    known = ours | _get_valid_setting_names(PrefectSettings)
    prefix = "PREFECT_INTEGRATIONS_KUBERNETES_OBSERVER_"
    observer = KubernetesSettings.model_fields["observer"].annotation
    assert observer is not None
    known |= {prefix + name.upper() for name in observer.model_fields}  # type: ignore[attr-defined]
    # Postgres' own, NVIDIA's container runtime's, and prefect-redis', which only that image has.
    foreign = ("POSTGRES_", "PGDATA", "NVIDIA_", "PREFECT_REDIS_MESSAGING_")
    configs = [each for each in objects(overlay, "ConfigMap") if each["metadata"]["namespace"] == "skald"]
    names = {name for config in configs for name in config["data"]}
    for workload in workloads(overlay).values():
        for container in containers(workload):
            for variable in container.get("env", []):
                names.add(variable["name"])
                reference = variable.get("valueFrom", {}).get("secretKeyRef")
                if reference is not None:
                    assert reference["name"].startswith("skald")
                    assert reference["key"] in SECRET_KEYS
                    assert reference["key"] in documented
    unknown = {name for name in names if not name.startswith(foreign)} - known
    assert not unknown


@each_overlay
def test_every_command_is_one(overlay: str) -> None:
    """Up to its help: that each word of it is known."""
    said = set()
    for workload in workloads(overlay).values():
        for container in containers(workload):
            if container["image"].startswith("prefect-skald"):
                said.add(tuple(container["args"]))
    assert len(said) >= 4
    for program_, *arguments in sorted(said):
        module = {"skald": "skald_bridge.cli", "prefect": "prefect"}[program_]
        done = subprocess.run(
            [sys.executable, "-m", module, *arguments, "--help"], capture_output=True, text=True, timeout=120
        )
        assert done.returncode == 0, f"{arguments}: {done.stdout}{done.stderr}"
        options = [word for word in arguments if word.startswith("--")]
        assert all(option in done.stdout for option in options), arguments


def test_a_node_has_longer_than_its_tasks() -> None:
    found = 0
    for overlay in OVERLAYS:
        for workload in workloads(overlay).values():
            pod = workload["spec"]["template"]["spec"]
            for container in pod["containers"]:
                values = {each["name"]: each.get("value") for each in container.get("env", [])}
                if "SKALD_GRACE" in values:
                    assert pod["terminationGracePeriodSeconds"] >= int(values["SKALD_GRACE"]) + 20
                    found += 1
    assert found == 4


@pytest.mark.server
def test_the_bridges_probe_says_whether_it_answers(server: PrefectServer, tmp_path: Path) -> None:
    """The command of its manifest, against a bridge that listens to everybody and wants its key."""
    (container,) = workloads("dev")["skald-bridge"]["spec"]["template"]["spec"]["containers"]
    _, *code = container["livenessProbe"]["exec"]["command"]
    assert container["startupProbe"]["exec"] == container["livenessProbe"]["exec"]
    port = free_port()
    command = [sys.executable, *(word.replace(":8000/", f":{port}/") for word in code)]

    def probe(key: str) -> int:
        env = {"SKALD_API_KEY": key}
        return subprocess.run(command, env=env, capture_output=True, timeout=60).returncode

    assert probe("key") != 0
    env = skald_environment(tmp_path, {"SKALD_API_KEY": "key", "PREFECT_API_URL": server.url})
    with running(server, [*SKALD, "bridge", "--host", "0.0.0.0", "--port", str(port)], tmp_path / "log", env):
        until(lambda: probe("key") == 0, 60, f"an answer; {tmp_path / 'log'}")
        assert probe("other") != 0


def test_the_dev_overlay_becomes_pods(platform: ControlPlane) -> None:
    """Applied for real: the controllers make a pod of each workload, whom admission lets be."""
    made = platform.kubectl("apply", "-k", str(KUSTOMIZE / "overlays" / "dev"))
    assert made.returncode == 0, made.stderr

    def apps() -> set[str]:
        found = json.loads(platform.kubectl("get", "pods", "-n", "skald", "-o", "json").stdout)
        return {pod["metadata"]["labels"]["app"] for pod in found["items"]}

    until(lambda: apps() == set(workloads("dev")), 60, "a pod of each workload")
    again = platform.kubectl("diff", "-k", str(KUSTOMIZE / "overlays" / "dev"))
    assert again.returncode == 0, again.stdout
