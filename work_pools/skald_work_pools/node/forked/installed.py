"""Which files are Python's, an installed package's or the node's own, and so nobody's user code."""

from __future__ import annotations

import os
import site
import sysconfig
from pathlib import Path


def is_installed(path: str) -> bool:
    return path.startswith(_INSTALLED)


_FOLDERS = (
    *(sysconfig.get_path(key) for key in ("stdlib", "platstdlib", "purelib", "platlib")),
    *site.getsitepackages(),
    site.getusersitepackages(),
    str(Path(__file__).parents[2]),
)
_INSTALLED = tuple(
    {spelled + os.sep for folder in _FOLDERS if folder for spelled in (folder, str(Path(folder).resolve()))}
)
