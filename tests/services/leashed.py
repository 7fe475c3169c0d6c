"""Commands that die with the process that starts them, whatever ends it."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence

from skald_bridge.services import leash


def leashed(command: Sequence[str]) -> list[str]:
    """Start it from a thread that lives as long as the command shall: the kernel watches that thread."""
    return [sys.executable, "-I", "-S", leash.__file__, str(os.getpid()), *command]
