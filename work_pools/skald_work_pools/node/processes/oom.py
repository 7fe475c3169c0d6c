"""Whether the kernel ran out of memory while a run lived: its own counters, before and after."""

from __future__ import annotations

from pathlib import Path


def kills(root: Path = Path("/")) -> int:
    """Processes that the kernel has killed for memory, in this cgroup and on this machine; grows only."""
    return _counted(root / "proc/vmstat") + sum(_counted(path) for path in _files(root))


def _files(root: Path) -> list[Path]:
    found = []
    mount = root / "sys/fs/cgroup"
    try:
        lines = (root / "proc/self/cgroup").read_text().splitlines()
    except OSError:
        return []
    for line in lines:
        _, _, rest = line.partition(":")
        names, _, inside = rest.partition(":")
        inside = inside.lstrip("/")
        if not names:
            found += [mount / inside / "memory.events", mount / "unified" / inside / "memory.events"]
        elif "memory" in names.split(","):
            found += [mount / "memory" / inside / "memory.oom_control"]
    return found


def _counted(path: Path) -> int:
    try:
        lines = path.read_text().splitlines()
    except OSError:
        return 0
    return sum(int(number) for key, _, number in (line.partition(" ") for line in lines) if key == "oom_kill")
