"""`skald k8s apply` at a terminal: a person is asked once the changes are shown."""

from __future__ import annotations

import os
import pty
import subprocess

import pytest

from tests.kubernetes.conftest import K8s
from tests.services.kubernetes import guide
from tests.services.skald_cli import SKALD, skald_environment

pytestmark = pytest.mark.kubernetes
CAM = guide.ENTRY.replace("TaskWorker1", "cam")


@pytest.mark.parametrize(("answer", "more"), [("n", []), ("y", []), (None, ["--yes"])])
def test_a_terminal_is_asked_unless_told_not_to(k8s: K8s, answer: str | None, more: list[str]) -> None:
    file = k8s.write(CAM)
    ours, theirs = pty.openpty()
    env = skald_environment(k8s.home, {"KUBECONFIG": str(k8s.kubeconfig)})
    command = [*SKALD, "k8s", "apply", file, "--no-wait", "--namespace", k8s.namespace, *more]
    try:
        os.write(ours, f"{answer}\n".encode() if answer else b"")
        done = subprocess.run(
            command, env=env, cwd=k8s.home, stdin=theirs, capture_output=True, text=True, timeout=120
        )
    finally:
        os.close(ours)
        os.close(theirs)
    asked = f"Make these 3 changes in {k8s.namespace}?"
    assert (asked in done.stdout + done.stderr) == (answer is not None)
    assert "created Deployment/skald-single-worker-cam" in done.stdout
    rows = k8s("list", "--json").json
    if answer == "n":
        assert done.returncode == 1
        assert "Nothing was changed." in done.stderr
        assert rows == []
    else:
        assert done.returncode == 0, done.stderr
        assert [row["name"] for row in rows] == ["cam"]
