"""Commands that die with the process that starts them, whatever ends it."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence

from skald_bridge.installation import die_with_parent


def leashed(command: Sequence[str]) -> list[str]:
    """Start it from a thread that lives as long as the command shall: the kernel watches that thread."""
    return [sys.executable, "-I", "-S", die_with_parent.__file__, str(os.getpid()), *command]
