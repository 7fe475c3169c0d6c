"""What a load of code depended on, as it was then: files, folders listed, modules looked for, links followed."""

from __future__ import annotations

import os
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Any

Stamp = tuple[int, int, int, int]
"""Device, inode, modification time in ns and size of a file."""

Place = tuple[str, int, int]


@dataclass
class Reads:
    """JSON can hold it; paths are absolute. What is ``None`` or missing was looked for and not there.

    ``places``: where folders really were, and their device and inode.
    ``files``: stamps.
    ``kinds``: "dir", "other" or ``None``, for what only its existence was asked of.
    ``links``: where symbolic links led.
    ``folders``: all names in folders that were listed.
    ``searched``: a folder, the names of modules looked for in it, and its entries of these names.
    """

    places: dict[str, Place | None] = field(default_factory=dict)
    files: dict[str, Stamp | None] = field(default_factory=dict)
    kinds: dict[str, str | None] = field(default_factory=dict)
    links: dict[str, str | None] = field(default_factory=dict)
    folders: dict[str, list[str] | None] = field(default_factory=dict)
    searched: list[tuple[str, list[str], list[str]]] = field(default_factory=list)

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Reads:
        places = {path: tuple(place) if place else None for path, place in data["places"].items()}
        files = {path: tuple(stamp) if stamp else None for path, stamp in data["files"].items()}
        searched = [(folder, names, found) for folder, names, found in data["searched"]]
        return cls(**{**data, "places": places, "files": files, "searched": searched})

    def changed(self) -> str | None:
        """The first path that is not as it was; ``None`` when all is."""
        for path, place in self.places.items():
            if place_of(path) != place:
                return path
        for path, stamp in self.files.items():
            if stamp_of(path) != stamp:
                return path
        for path, kind in self.kinds.items():
            if kind_of(path) != kind:
                return path
        for path, target in self.links.items():
            if link_of(path) != target:
                return path
        for path, names in self.folders.items():
            if listing(path) != names:
                return path
        for folder, names, found in self.searched:
            if modules_in(folder, frozenset(names)) != found:
                return folder
        return None


def stamp_of(path: str) -> Stamp | None:
    try:
        status = os.stat(path)
    except (OSError, ValueError):
        return None
    return status.st_dev, status.st_ino, status.st_mtime_ns, status.st_size


def place_of(folder: str) -> Place | None:
    try:
        status = os.stat(folder)
    except (OSError, ValueError):
        return None
    return os.path.realpath(folder), status.st_dev, status.st_ino


def kind_of(path: str) -> str | None:
    try:
        return "dir" if os.path.isdir(path) else "other" if os.path.exists(path) else None
    except ValueError:
        return None


def link_of(path: str) -> str | None:
    try:
        return os.readlink(path)
    except (OSError, ValueError):
        return None


def listing(path: str) -> list[str] | None:
    """Sorted names; Python's own caches, which a load may make, are left out."""
    try:
        return sorted(name for name in os.listdir(path) if name != "__pycache__")
    except (OSError, ValueError):
        return None


def modules_in(folder: str, names: Collection[str]) -> list[str]:
    """Sorted entries of a folder that would be found under one of the module ``names``."""
    try:
        entries = os.listdir(folder)
    except (OSError, ValueError):
        return []
    return sorted(entry for entry in entries if entry.partition(".")[0] in names)
