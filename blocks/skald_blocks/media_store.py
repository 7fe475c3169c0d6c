"""Where media are kept: a local folder, or any file system that fsspec speaks."""

from __future__ import annotations

import contextlib
import fcntl
import os
import shutil
import tempfile
import uuid
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import IO, Any
from urllib.parse import urlsplit

import fsspec
import fsspec.core
from prefect.blocks.core import Block
from prefect.types import SecretDict
from pydantic import Field

HOME_ENV = "SKALD_HOME"
_PARTIAL = ".partial"


class MediaStoreError(ValueError):
    """A name, a root or a block that cannot be used; the message says what to do."""


def skald_home() -> Path:
    """The folder of everything Skald keeps on this machine: ``SKALD_HOME``, else ``~/.skald``."""
    return Path(os.environ.get(HOME_ENV) or "~/.skald").expanduser()


def checked_name(name: str) -> str:
    """``name`` as it is kept in a store: relative, normalized, with ``/`` between folders.

    Raises:
        MediaStoreError: empty, absolute, leaving the store, hidden, or holding control characters.
    """
    parts = PurePosixPath(name).parts
    usable = bool(parts) and not name.startswith("/") and name.isprintable() and "\\" not in name
    if not usable or any(part == ".." or part[0] in ".-" for part in parts):
        raise MediaStoreError(
            f"{name!r} is not a name in a media store; write a relative path such as camera-1/morning.mp4, "
            "no part of which begins with '.' or '-'."
        )
    return "/".join(parts)


class MediaStore(Block):
    """Media in, media out: every object appears whole under its name or not at all.

    Example:
        >>> store = MediaStore(root="s3://footage/skald", storage_options={"key": "...", "secret": "..."})
        >>> store.save("footage")
    """

    _block_type_name = "Media Store"
    _block_type_slug = "media-store"
    _logo_url = "https://raw.githubusercontent.com/PrefectHQ/prefect/420d0d6a78bb6df1fc18bcf188fdad43c1d22ea9/assets/block-logos/filesystem.png"  # type: ignore[assignment]
    _documentation_url = "https://filesystem-spec.readthedocs.io/en/latest/api.html#built-in-implementations"  # type: ignore[assignment]
    _description = "Keeps recordings, renditions and reports in a local folder or on any fsspec file system."

    root: str = Field(
        "",
        title="Root",
        description="Folder or fsspec URL, such as /srv/media or s3://bucket/prefix; "
        "empty: the folder media in SKALD_HOME.",
    )
    storage_options: SecretDict = Field(
        default_factory=lambda: SecretDict({}),
        title="Storage options",
        description="What fsspec needs to reach the root: keys, endpoints. Kept secret.",
    )

    @property
    def local_root(self) -> Path | None:
        """The root as a folder of this machine; ``None`` where it is on another file system."""
        if not self.root:
            return (skald_home() / "media").resolve()
        parts = urlsplit(self.root)
        if parts.scheme in ("", "file", "local"):
            path = Path(parts.path if parts.scheme else self.root).expanduser()
            if not path.is_absolute():
                raise MediaStoreError(
                    f"root {self.root!r} of the media store is relative; write the whole path, "
                    "so that every node finds the same folder."
                )
            return path.resolve()
        return None

    def get_client(self) -> fsspec.AbstractFileSystem:
        """The file system that holds the root."""
        if self.local_root is not None:
            return fsspec.filesystem("file", auto_mkdir=True)
        client: fsspec.AbstractFileSystem = fsspec.core.url_to_fs(self.root, **self._options())[0]
        return client

    def url(self, name: str) -> str:
        """Where ``name`` is to be found: a local path or an fsspec URL."""
        return f"{self.local_root or self.root.rstrip('/')}/{checked_name(name)}"

    def publish(self, local: str | os.PathLike[str], name: str) -> str:
        """Put the file ``local`` under ``name``, replacing what was there; readers see old or new, whole.

        A file from ``scratch()`` is moved, any other copied. Returns the URL.

        Raises:
            OSError: the disk is full, the store cannot be reached.
        """
        local, url = Path(local), self.url(name)
        if self.local_root is not None:
            self._publish_here(local, Path(url))
        else:
            # an object store shows an object when its upload is complete
            self.get_client().put_file(str(local), self._path(name))
        return url

    def open(self, name: str) -> IO[bytes]:
        """The object's bytes, for reading.

        Raises:
            FileNotFoundError: no such object.
        """
        opened: IO[bytes] = self.get_client().open(self._path(name), "rb")
        return opened

    def fetch(self, name: str, folder: Path) -> Path:
        """The object as a local file: itself where the store is local, else a copy in ``folder``."""
        if self.local_root is not None:
            path = Path(self.url(name))
            if not path.resolve().is_relative_to(self.local_root):
                raise MediaStoreError(f"{name!r} leads out of the media store; remove the link.")
            return path
        copy = folder / PurePosixPath(checked_name(name)).name
        self.get_client().get_file(self._path(name), str(copy))
        return copy

    def list(self, prefix: str = "") -> list[str]:
        """Names of all objects under the folder ``prefix``, sorted."""
        base = self._path(prefix) if prefix else self._base()
        try:
            found = self.get_client().find(base)
        except FileNotFoundError:
            return []
        names = [str(path).removeprefix(self._base()).lstrip("/") for path in found]
        return sorted(name for name in names if not name.startswith(_PARTIAL))

    def remove(self, name: str) -> None:
        """Take an object out of the store; one that is not there is no error."""
        with contextlib.suppress(FileNotFoundError):
            self.get_client().rm_file(self._path(name))
        if self.local_root is not None:
            with contextlib.suppress(OSError):
                for folder in Path(self.url(name)).relative_to(self.local_root).parents[:-1]:
                    (self.local_root / folder).rmdir()

    @contextlib.contextmanager
    def scratch(self) -> Iterator[Path]:
        """A local folder for work in progress, removed at the end.

        For a local store it lies on the store's own file system, so that publishing is a rename. What a
        killed process left behind is removed by whoever comes next.
        """
        if self.local_root is None:
            with tempfile.TemporaryDirectory(prefix="skald-") as folder:
                yield Path(folder)
            return
        partial = self.local_root / _PARTIAL
        partial.mkdir(parents=True, exist_ok=True)
        own = partial / uuid.uuid4().hex
        lock = own.with_suffix(".lock")
        with contextlib.ExitStack() as held:
            with (partial / ".guard").open("w") as guard:
                fcntl.flock(guard, fcntl.LOCK_EX)
                _sweep(partial)
                fcntl.flock(held.enter_context(lock.open("w")), fcntl.LOCK_EX)
            own.mkdir()
            try:
                yield own
            finally:
                shutil.rmtree(own, ignore_errors=True)
                lock.unlink(missing_ok=True)

    def _publish_here(self, local: Path, target: Path) -> None:
        assert self.local_root is not None
        if local.is_relative_to(self.local_root / _PARTIAL):
            _rename(local, target)
        else:
            with self.scratch() as folder:
                copy = folder / target.name
                shutil.copyfile(local, copy)
                _rename(copy, target)

    def _options(self) -> dict[str, Any]:
        return dict(self.storage_options.get_secret_value())

    def _base(self) -> str:
        if self.local_root is not None:
            return str(self.local_root)
        return str(fsspec.core.url_to_fs(self.root, **self._options())[1]).rstrip("/")

    def _path(self, name: str) -> str:
        return f"{self._base()}/{checked_name(name)}"


def _rename(source: Path, target: Path) -> None:
    with source.open("rb") as file:
        os.fsync(file.fileno())
    for last in (False, True):
        target.parent.mkdir(parents=True, exist_ok=True)
        try:
            source.replace(target)
            return
        except FileNotFoundError:  # somebody removed the empty folder meanwhile
            if last:
                raise


def _sweep(partial: Path) -> None:
    for lock in partial.glob("*.lock"):
        with contextlib.suppress(OSError), lock.open("r+") as held:
            fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
            shutil.rmtree(lock.with_suffix(""), ignore_errors=True)
            lock.unlink(missing_ok=True)
