"""One control plane for all these tests, and a namespace for each."""

from __future__ import annotations

import contextlib
import importlib.util
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING
from uuid import uuid4

import pytest

from tests.services.skald_cli import Answer, skald

if TYPE_CHECKING:
    from tests.services.kubernetes.cluster import ControlPlane
    from tests.services.kubernetes.node import Node

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
