"""Whose a call is during the load of user code: the user's, a library's, or the import machinery's."""

from __future__ import annotations

import threading
from pathlib import Path
from types import FrameType

from skald_work_pools.node.forked.installed import is_installed

INNER = ("prefect", "pydantic", "pydantic_core", "logging", "importlib", "skald_work_pools", "skald_bridge")
WAITING = (
    "asyncio",
    "concurrent",
    "multiprocessing",
    "queue",
    "random",
    "selectors",
    "socket",
    "subprocess",
    "tempfile",
    "threading",
    "uuid",
)
"""Libraries that read the clock for themselves, and keep it to themselves."""


class Callers:
    """``package`` is the user's although it may be an installed one: the entrypoint's own."""

    def __init__(self, package: str) -> None:
        self._package = package
        self._loader = threading.get_ident()

    def load_here(self) -> None:
        """This thread loads; others are always user code's own."""
        self._loader = threading.get_ident()

    def is_users(self, frame: FrameType | None, others: tuple[str, ...] = INNER) -> bool:
        """Whether user code at import is the cause, not through ``others``."""
        if threading.get_ident() != self._loader:
            return True
        while frame is not None:
            package = str(frame.f_globals.get("__name__")).partition(".")[0]
            if package in others:
                return False
            if frame.f_code.co_name == "<module>":
                file = frame.f_code.co_filename
                return package == self._package or not (is_installed(file) or file.startswith("<frozen"))
            frame = frame.f_back
        return False


def place(frame: FrameType | None) -> str:
    """File and line of the module body that a call comes from."""
    while frame is not None and frame.f_code.co_name != "<module>":
        frame = frame.f_back
    return f"{Path(frame.f_code.co_filename).name}:{frame.f_lineno}" if frame else "?"


def through_tempfile(frame: FrameType | None) -> bool:
    """Whether a module body calls through ``tempfile``."""
    while frame is not None and frame.f_code.co_name != "<module>":
        if frame.f_globals.get("__name__") == "tempfile":
            return True
        frame = frame.f_back
    return False


def is_import_machinery(frame: FrameType) -> bool:
    return frame.f_code.co_filename.startswith("<frozen importlib")
