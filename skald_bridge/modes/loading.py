"""Reading a user's module or script for its task types.

A script that ends in ``Skalds(config).run()`` is read up to that call: its classes and registrations are
taken, nothing is started a second time.
"""

from __future__ import annotations

import hashlib
import importlib
import importlib.util
import sys
from contextvars import ContextVar
from pathlib import Path
from types import ModuleType
from typing import Any

from skald_bridge.domain.errors import InvalidInput


class ScriptReady(BaseException):
    """The script has reached its ``run()``: everything it offers is known."""


_registering: ContextVar[list[Any] | None] = ContextVar("skald-registering", default=None)


def registering() -> list[Any] | None:
    """Where registrations of the script being read are gathered; ``None`` when none is being read."""
    return _registering.get()


def load(source: str) -> tuple[ModuleType, list[Any]]:
    """The module or file that ``source`` names, and what it registered.

    Raises:
        InvalidInput: there is no such module or file, or it breaks while it is read.
    """
    registered: list[Any] = []
    token = _registering.set(registered)
    try:
        module = _file(Path(source)) if is_file(source) else _module(source)
        return module, list(vars(module).setdefault("__skald_registered__", registered))
    except InvalidInput:
        raise
    except Exception as error:
        raise InvalidInput(
            f"{source} cannot be read for its task types: {type(error).__name__}: {error}.",
            remedy="See that it imports with python alone, in the environment of this command.",
        ) from error
    finally:
        _registering.reset(token)


def is_file(source: str) -> bool:
    return source.endswith(".py") or "/" in source


def _file(path: Path) -> ModuleType:
    path = path.absolute()
    if not path.is_file():
        raise InvalidInput(
            f"There is no file {path} to import task types from.", remedy="Give --import its path."
        )
    # Prefect runs a script under a name of its own as well: one file, one module, whatever its folder.
    name = f"skald_types_{path.stem}_{hashlib.sha256(str(path).encode()).hexdigest()[:8]}"
    if name in sys.modules:
        return sys.modules[name]
    if (folder := str(path.parent)) not in sys.path:
        sys.path.insert(0, folder)
    spec = importlib.util.spec_from_file_location(name, path)
    if spec is None or spec.loader is None:
        raise InvalidInput(f"{path} is not a Python file.", remedy="Give --import a .py file or a module.")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    try:
        spec.loader.exec_module(module)
    except ScriptReady:
        pass
    except BaseException:
        del sys.modules[name]
        raise
    return module


def _module(name: str) -> ModuleType:
    if (here := str(Path.cwd())) not in sys.path:
        sys.path.insert(0, here)
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        if error.name is None or not (name == error.name or name.startswith(f"{error.name}.")):
            raise
        raise InvalidInput(
            f"There is no module {name} to import task types from.",
            remedy="Give --import a file ending in .py, or a module on PYTHONPATH.",
        ) from error
