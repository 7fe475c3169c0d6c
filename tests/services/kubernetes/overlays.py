"""What `deployments/kubernetes/` is once kustomize has rendered it."""

from __future__ import annotations

import subprocess
from functools import cache
from pathlib import Path
from typing import Any

import yaml

from tests.services.kubernetes.program import program

KUSTOMIZE = Path(__file__).parents[3] / "deployments" / "kubernetes"
OVERLAYS = ["dev", "gpu", "ha"]
Json = dict[str, Any]


@cache
def text(overlay: str) -> str:
    command = [str(program()), "kubectl", "kustomize", str(KUSTOMIZE / "overlays" / overlay)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    assert "Warning" not in done.stderr, done.stderr
    return done.stdout


def objects(overlay: str, *kinds: str) -> list[Json]:
    found = [each for each in yaml.safe_load_all(text(overlay)) if not kinds or each["kind"] in kinds]
    assert found, f"{overlay} has no {kinds}"
    return found


def workloads(overlay: str) -> dict[str, Json]:
    return {
        each["metadata"]["name"]: each for each in objects(overlay, "Deployment", "StatefulSet", "DaemonSet")
    }


def containers(workload: Json) -> list[Json]:
    spec = workload["spec"]["template"]["spec"]
    return [*spec.get("initContainers", []), *spec["containers"]]
