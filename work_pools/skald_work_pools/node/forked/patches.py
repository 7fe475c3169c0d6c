"""What Python does not audit: replaced while a load is watched. Each callback gets the frame that called."""

from __future__ import annotations

import atexit
import os
import sys
from collections.abc import Callable, Generator
from contextlib import contextmanager
from types import FrameType
from typing import Any

_LOOKS = ("stat", "lstat", "access", "readlink")


@contextmanager
def looks_at_paths(looked: Callable[[str, Any, FrameType], None]) -> Generator[None, None, None]:
    """``looked`` gets the function's name and the path, of ``os.stat`` and its like."""
    originals = {name: getattr(os, name) for name in _LOOKS}

    def wrap(name: str, original: Any) -> Any:
        def recorded(path: Any, *args: Any, **kwargs: Any) -> Any:
            if not isinstance(path, int) and kwargs.get("dir_fd") is None:
                looked(name, path, sys._getframe(1))
            return original(path, *args, **kwargs)

        return recorded

    for name, original in originals.items():
        setattr(os, name, wrap(name, original))
    try:
        yield
    finally:
        for name, original in originals.items():
            setattr(os, name, original)


@contextmanager
def reads_of_environment(read: Callable[[str, FrameType], None]) -> Generator[None, None, None]:
    """``read`` gets the variable's name, whether it is set or not."""
    kind: Any = type(os.environ)
    original = kind.__getitem__

    def recorded(environ: Any, name: Any) -> Any:
        read(str(name), sys._getframe(1))
        return original(environ, name)

    kind.__getitem__ = recorded
    try:
        yield
    finally:
        kind.__getitem__ = original


@contextmanager
def exit_handlers(registered: Callable[[FrameType], None]) -> Generator[None, None, None]:
    original = atexit.register

    def recorded(function: Any, *args: Any, **kwargs: Any) -> Any:
        registered(sys._getframe(1))
        return original(function, *args, **kwargs)

    atexit.register = recorded  # type: ignore[assignment]
    try:
        yield
    finally:
        atexit.register = original
