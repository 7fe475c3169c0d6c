"""What happens as an interpreter starts, before any code of ours: ``sitecustomize``, ``.pth`` lines, and who is found.

Prefect's process worker starts with the folder of the code in ``PYTHONPATH``: a module there comes before Python's own.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from importlib.machinery import PathFinder
from pathlib import Path
from types import CodeType, ModuleType

_OURS = ("__main__", "skald_work_pools")


def given_environment() -> dict[str, str]:
    """What this process was started with, whatever it has made of that since."""
    given = Path("/proc/self/environ").read_bytes()
    entries = [entry.partition(b"=") for entry in given.split(b"\0") if b"=" in entry]
    return {os.fsdecode(name): os.fsdecode(value) for name, _, value in entries}


def changes(given: Mapping[str, str], now: Mapping[str, str]) -> dict[str, str | None]:
    """The variables whose values were changed, with their new ones; ``None`` where one was removed."""
    return {name: now.get(name) for name in given.keys() | now.keys() if given.get(name) != now.get(name)}


def loaded_by_site(modules: Mapping[str, ModuleType]) -> list[ModuleType]:
    """Modules of which neither Python nor this package is the author."""
    known = (*_OURS, *sys.stdlib_module_names)
    return [module for name, module in modules.items() if name.partition(".")[0] not in known]


def names_mentioned(modules: Iterable[ModuleType]) -> set[str]:
    """Every string in their code that could be a variable's name: what they read cannot be watched any more."""
    return {text for module in modules for text in _strings(_code_of(module)) if text.isidentifier()}


def found_at_start(modules: Mapping[str, ModuleType]) -> frozenset[str]:
    """Top-level names for which an interpreter looks in its ``PYTHONPATH`` first, of the modules that it has now."""
    names = {name for name, module in modules.items() if "." not in name and not _is_built_in(module)}
    return frozenset(names.difference(_OURS) | {"sitecustomize", "usercustomize"})


def outranking(folder: str, names: Iterable[str]) -> list[str]:
    """Files in a folder that are found before the modules of these names."""
    specs = [PathFinder.find_spec(name, [folder]) for name in sorted(names)]
    return [spec.origin for spec in specs if spec is not None and spec.origin is not None]


def _is_built_in(module: ModuleType) -> bool:
    spec = getattr(module, "__spec__", None)
    return spec is None or spec.origin in ("built-in", "frozen")


def _code_of(module: ModuleType) -> CodeType | None:
    with suppress(Exception):
        code = module.__spec__.loader.get_code(module.__name__)  # type: ignore[union-attr]
        return code if isinstance(code, CodeType) else None
    return None


def _strings(code: CodeType | None) -> Iterator[str]:
    for constant in code.co_consts if code else ():
        if isinstance(constant, CodeType):
            yield from _strings(constant)
        elif isinstance(constant, str):
            yield constant
        elif isinstance(constant, tuple):
            yield from (each for each in constant if isinstance(each, str))
