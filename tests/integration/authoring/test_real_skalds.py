"""Classes written for the real skalds package, unchanged but for their registration."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.integration.authoring.test_stock_worker import PROJECT, lines
from tests.services.poll import until
from tests.services.prefect_cli import running
from tests.services.prefect_server import PrefectServer
from tests.services.skalds_package import skalds_path

pytestmark = pytest.mark.server
CHECK = "import workers; assert workers.BaseTaskWorker.__module__ == 'skalds.worker.baseclass'\n"
FEED = """
from skald_bridge.authoring.testing import updates
with updates() as feed:
    good, bad = feed.push(speed=4), feed.push(speed="fast")
    workers.stamper.fn(workers.Data(outFile=OUT))
assert good.applied, good.reason
assert bad.reason.startswith("speed: Input should be a valid integer"), bad.reason
"""


@pytest.fixture(scope="module")
def skalds() -> dict[str, str]:
    return {"PYTHONPATH": str(skalds_path()), "LOG_LEVEL": "WARNING"}


def test_its_life_and_its_updates(server: PrefectServer, skalds: dict[str, str], tmp_path: Path) -> None:
    out = tmp_path / "stamps"
    code = CHECK + FEED.replace("OUT", repr(str(out)))
    env = {**server.client_env, **skalds}
    subprocess.run([sys.executable, "-c", code], cwd=PROJECT, env=env, check=True, timeout=120)
    assert [line[0] for line in lines(out)] == ["initialize", "update", "before", "main", "after", "release"]


def test_as_a_flow_run_it_completes_fails_and_releases_on_a_signal(
    server: PrefectServer, skalds: dict[str, str], tmp_path: Path
) -> None:
    out = tmp_path / "stamps"
    call = "workers.stamper(workers.Data(outFile={out!r}{more}))\n"
    env = {**server.client_env, **skalds}
    done = subprocess.run(
        [sys.executable, "-c", CHECK + call.format(out=str(out), more="")], cwd=PROJECT, env=env, timeout=120
    )
    assert done.returncode == 0
    broken = subprocess.run(
        [sys.executable, "-c", CHECK + call.format(out=str(out), more=", breaks='lens cap on'")],
        cwd=PROJECT,
        env=env,
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert broken.returncode == 1 and "lens cap on" in broken.stderr
    out.unlink()
    code = CHECK + call.format(out=str(out), more=", seconds=60")
    with running(server, [sys.executable, "-c", code], tmp_path / "log", env=skalds, cwd=PROJECT) as process:
        until(lambda: any(line[0] == "main" for line in lines(out)), 120, "main")
        process.terminate()
        process.wait(30)
    assert lines(out)[-1] == ["release", "15"]
