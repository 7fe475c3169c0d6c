"""What `skald doctor` looks at, one function a matter."""

from __future__ import annotations

import asyncio
import difflib
import os
import platform
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, requires, version
from pathlib import Path
from typing import Literal
from urllib.parse import urlsplit

from packaging.requirements import Requirement

from skald_bridge.cli.bridge import journal_file
from skald_bridge.cli.connect import check_server, configured_url, running_up
from skald_bridge.cli.output import size
from skald_bridge.domain.errors import SkaldError
from skald_bridge.installation.embedded import HOST
from skald_bridge.installation.ports_in_use import check_free, listens
from skald_bridge.settings import Settings
from skald_bridge.settings.file import environment_names
from skald_bridge.settings.without_effect import without_effect

Status = Literal["ok", "warning", "failed"]
LEAST_SPACE = 500_000_000
ENOUGH_SPACE = 5_000_000_000
LARGE_JOURNAL = 1_000_000_000
_INTERNAL = ("SKALD_CONFIG", "SKALD_CHANNEL_FD")


@dataclass(frozen=True)
class Check:
    name: str
    status: Status
    detail: str
    remedy: str | None = None
    required: bool = True


def examine(settings: Settings) -> Iterator[Check]:
    """All checks, each as soon as it is made."""
    yield python()
    yield from packages()
    yield from (check(settings) for check in (prefect_api, port))
    yield ffmpeg()
    yield gpus()
    yield from (check(settings) for check in (folder, space, journal))
    yield from services(settings)
    yield from unknown_variables()
    yield from set_in_vain(settings)


def python() -> Check:
    found = platform.python_version_tuple()
    fine = (3, 11) <= (int(found[0]), int(found[1])) <= (3, 13)
    remedy = None if fine else "Install Python 3.11, 3.12 or 3.13 and make a new environment."
    return Check("Python", "ok" if fine else "failed", platform.python_version(), remedy)


def packages() -> Iterator[Check]:
    """Every package that this one requires; the two that matter by name, the others together."""
    wrong: list[str] = []
    for text in requires("prefect-skald") or []:
        needed = Requirement(text)
        if needed.marker is not None and not needed.marker.evaluate({"extra": ""}):
            continue
        try:
            found = version(needed.name)
        except PackageNotFoundError:
            found = "missing"
        fine = found != "missing" and needed.specifier.contains(found, prereleases=True)
        if needed.name in ("prefect", "fastapi"):
            remedy = None if fine else f"pip install '{needed.name}{needed.specifier}'"
            detail = f"{found} (wanted: {needed.specifier})"
            yield Check(needed.name, "ok" if fine else "failed", detail, remedy)
        elif not fine:
            wrong.append(f"{needed.name} {found} (wanted: {needed.specifier})")
    yield Check(
        "other packages",
        "failed" if wrong else "ok",
        ", ".join(wrong) or "as required",
        "pip install --upgrade prefect-skald" if wrong else None,
    )


def prefect_api(settings: Settings) -> Check:
    configured = configured_url(settings)
    running = running_up(settings.home)
    url = configured or (running["api_url"] if running else None)
    if url is None:
        return Check("Prefect API", "ok", "none configured: `skald up` starts one", required=False)
    try:
        found = check_server(url.rstrip("/"))
    except SkaldError as error:
        return Check("Prefect API", "failed", error.message, error.remedy)
    return Check("Prefect API", "ok", f"{url}, version {found or 'not told'}")


def port(settings: Settings) -> Check:
    name = f"port {settings.server_port}"
    if running_up(settings.home):
        return Check(name, "ok", "a `skald up` of this home runs", required=False)
    if configured_url(settings):
        return Check(name, "ok", "not needed: a Prefect API is configured", required=False)
    try:
        check_free(
            HOST,
            settings.server_port,
            what="Prefect's server",
            remedy="skald up --port ANOTHER, or end what has it.",
        )
    except SkaldError as error:
        return Check(name, "warning", error.message, error.remedy, required=False)
    return Check(name, "ok", "free for `skald up`")


def ffmpeg() -> Check:
    from skald_bridge.media.ffmpeg import executable

    try:
        found = executable()
    except SkaldError as error:
        return Check("ffmpeg", "failed", error.message, error.remedy)
    try:
        told = subprocess.run([found, "-version"], capture_output=True, text=True, timeout=20, check=True)
    except (OSError, subprocess.SubprocessError) as error:
        remedy = "Install ffmpeg (apt install ffmpeg), or: pip install --force-reinstall imageio-ffmpeg"
        return Check("ffmpeg", "failed", f"{found} does not run: {error}", remedy)
    words = told.stdout.split()
    return Check("ffmpeg", "ok", f"{words[2] if len(words) > 2 else '?'} ({found})")


def gpus() -> Check:
    from skald_work_pools.nvml import Nvml

    nvml = Nvml.from_environment()
    try:
        found, problem = nvml.gpus, nvml.problem
    finally:
        nvml.close()
    if found:
        names = ", ".join(f"{gpu.name} ({size(gpu.memory)})" for gpu in found)
        remedy = "nvidia-smi shows what is wrong." if problem else None
        detail = f"{names}; {problem}" if problem else names
        return Check("GPUs", "warning" if problem else "ok", detail, remedy, required=False)
    if Path("/dev/nvidiactl").exists():
        remedy = "Mend the driver until nvidia-smi works; until then this is a cpu node."
        return Check("GPUs", "warning", f"a GPU is there, but: {problem}", remedy, required=False)
    return Check("GPUs", "ok", f"none, this is a cpu node ({problem})", required=False)


def folder(settings: Settings) -> Check:
    there = _existing(settings.home)
    if os.access(there, os.W_OK | os.X_OK) and there.is_dir():
        return Check("SKALD_HOME", "ok", str(settings.home))
    return Check("SKALD_HOME", "failed", f"{there} cannot be written", "Set SKALD_HOME to a folder that can.")


def space(settings: Settings) -> Check:
    free = shutil.disk_usage(_existing(settings.home)).free
    detail = f"{size(free)} free at {settings.home}"
    remedy = "Free some space, or set SKALD_HOME to a larger disk."
    if free < LEAST_SPACE:
        return Check("disk space", "failed", detail, remedy)
    return Check("disk space", "ok" if free >= ENOUGH_SPACE else "warning", detail, remedy)


def journal(settings: Settings) -> Check:
    """What journal and archive take, and whether they grow for ever."""
    path = journal_file(settings.home)
    days = settings.retention_days
    kept = f"what has ended is kept for {days:g} days" if days else "what has ended is kept for ever"
    if not path.is_file():
        return Check("journal", "ok", f"none yet; {kept}", required=False)
    from skald_bridge.stored import stored

    try:
        found = asyncio.run(stored(path))
    except SkaldError as error:
        return Check("journal", "warning", error.message, error.remedy, required=False)
    oldest = f"oldest ended task of {found.oldest:%Y-%m-%d}" if found.oldest else "no ended task"
    detail = f"{size(found.size)}, {size(found.free)} of it free; {oldest}; {kept}"
    remedy = None
    if not days and found.size > LARGE_JOURNAL:
        remedy = "It only grows: set SKALD_RETENTION_DAYS, such as 30."
    elif not found.shrinks:
        detail += "; free space is used again, but not given back to the disk"
        remedy = f"Stop the bridge and run once: sqlite3 {path} 'PRAGMA auto_vacuum = 2; VACUUM'"
    return Check("journal", "warning" if remedy else "ok", detail, remedy, required=False)


def services(settings: Settings) -> Iterator[Check]:
    """Those that are configured; the others are embedded."""
    mongo = settings.mongo_host.get_secret_value() if settings.mongo_host is not None else None
    for name, where, field in (
        ("Kafka", (settings.kafka_host, settings.kafka_port), "KAFKA_HOST"),
        ("Redis", (settings.redis_host, settings.redis_port), "REDIS_HOST"),
        ("MongoDB", _mongo(mongo), "MONGO_HOST"),
    ):
        host, number = where
        if not host:
            yield Check(name, "ok", "not configured: embedded", required=False)
        elif listens(host, number):
            yield Check(name, "ok", f"{host}:{number} answers")
        else:
            yield Check(
                name,
                "failed",
                f"{host}:{number} does not answer",
                f"Start it, correct {field}, or leave {field} empty to run without it.",
            )


def unknown_variables() -> Iterator[Check]:
    """SKALD_… variables that set nothing, for they are misspelt."""
    known = {name for field in Settings.model_fields for name in environment_names(field)} | set(_INTERNAL)
    for name in sorted(os.environ):
        if name.startswith("SKALD_") and name.upper() not in known:
            near = difflib.get_close_matches(name, known, 1)
            remedy = f"Did you mean {near[0]}?" if near else "`skald init` lists all settings."
            yield Check(name, "warning", "this variable sets nothing", remedy, required=False)


def set_in_vain(settings: Settings) -> Iterator[Check]:
    """Settings of Skalds' that are accepted and have no effect here."""
    for field, why in without_effect(settings):
        name = environment_names(field)[0]
        yield Check(
            name, "warning", f"has no effect here: {why}", f"Remove {name}, or leave it.", required=False
        )


def _existing(path: Path) -> Path:
    return next(folder for folder in (path.absolute(), *path.absolute().parents) if folder.exists())


def _mongo(uri: str | None) -> tuple[str | None, int]:
    """The first host of a mongodb:// URI."""
    if uri is None:
        return None, 27017
    netloc = urlsplit(uri).netloc.rpartition("@")[2].split(",")[0]
    host, _, number = netloc.partition(":")
    return host or None, int(number) if number.isdigit() else 27017
