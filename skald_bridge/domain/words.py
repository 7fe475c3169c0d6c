"""Amounts and needs as people write them; pure."""

from __future__ import annotations

from skald_work_pools.needs import Needs


def size(count: float) -> str:
    """Bytes as people write them: ``24.0 GB``."""
    for unit in ("B", "kB", "MB", "GB"):
        if abs(count) < 1000:
            return f"{count:.0f} {unit}" if unit == "B" else f"{count:.1f} {unit}"
        count /= 1000
    return f"{count:.1f} TB"


def needs_text(needs: Needs) -> str:
    """``2 cpus, 4.0 GB, 1 gpu with 8.0 GB, tag cuda``; nothing where nothing is reserved."""
    found = [f"{needs.cpus:g} cpu{'' if needs.cpus == 1 else 's'}"] if needs.cpus else []
    found += [size(needs.memory)] if needs.memory else []
    if needs.gpus:
        sessions = ((needs.nvenc, "encoder"), (needs.nvdec, "decoder"))
        share = [size(needs.gpu_memory)] if needs.gpu_memory else []
        share += [f"{count} {name}{'' if count == 1 else 's'}" for count, name in sessions if count]
        of_each = f" with {' and '.join(share)}" if share else ""
        found.append(f"{needs.gpus} gpu{'' if needs.gpus == 1 else 's'}{of_each}")
    found += [f"tag {tag}" for tag in sorted(needs.tags)]
    return ", ".join(found)
