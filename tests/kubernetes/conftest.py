"""One control plane for all these tests, and a namespace for each."""

from __future__ import annotations

import contextlib
import importlib.util
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING
from uuid import uuid4

import pytest
import yaml

from tests.services.skald_cli import Answer, skald

if TYPE_CHECKING:
    from tests.services.kubernetes.cluster import ControlPlane
    from tests.services.kubernetes.node import Node

_SERVICE_MONITOR = Path(__file__).parents[1] / "services" / "kubernetes" / "service_monitor_crd.yaml"

if importlib.util.find_spec("kubernetes") is None:
    # `make test` has no Kubernetes client, and deselects these; `make test-kubernetes` installs it.
    collect_ignore_glob = ["test_*.py"]


def pytest_collection_finish(session: pytest.Session) -> None:
    """Built before the first test, which has its time limit; why it cannot be is said by the tests that need it."""
    asked = any(item.get_closest_marker("kubernetes") for item in session.items)
    if asked and not session.config.getoption("collectonly"):
        from tests.services.kubernetes.program import program

        with contextlib.suppress(pytest.skip.Exception, pytest.fail.Exception):
            program()


@pytest.fixture(scope="session")
def plane(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ControlPlane]:
    from tests.services.kubernetes.cluster import ControlPlane

    with ControlPlane(tmp_path_factory.mktemp("kubernetes")) as running:
        yield running


@pytest.fixture(scope="session")
def node(plane: ControlPlane) -> Iterator[Node]:
    from tests.services.kubernetes.node import Node

    with Node(plane, "studio-1") as made:
        yield made


@pytest.fixture(scope="session")
def platform(plane: ControlPlane) -> ControlPlane:
    """A cluster with the platform's namespaces and rights, and the Prometheus operator's kind."""
    from tests.services.kubernetes.overlays import objects

    rights = [
        each
        for each in objects("dev")
        if each["kind"] in ("Namespace", "ServiceAccount", "Role", "RoleBinding")
    ]
    # A cluster with NVIDIA's operator has it.
    runtime = {
        "apiVersion": "node.k8s.io/v1",
        "kind": "RuntimeClass",
        "metadata": {"name": "nvidia"},
        "handler": "nvidia",
    }
    given = yaml.safe_dump_all([*rights, runtime, yaml.safe_load(_SERVICE_MONITOR.read_text())])
    made = plane.kubectl("apply", "-f", "-", given=given)
    assert made.returncode == 0, made.stderr
    wait = plane.kubectl("wait", "--for=condition=Established", "crd/servicemonitors.monitoring.coreos.com")
    assert wait.returncode == 0, wait.stderr
    return plane


@pytest.fixture
def namespace(plane: ControlPlane) -> str:
    name = f"t-{uuid4().hex[:8]}"
    made = plane.kubectl("create", "namespace", name)
    assert made.returncode == 0, made.stderr
    return name


class K8s:
    """``skald k8s`` in one namespace."""

    def __init__(self, home: Path, kubeconfig: Path, namespace: str) -> None:
        self.home = home
        self.namespace = namespace
        self.kubeconfig = kubeconfig

    def __call__(self, *arguments: str, kubeconfig: Path | None = None) -> Answer:
        env = {"KUBECONFIG": str(kubeconfig or self.kubeconfig)}
        words = (*arguments, "--namespace", self.namespace)
        return skald("k8s", *words, home=self.home, env=env, cwd=self.home, seconds=240)

    def write(self, text: str, name: str = "all_workers.yml") -> str:
        (self.home / name).write_text(text)
        return name


@pytest.fixture
def k8s(tmp_path: Path, plane: ControlPlane, namespace: str) -> K8s:
    return K8s(tmp_path, plane.admin, namespace)
