"""`skald k8s apply`, `list`, `logs` and `delete` on a real apiserver with its real controllers."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.kubernetes.conftest import K8s
from tests.services.kubernetes import guide
from tests.services.kubernetes.cluster import ControlPlane
from tests.services.kubernetes.node import Node
from tests.services.poll import until
from tests.services.skald_cli import SKALD, skald_environment

pytestmark = pytest.mark.kubernetes
CAM = guide.ENTRY.replace("TaskWorker1", "cam")
APP = "skald-single-worker-cam"
BATCH_APP = "skald-single-worker-nightly"


@contextmanager
def started(k8s: K8s, *arguments: str) -> Iterator[subprocess.Popen[str]]:
    env = skald_environment(k8s.home, {"KUBECONFIG": str(k8s.kubeconfig), "PYTHONUNBUFFERED": "1"})
    command = [*SKALD, "k8s", *arguments, "--namespace", k8s.namespace]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    process = subprocess.Popen(command, env=env, cwd=k8s.home, text=True, **pipes)
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


def test_a_persistent_task_from_nothing_to_nothing(k8s: K8s, node: Node) -> None:
    file = k8s.write(CAM)
    with started(k8s, "apply", file) as applying:
        pod = node.pod(k8s.namespace, APP)
        node.ready(k8s.namespace, pod)
        said, errors = applying.communicate(timeout=120)
        assert applying.returncode == 0, errors
    assert f"created Deployment/{APP}" in said
    assert "  +  replicas: 1" in said
    assert said.splitlines()[-1] == "cam: 1 of 1 ready"
    (row,) = k8s("list", "--json").json
    assert (row["task"], row["className"], row["ready"], row["state"]) == (
        "cam",
        "MyWorker",
        True,
        "1 of 1 ready",
    )
    assert "1 of 1 ready" in k8s("list").out

    again = k8s("apply", file, "--json").json
    assert {change["action"] for change in again["tasks"][0]["changes"]} == {"unchanged"}

    node.logs[pod] = "one\ntwo\n"
    assert k8s("logs", "cam").out == "one\ntwo\n"

    with started(k8s, "delete", "cam", "--json") as deleting:
        until(lambda: not k8s("list", "--json").json or _terminating(k8s), 60, "the pod to be ended")
        node.gone(k8s.namespace, pod)
        said, errors = deleting.communicate(timeout=90)
        assert deleting.returncode == 0, errors
    assert '"gone": true' in said
    k8s("delete", "cam").is_clear(3, "no task cam", "skald k8s list")
    assert k8s("list").out == f"No tasks in the namespace {k8s.namespace}.\n"


def _terminating(k8s: K8s) -> bool:
    from kubernetes import client, config

    api = client.CoreV1Api(config.new_client_from_config(str(k8s.kubeconfig)))
    return any(pod.metadata.deletion_timestamp for pod in api.list_namespaced_pod(k8s.namespace).items)


def test_a_change_is_shown_before_it_is_made_and_dry_run_makes_none(k8s: K8s) -> None:
    file = k8s.write(CAM)
    assert k8s("apply", file, "--no-wait").code == 0
    k8s.write(CAM.replace("fix_frame: 10", "fix_frame: 20"))
    shown = k8s("apply", file, "--dry-run")
    assert shown.code == 0, shown
    lines = shown.out.splitlines()
    assert "changed ConfigMap/skald-worker-config-cam" in lines
    assert f"changed Deployment/{APP}" in lines
    assert f"unchanged PodDisruptionBudget/{APP}" in lines
    assert any(line.startswith("  -") and "fix_frame: 10" in line for line in lines)
    assert any(line.startswith("  +") and "fix_frame: 20" in line for line in lines)
    made = k8s("apply", file, "--no-wait", "--json").json
    assert [change["action"] for change in made["tasks"][0]["changes"]] == ["changed", "changed", "unchanged"]


def test_an_image_that_is_not_there_ends_the_wait_with_the_remedy(k8s: K8s, node: Node) -> None:
    with started(k8s, "apply", k8s.write(CAM), "--image", "r/none:1") as applying:
        pod = node.pod(k8s.namespace, APP)
        node.waits(k8s.namespace, pod, "ImagePullBackOff", 'Back-off pulling image "r/none:1"')
        _, errors = applying.communicate(timeout=120)
    assert applying.returncode == 1
    assert f"cam does not run: pod {pod}: ImagePullBackOff: Back-off pulling image" in errors
    assert "Remedy: Name an image that the nodes can pull with --image." in errors
    mended = k8s("apply", "all_workers.yml", "--no-wait", "--image", "r/i:1", "--json").json
    assert mended["tasks"][0]["changes"][1]["action"] == "changed"


def test_what_does_not_become_ready_in_time_says_where_it_stands(k8s: K8s) -> None:
    said = k8s("apply", k8s.write(CAM), "--timeout", "3", "--json")
    assert said.code == 1
    assert "cam was not ready after 3 s: 0 of 1 ready" in said.err
    assert '"ready": false' in said.out


def test_a_namespace_without_room_says_so(plane: ControlPlane, k8s: K8s, namespace: str) -> None:
    quota = plane.kubectl("create", "quota", "none", "--hard=pods=0", "-n", namespace)
    assert quota.returncode == 0, quota.stderr
    said = k8s("apply", k8s.write(CAM))
    assert said.code == 1
    assert "no pod can be made" in said.err
    assert "exceeded quota" in said.err


def test_a_batch_entry_runs_once_and_its_failure_is_named(k8s: K8s, node: Node) -> None:
    file = k8s.write(guide.BATCH)
    with started(k8s, "apply", file, "--json") as applying:
        pod = node.pod(k8s.namespace, BATCH_APP)
        node.ready(k8s.namespace, pod)
        said, errors = applying.communicate(timeout=120)
    assert applying.returncode == 0, errors
    assert '"state": "running"' in said
    node.ended(k8s.namespace, pod, 1)

    def failed() -> bool:
        (row,) = k8s("list", "--json").json
        return bool(row["failed"])

    until(failed, 60, "the job failed")
    said_again = k8s("apply", file)
    assert said_again.code == 1
    assert "nightly does not run: failed: " in said_again.err
    assert "skald k8s logs nightly" in said_again.err

    k8s.write(guide.BATCH.replace("job-12345", "job-2"))
    k8s("apply", file).is_clear(5, "cannot be changed", "skald k8s delete")


def test_an_entry_that_is_no_longer_persistent_leaves_no_deployment(k8s: K8s) -> None:
    assert k8s("apply", k8s.write(CAM), "--no-wait").code == 0
    k8s.write(CAM.replace("isPersistent: true", "isPersistent: false"))
    made = k8s("apply", "all_workers.yml", "--no-wait", "--json").json
    changes = [(change["kind"], change["action"]) for change in made["tasks"][0]["changes"]]
    assert ("Deployment", "removed") in changes
    assert ("PodDisruptionBudget", "removed") in changes
    until(lambda: [row["kind"] for row in k8s("list", "--json").json] == ["Job"], 60, "the Job alone")


def test_its_job_does_not_start_before_its_deployments_pod_is_gone(k8s: K8s, node: Node) -> None:
    with started(k8s, "apply", k8s.write(CAM)) as applying:
        pod = node.pod(k8s.namespace, APP)
        node.ready(k8s.namespace, pod)
        assert applying.wait(120) == 0
    k8s.write(CAM.replace("isPersistent: true", "isPersistent: false"))
    said = k8s("apply", "all_workers.yml", "--timeout", "1")
    assert said.code == 1
    assert "The earlier pod of cam was not gone after 1 s." in said.err
    assert "Job" not in [row["kind"] for row in k8s("list", "--json").json]
    node.gone(k8s.namespace, pod)
    assert k8s("apply", "all_workers.yml", "--no-wait").code == 0
    until(lambda: [row["kind"] for row in k8s("list", "--json").json] == ["Job"], 60, "the Job alone")


def test_a_scheduled_entry_is_a_cron_job(k8s: K8s) -> None:
    made = k8s("apply", k8s.write(guide.BATCH), "--schedule", "0 3 * * *", "--json").json
    assert (made["tasks"][0]["kind"], made["tasks"][0]["ready"]) == ("CronJob", True)
    (row,) = k8s("list", "--json").json
    assert row["state"] == "scheduled 0 3 * * *"
    k8s("logs", "nightly").is_clear(3, "no pod of nightly")


def test_a_pod_that_has_not_started_has_no_logs(k8s: K8s) -> None:
    assert k8s("apply", k8s.write(CAM), "--no-wait").code == 0
    until(lambda: "no pod" not in k8s("logs", "cam").err, 60, "the pod")
    k8s("logs", "cam").is_clear(3, "has said nothing yet: the pod is pending", "skald k8s list")


def test_a_delete_that_takes_longer_says_so(k8s: K8s, node: Node) -> None:
    with started(k8s, "apply", k8s.write(CAM)) as applying:
        pod = node.pod(k8s.namespace, APP)
        node.ready(k8s.namespace, pod)
        assert applying.wait(120) == 0
    said = k8s("delete", "cam", "--timeout", "1")
    assert said.code == 1
    assert "was not gone after 1 s" in said.err
    node.gone(k8s.namespace, pod)


def test_errors_name_their_remedies(plane: ControlPlane, k8s: K8s, tmp_path: Path) -> None:
    file = k8s.write(CAM)
    stranger = plane.kubeconfig("stranger")
    k8s("list", kubeconfig=stranger).is_clear(5, 'User "stranger" cannot list', k8s.namespace)
    k8s("apply", file, "--kubeconfig", str(tmp_path / "none")).is_clear(
        4, "No cluster is configured", "KUBECONFIG"
    )
    k8s("list", "--context", "elsewhere").is_clear(2, "elsewhere")
    gone = tmp_path / "gone.kubeconfig"
    gone.write_text(plane.admin.read_text().replace(f":{plane.server.port}", ":1"))
    k8s("list", kubeconfig=gone).is_clear(4, "does not answer", "KUBECONFIG")
    elsewhere = K8s(k8s.home, plane.admin, "no-such-namespace")
    elsewhere("apply", file, "--no-wait").is_clear(
        3, "no namespace no-such-namespace", "kubectl create namespace"
    )


ROLE = """\
apiVersion: rbac.authorization.k8s.io/v1
kind: Role
metadata: {name: tasks}
rules:
- {apiGroups: [""], resources: [configmaps], verbs: [get, patch, create, delete]}
- {apiGroups: [""], resources: [pods], verbs: [list]}
- {apiGroups: [""], resources: [pods/log], verbs: [get]}
- {apiGroups: [apps], resources: [deployments], verbs: [get, list, patch, create, delete]}
- {apiGroups: [batch], resources: [jobs, cronjobs], verbs: [get, list, patch, create, delete]}
- {apiGroups: [policy], resources: [poddisruptionbudgets], verbs: [get, patch, create, delete]}
"""


def test_the_documented_role_is_enough(plane: ControlPlane, k8s: K8s, namespace: str) -> None:
    assert ROLE in (Path(__file__).parents[2] / "docs" / "kubernetes.md").read_text()
    assert plane.kubectl("apply", "-n", namespace, "-f", "-", given=ROLE).returncode == 0
    user = f"operator-{namespace}"
    bound = plane.kubectl("create", "rolebinding", "tasks", "--role=tasks", f"--user={user}", "-n", namespace)
    assert bound.returncode == 0, bound.stderr
    operator = plane.kubeconfig(user)
    assert k8s("apply", k8s.write(CAM), "--no-wait", kubeconfig=operator).code == 0
    assert len(k8s("list", "--json", kubeconfig=operator).json) == 1
    deleted = k8s("delete", "cam", kubeconfig=operator)
    assert deleted.code == 0, deleted
    secrets = plane.kubectl("get", "secrets", "-n", namespace, kubeconfig=operator)
    assert "Forbidden" in secrets.stderr


def test_the_functions_of_the_guide_work(k8s: K8s) -> None:
    k8s.write(guide.ENTRY)
    code = f"""
from skald_bridge.kubernetes import create_single_process_resources, create_worker_configmap
create_worker_configmap({k8s.namespace!r}, "task-beta")
create_single_process_resources({k8s.namespace!r}, "task-alpha")
create_single_process_resources(namespace={k8s.namespace!r}, task_name="task-alpha")
"""
    env = skald_environment(k8s.home, {"KUBECONFIG": str(k8s.kubeconfig)})
    command = [sys.executable, "-c", code]
    done = subprocess.run(command, env=env, cwd=k8s.home, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    (row,) = k8s("list", "--json").json
    assert (row["name"], row["task"], row["kind"]) == ("task-alpha", "TaskWorker1", "Deployment")
    assert "removed ConfigMap/skald-worker-config-task-beta" in k8s("delete", "task-beta").out


def test_the_wait_outlives_a_restart_of_the_apiserver(plane: ControlPlane, k8s: K8s, node: Node) -> None:
    with started(k8s, "apply", k8s.write(CAM)) as applying:
        lines = applying.stdout
        assert lines is not None

        def heard(words: str) -> None:
            said = ""
            while words not in said:
                line = lines.readline()
                assert line, applying.communicate()
                said += line

        pod = node.pod(k8s.namespace, APP)
        # The pod is there before the last object is applied, which is not what an apply outlives.
        heard("cam: 0 of 1 ready")
        plane.server.kill()
        try:
            heard("does not answer")
        finally:
            plane.server.start()
        node.ready(k8s.namespace, pod)
        _, errors = applying.communicate(timeout=120)
        assert applying.returncode == 0, errors
