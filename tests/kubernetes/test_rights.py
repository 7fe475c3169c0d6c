"""Who of `deployments/kubernetes/` may what: that and nothing else, by the real authoriser."""

from __future__ import annotations

import pytest
from kubernetes import client, config

from tests.services.kubernetes.cluster import ControlPlane
from tests.services.kubernetes.overlays import OVERLAYS, workloads

pytestmark = pytest.mark.kubernetes
VERBS = ["get", "list", "watch", "create", "update", "patch", "delete", "deletecollection"]
RESOURCES = [
    *("jobs.batch", "cronjobs.batch", "deployments.apps", "daemonsets.apps", "pods", "pods/log", "pods/exec"),
    *("secrets", "configmaps", "events", "services", "nodes", "namespaces", "serviceaccounts"),
    *("roles.rbac.authorization.k8s.io", "rolebindings.rbac.authorization.k8s.io"),
]
MAY = {
    "skald-bridge": {("jobs.batch", "list"), ("jobs.batch", "delete"), ("pods", "list")},
    "prefect-worker": {
        *(("jobs.batch", verb) for verb in ("create", "get", "list", "watch", "delete")),
        *(("pods", verb) for verb in ("get", "list", "watch")),
        ("pods/log", "get"),
    },
    "default": set(),
}


@pytest.mark.parametrize("account", list(MAY))
def test_the_authoriser_allows_what_is_named_and_nothing_else(platform: ControlPlane, account: str) -> None:
    """Each verb on each resource, asked of the real authoriser, in each namespace and for the whole cluster."""
    api = client.AuthorizationV1Api(config.new_client_from_config(str(platform.admin)))
    groups = ["system:serviceaccounts", "system:serviceaccounts:skald", "system:authenticated"]
    allowed = set()
    for namespace in ("skald-runs", "skald", "default", None):
        for whole in RESOURCES:
            resource, _, group = whole.partition(".")
            resource, _, part = resource.partition("/")
            for verb in VERBS:
                asked = {"verb": verb, "resource": resource, "group": group, "subresource": part}
                asked |= {"namespace": namespace} if namespace else {}
                review = {
                    "spec": {
                        "user": f"system:serviceaccount:skald:{account}",
                        "groups": groups,
                        "resourceAttributes": asked,
                    }
                }
                if api.create_subject_access_review(review).status.allowed:
                    allowed.add((namespace, whole, verb))
    assert allowed == {("skald-runs", *each) for each in MAY[account]}


def test_what_is_not_needed_is_answered_403(platform: ControlPlane) -> None:
    for account in ("skald-bridge", "prefect-worker"):
        worker = platform.kubeconfig(f"system:serviceaccount:skald:{account}", ["system:serviceaccounts"])
        assert platform.kubectl("get", "jobs", "-n", "skald-runs", kubeconfig=worker).returncode == 0
        for words in (
            ("get", "secrets", "-n", "skald"),
            ("get", "secrets", "-n", "skald-runs"),
            ("get", "jobs", "-n", "skald"),
            ("get", "pods", "--all-namespaces"),
            ("get", "nodes"),
            ("create", "job", "x", "--image=x", "-n", "skald"),
            ("create", "configmap", "x", "-n", "skald-runs"),
        ):
            refused = platform.kubectl(*words, kubeconfig=worker)
            assert refused.returncode != 0, words
            assert "(Forbidden)" in refused.stderr or "is forbidden" in refused.stderr, refused.stderr


def test_the_platform_without_rights_has_no_token() -> None:
    for overlay in OVERLAYS:
        for name, workload in workloads(overlay).items():
            pod = workload["spec"]["template"]["spec"]
            assert pod["automountServiceAccountToken"] is (name in MAY)
            assert pod.get("serviceAccountName", name) == name
