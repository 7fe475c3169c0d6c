"""Cpus and memory of this machine that this process may use."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import psutil


def cpus(root: Path = Path("/")) -> float:
    """Cores, possibly a fraction: the smallest of the affinity mask and the cgroup quotas on this process."""
    return min([float(len(os.sched_getaffinity(0))), *_quotas(root)])


def memory(root: Path = Path("/")) -> int:
    """Bytes: the smallest of the machine's memory and the cgroup limits on this process."""
    return min([int(psutil.virtual_memory().total), *_limits(root)])


def _quotas(root: Path) -> Iterator[float]:
    for folder in _groups(root, ""):
        quota, _, period = _read(folder / "cpu.max").partition(" ")
        if quota.isdigit() and period.isdigit():
            yield int(quota) / int(period)
    for folder in _groups(root, "cpu"):
        quota, period = _read(folder / "cpu.cfs_quota_us"), _read(folder / "cpu.cfs_period_us")
        if quota.isdigit() and period.isdigit() and int(period):
            yield int(quota) / int(period)


def _limits(root: Path) -> Iterator[int]:
    for controller, name in (("", "memory.max"), ("memory", "memory.limit_in_bytes")):
        for folder in _groups(root, controller):
            limit = _read(folder / name)
            if limit.isdigit():
                yield int(limit)


def _groups(root: Path, controller: str) -> Iterator[Path]:
    """The cgroup folders of this process and those above it; ``controller`` is empty for version 2."""
    mount = root / "sys/fs/cgroup"
    for line in _read(root / "proc/self/cgroup").splitlines():
        _, _, rest = line.partition(":")
        names, _, inside = rest.partition(":")
        if controller not in names.split(","):
            continue
        for base in (
            (mount / controller, mount / "unified") if not controller else (mount / controller, mount / names)
        ):
            path = base / inside.lstrip("/")
            while path != base:
                yield path
                path = path.parent
            yield base


def _read(path: Path) -> str:
    try:
        return path.read_text().strip()
    except (OSError, UnicodeDecodeError):
        return ""
