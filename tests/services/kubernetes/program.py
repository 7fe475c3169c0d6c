"""Kubernetes' own programs, built once from the Go module proxy."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
from pathlib import Path

from tests.conftest import required
from tests.services.artifacts import once
from tests.services.prefect_server import CACHE

VERSION = "1.34.4"
_SOURCE = Path(__file__).with_name("go")
_SECONDS = 1500
_VERSION_AT = "k8s.io/component-base/version"


def program() -> Path:
    """One executable: etcd, kube-apiserver, kube-controller-manager and kubectl are its first argument.

    Building takes minutes, and 3 GB of modules and objects. They are removed once it is built, unless
    KUBERNETES_GOMODCACHE and KUBERNETES_GOCACHE name folders for them; a build that did not end in its time leaves
    them to the next one.
    """
    source = b"".join(file.read_bytes() for file in sorted(_SOURCE.iterdir()))
    return once(f"kubernetes-{VERSION}-{hashlib.sha256(source).hexdigest()[:12]}", _build) / "kubernetes"


def _build(folder: Path) -> None:
    go = shutil.which("go") or shutil.which("go", path="/usr/local/go/bin")
    if go is None:
        required("Go, to build Kubernetes' control plane")
    assert go is not None
    made = CACHE / "kubernetes-go"
    env = {
        **os.environ,
        "CGO_ENABLED": "0",
        "GOFLAGS": "-buildvcs=false -trimpath -modcacherw",
        "GOTOOLCHAIN": "local",
        "GOMODCACHE": os.environ.get("KUBERNETES_GOMODCACHE", str(made / "mod")),
        "GOCACHE": os.environ.get("KUBERNETES_GOCACHE", str(made / "build")),
    }
    major, minor, _ = VERSION.split(".")
    said = {"gitVersion": f"v{VERSION}", "gitMajor": major, "gitMinor": minor, "gitTreeState": "clean"}
    named = " ".join(f"-X {_VERSION_AT}.{name}={value}" for name, value in said.items())
    # Without debugging information: half the time to compile, and a third of the size.
    command = [go, "build", "-gcflags=all=-dwarf=false", "-ldflags", f"-s -w {named}"]
    try:
        ran = subprocess.run(
            [*command, "-o", str(folder / "kubernetes"), "."],
            cwd=_SOURCE,
            env=env,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=_SECONDS,
        )
    except subprocess.TimeoutExpired:
        required(f"Kubernetes' control plane: not built after {_SECONDS} s; the next try goes on from there")
    if ran.returncode:
        required(f"Kubernetes' control plane from the Go module proxy: {ran.stderr.strip()[-500:]}")
    shutil.rmtree(made, ignore_errors=True)
