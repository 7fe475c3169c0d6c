"""The container as it is rendered, run as a kubelet would: not as root, on a read-only root, probed and ended.

Its variables, its two writable places, its probes and its preStop are the manifest's; the image is this machine.
"""

from __future__ import annotations

import os
import shlex
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil
import pytest

from skald_bridge.wire.manifests import Options, entry_text, workload
from skald_bridge.wire.pods import HOME, USER, PodOptions
from skald_bridge.wire.skalds_yaml import Entry
from tests.conftest import required
from tests.services.leashed import leashed
from tests.services.poll import until

pytestmark = pytest.mark.kubernetes
ROOT = Path(__file__).parents[2]
SCRIPT = ROOT / "tests" / "services" / "kubernetes" / "pod_root.sh"
WORKER = """
import os, time
from pathlib import Path
from pydantic import BaseModel
from skald_bridge.skalds import BaseTaskWorker, release_handler, run_main_handler

class Camera(BaseModel):
    rtsp_url: str

class MyWorker(BaseTaskWorker[Camera]):
    def initialize(self, data: Camera) -> None: ...

    @run_main_handler
    def main(self) -> None:
        for path in ("/root-is-writable", "/config/writable", "/var/lib/writable"):
            try:
                Path(path).touch()
            except OSError as error:
                print("refused", path, type(error).__name__, flush=True)
        Path("/tmp/own").touch()
        (Path.home() / "own").touch()
        print("works as", os.getuid(), flush=True)
        while True:
            time.sleep(0.1)

    @release_handler
    def release(self) -> None:
        time.sleep(1)
        print("released", flush=True)
"""
ENTRY = Entry("cam", "MyWorker", {"rtsp_url": "rtsp://192.168.1.1/camera1"})


@dataclass
class Pod:
    process: subprocess.Popen[bytes]
    log: Path
    container: dict[str, Any]
    folder: Path

    def said(self) -> str:
        return self.log.read_text(errors="replace")

    @property
    def first(self) -> int:
        """Its process 1, as this machine numbers it."""
        return next(p.pid for p in psutil.Process(self.process.pid).children(recursive=True) if _is_first(p))

    def execute(self, command: list[str]) -> int:
        """In the container, as a kubelet executes probes and hooks; the exit code."""
        inside = ["nsenter", "--target", str(self.first), "--mount", "--pid", "--root", "--wd"]
        as_user = [f"--setuid={USER}", f"--setgid={USER}"]
        return subprocess.run([*inside, *as_user, *command], timeout=60, capture_output=True).returncode

    def probe(self, name: str) -> int:
        return self.execute(self.container[name]["exec"]["command"])


def _is_first(process: psutil.Process) -> bool:
    line = next(
        x for x in Path(f"/proc/{process.pid}/status").read_text().splitlines() if x.startswith("NSpid")
    )
    return line.split()[-1] == "1"


@contextmanager
def pod(tmp_path: Path, command: list[str]) -> Iterator[Pod]:
    if os.geteuid() != 0:
        required("root, for a pod's namespaces")
    if subprocess.run(["unshare", "--mount", "--pid", "--fork", "true"], capture_output=True).returncode:
        required("mount and pid namespaces")
    container = workload(ENTRY, Options(PodOptions("r/i:1"))).manifests[1]["spec"]["template"]["spec"][
        "containers"
    ][0]
    config = tmp_path / "config"
    config.mkdir()
    (config / "all_workers.yml").write_text(entry_text(ENTRY))
    (config / "my_workers.py").write_text(WORKER)
    folder = tmp_path / "pod"
    folder.mkdir()
    env = {each["name"]: each["value"] for each in container["env"]}
    python = Path(sys.executable)
    closed = {
        path for end in (python, python.resolve(), ROOT / "x") for path in end.parents if path != Path("/")
    }
    env |= {
        "PATH": os.environ["PATH"],
        "OPEN": " ".join(map(str, closed)),
        "SKALD_IMPORT": "/config/my_workers.py",
        "PYTHONPATH": ":".join(map(str, (ROOT, ROOT / "work_pools", ROOT / "blocks"))),
    }
    namespaces = ["unshare", "--mount", "--pid", "--fork", "--kill-child=KILL"]
    script = ["bash", str(SCRIPT), str(folder), str(config), str(USER), HOME]
    log = tmp_path / "log"
    with log.open("wb") as out:
        process = subprocess.Popen(
            leashed([*namespaces, *script, *command]),
            env=env,
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=out,
        )
    made = Pod(process, log, container, folder)

    def works() -> bool:
        assert process.poll() is None, made.said()
        return f"works as {USER}" in made.said()

    try:
        until(works, 120, f"the worker at work; its log: {log}")
        yield made
    finally:
        process.kill()
        process.wait()
        shutil.rmtree(folder, ignore_errors=True)


SKALD_RUN = [sys.executable, "-m", "skald_bridge.cli", "run"]


def test_it_runs_without_rights_and_is_ready_while_it_works(tmp_path: Path) -> None:
    with pod(tmp_path, SKALD_RUN) as running:
        for path in ("/root-is-writable", "/config/writable", "/var/lib/writable"):
            assert f"refused {path}" in running.said()
        for probe in ("startupProbe", "readinessProbe", "livenessProbe"):
            assert running.probe(probe) == 0, probe
        # As if its last touch had been half a minute ago: a process that hangs.
        os.kill(running.first, signal.SIGSTOP)
        old = ["/bin/sh", "-c", "touch -d '-40 seconds' /tmp/skald-alive"]
        assert running.execute(old) == 0
        assert running.probe("livenessProbe") != 0
        assert running.probe("readinessProbe") != 0


@pytest.mark.parametrize(
    "command",
    [SKALD_RUN, ["/bin/sh", "-c", f"{shlex.join(SKALD_RUN)}; exit $?"]],
    ids=["first", "below-a-shell"],
)
def test_its_end_is_release(tmp_path: Path, command: list[str]) -> None:
    """preStop, then SIGTERM to process 1: what a kubelet does within the grace period."""
    with pod(tmp_path, command) as running:
        first = running.first
        code = running.execute(running.container["lifecycle"]["preStop"]["exec"]["command"])
        if "/bin/sh" not in command:
            assert code == 0
            assert "released" not in running.said()
            os.kill(first, signal.SIGTERM)
        running.process.wait(30)
        assert "released" in running.said()
