"""Interpreters with Prefect imported and no user code, from which everything else is forked."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path

from skald_work_pools.node.forked.stamps import Stamp, stamp_of
from skald_work_pools.node.processes.zygote_client import SETTINGS_FILES, ZygoteClient, environment

FIXED = (
    "PREFECT_",
    "PYTHON",
    "LD_",
    "LC_",
    "LANG",
    "TZ",
    "MALLOC_",
    "GLIBC_",
    "OPENSSL_",
    "SSL_",
    "PYDANTIC_",
    "HOME",
    "XDG_",
    "TMPDIR",
)
"""How the names of variables begin that an interpreter, the loader, the C library or Prefect read as they start."""
PER_RUN = ("PREFECT__",)
"""But these are Prefect's own of one run, read when they are needed."""
MOST = 4
"""Stems kept beside the default one that nobody uses; the one unused for longest goes first."""
_log = logging.getLogger("skald.node.stems")


@dataclass(frozen=True)
class Key:
    """``fixed`` variables, and the folder in which a stem must start where it is not all the same.

    ``files``: what Prefect would read there, with stamps.
    """

    fixed: frozenset[tuple[str, str]] = frozenset()
    folder: str = "/"
    files: tuple[tuple[str, Stamp | None], ...] = ()


@dataclass
class Making:
    """A stem that is there or on its way, what it was wanted for, and how many use it."""

    wanted: Mapping[str, str]
    task: asyncio.Task[ZygoteClient]
    users: int = 0
    free: asyncio.Event = field(default_factory=asyncio.Event)


class Stems:
    """The default one has the node's own environment. A stem stays as long as somebody uses it: see ``get``."""

    def __init__(self) -> None:
        self._in_use: dict[ZygoteClient, Making] = {}
        self._asked: frozenset[str] = frozenset()
        self._base: Mapping[str, str] = {}
        self._made: dict[Key, Making] = {}
        self._ending: set[asyncio.Task[None]] = set()

    async def default(self) -> ZygoteClient:
        """The one of the node's own environment; a new interpreter may be started from it in any.

        Raises:
            ZygoteGone: it could not be started.
        """
        self._base = environment({})
        stem = await self.get(self._base)
        self.release(stem)
        return stem

    def is_default(self, stem: ZygoteClient) -> bool:
        making = self._made.get(self._key(self._base))
        return (
            making is not None
            and making.task.done()
            and _came_up(making.task)
            and making.task.result() is stem
        )

    def release(self, stem: ZygoteClient) -> None:
        """What ``get`` gave is not needed any more."""
        making = self._in_use[stem]
        self._leave(making)
        if not making.users:
            del self._in_use[stem]
            self._evict()

    def serve_both(self, one: Mapping[str, str], other: Mapping[str, str]) -> bool:
        """Whether both environments can be entered in one interpreter."""
        return self._fixed(one) == self._fixed(other)

    async def get(self, wanted: Mapping[str, str], folder: str = "/") -> ZygoteClient:
        """One in which ``wanted`` and ``folder`` can be entered: what is read at the start was so from the start.

        It is the caller's until ``release``.

        Raises:
            ZygoteGone: it could not be started.
        """
        while True:
            key = self._key(wanted, folder)
            making = self._made.pop(key, None)
            if making is None or (making.task.done() and not _came_up(making.task)):
                making = Making(wanted, asyncio.create_task(self._make(wanted, key.folder)))
            self._made[key] = making
            making.users += 1
            making.free.clear()
            try:
                stem = await asyncio.shield(making.task)
            except BaseException:
                self._leave(making)
                raise
            # Only now is it known which variables its start has read.
            if self.serve_both(wanted, making.wanted):
                self._in_use[stem] = making
                return stem
            self._leave(making)

    def _leave(self, making: Making) -> None:
        making.users -= 1
        if not making.users:
            making.free.set()

    def _evict(self) -> None:
        base = self._key(self._base)
        unused = [
            key for key, each in self._made.items() if key != base and not each.users and each.task.done()
        ]
        for key in unused[:-MOST]:
            self._end_when_idle(self._made.pop(key))

    async def refresh(self) -> None:
        """Give up those that have imported what has changed since; the next ``get`` makes them anew."""
        for making in list(self._made.values()):
            stem = making.task.result() if _came_up(making.task) else None
            if stem is not None and await asyncio.to_thread(stem.look):
                self._made = {key: each for key, each in self._made.items() if each is not making}
                self._end_when_idle(making)

    async def close(self) -> None:
        making = [each.task for each in self._made.values()]
        for task in (*making, *self._ending):
            task.cancel()
        await asyncio.gather(*self._ending, return_exceptions=True)
        found = await asyncio.gather(*making, return_exceptions=True)
        await asyncio.gather(*(each.close() for each in found if isinstance(each, ZygoteClient)))

    async def _make(self, wanted: Mapping[str, str], folder: str) -> ZygoteClient:
        stem = ZygoteClient(wanted)
        await stem.execute_self(folder)
        try:
            asked = await stem.import_prefect()
        except BaseException:
            await stem.close(hurry=True)
            raise
        if not asked <= self._asked:
            self._asked |= asked
            self._made = {
                replace(key, fixed=self._fixed(each.wanted)): each for key, each in self._made.items()
            }
        _log.debug("stem %d is up", stem.pid)
        return stem

    def _key(self, wanted: Mapping[str, str], folder: str = "/") -> Key:
        fixed, files = self._fixed(wanted), settings_files(folder)
        if fixed == self._fixed(self._base) and not files:
            return Key(fixed)
        return Key(fixed, folder, files)

    def _fixed(self, wanted: Mapping[str, str]) -> frozenset[tuple[str, str]]:
        return frozenset(
            (name, value)
            for name, value in wanted.items()
            if (name.startswith(FIXED) and not name.startswith(PER_RUN)) or name in self._asked
        )

    def _end_when_idle(self, making: Making) -> None:
        async def end() -> None:
            stem = await making.task
            try:
                if making.users:
                    await making.free.wait()
                await stem.idle()
            finally:
                await asyncio.shield(stem.close())

        ending = asyncio.create_task(end())
        self._ending.add(ending)
        ending.add_done_callback(self._ending.discard)


def _came_up(task: asyncio.Task[ZygoteClient]) -> bool:
    """Whether it is there, and still is."""
    return task.done() and not task.cancelled() and not task.exception() and not task.result().gone.is_set()


def settings_files(folder: str) -> tuple[tuple[str, Stamp | None], ...]:
    """Files in a folder with settings for Prefect, and their stamps."""
    found = []
    for name in SETTINGS_FILES:
        path = Path(folder, name)
        with suppress(OSError, ValueError):
            if path.is_file() and (name != "pyproject.toml" or "tool.prefect" in path.read_text()):
                found.append((str(path), stamp_of(str(path))))
    return tuple(found)
