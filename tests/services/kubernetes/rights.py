"""The identities of `deployments/kubernetes/`, with the rights that it gives them, in a namespace of a test."""

from __future__ import annotations

from pathlib import Path

import yaml

from tests.services.kubernetes.cluster import ControlPlane

_BASE = Path(__file__).parents[3] / "deployments" / "kubernetes" / "base"


def least_rights(plane: ControlPlane, namespace: str) -> dict[str, Path]:
    """A kubeconfig for each service account that has a role, by its name; flow runs are in ``namespace``."""
    rendered = plane.kubectl("kustomize", str(_BASE))
    assert rendered.returncode == 0, rendered.stderr
    rights = [each for each in yaml.safe_load_all(rendered.stdout) if each["kind"] in ("Role", "RoleBinding")]
    for each in rights:
        each["metadata"]["namespace"] = namespace
    made = plane.kubectl("apply", "-f", "-", given=yaml.safe_dump_all(rights))
    assert made.returncode == 0, made.stderr
    accounts = [each["subjects"][0] for each in rights if each["kind"] == "RoleBinding"]
    return {
        each["name"]: plane.kubeconfig(
            f"system:serviceaccount:{each['namespace']}:{each['name']}", ["system:serviceaccounts"], namespace
        )
        for each in accounts
    }
