"""The environment that skalds is installed in: its pins are older than this product's."""

from __future__ import annotations

from pathlib import Path

from tests.services.artifacts import environment_of, once

SKALDS = "skalds[backend]==0.3.8"


def peer_python() -> Path:
    """Its Python; made by the first who asks. Skips where skalds cannot be had, fails in CI."""
    return once("skalds-venv", lambda folder: environment_of(folder, SKALDS)) / "venv" / "bin" / "python"
