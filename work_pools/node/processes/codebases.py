"""Zygotes by codebase: one for the code as it is on disk; an older one lives until its children ended."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Iterable
from dataclasses import dataclass, field

from work_pools.node.forked.preload import Loaded, Stamp, stamps
from work_pools.node.processes.launch_plan import Codebase
from work_pools.node.processes.spares import Spares
from work_pools.node.processes.zygote_client import ZygoteClient, ZygoteGone, environment

MOST = 4
"""Zygotes kept ready; the one unused for longest goes first."""
_log = logging.getLogger("skald.node.code")


@dataclass
class Version:
    """A zygote, what it has loaded, and its spare children."""

    zygote: ZygoteClient
    entrypoints: frozenset[str]
    loaded: dict[str, Loaded]
    files: dict[str, Stamp]
    spares: Spares
    used: float = field(default_factory=time.monotonic)

    def fresh(self, entrypoint: str) -> bool:
        """Whether it can run the entrypoint with the code that is on disk."""
        return (
            not self.zygote.gone.is_set()
            and entrypoint in self.entrypoints
            and stamps(list(self.files)) == self.files
        )


class Codebases:
    """``spares`` children are kept ready in each zygote; zygotes branch off ``stem``."""

    def __init__(self, spares: int, stem: ZygoteClient) -> None:
        self._spares = spares
        self._stem = stem
        self._versions: dict[Codebase, Version] = {}
        self._wanted: dict[Codebase, set[str]] = {}
        self._making: dict[Codebase, asyncio.Task[Version]] = {}
        self._retired: set[asyncio.Task[None]] = set()

    def want(self, codebase: Codebase, entrypoints: Iterable[str]) -> None:
        """Load these too when a zygote is made for the codebase."""
        self._wanted.setdefault(codebase, set()).update(entrypoints)

    def declared(self, codebase: Codebase, entrypoint: str) -> Loaded | None:
        """What the newest zygote said of the entrypoint; ``None`` before there is one."""
        version = self._versions.get(codebase)
        return version.loaded.get(entrypoint) if version else None

    @property
    def known(self) -> list[Loaded]:
        """Every entrypoint loaded now."""
        return [each for version in self._versions.values() for each in version.loaded.values()]

    def is_current(self, codebase: Codebase, entrypoint: str) -> bool:
        version = self._versions.get(codebase)
        return version is not None and version.fresh(entrypoint)

    async def current(self, codebase: Codebase, entrypoint: str) -> Version:
        """The version that has the entrypoint as it is on disk; made when there is none, in a second or two.

        Raises:
            ZygoteGone: loading the flows ended the process.
        """
        self.want(codebase, [entrypoint])
        version = self._versions.get(codebase)
        if version is None or not version.fresh(entrypoint):
            version = await asyncio.shield(self._made(codebase))
            if not version.fresh(entrypoint):
                version = await asyncio.shield(self._made(codebase))
        version.used = time.monotonic()
        return version

    async def make_wanted(self) -> None:
        """Load what is wanted and not loaded yet, as far as there is room."""
        for codebase in list(self._wanted)[:MOST]:
            version = self._versions.get(codebase)
            if version is None or not self._wanted[codebase] <= version.entrypoints:
                await self._make_or_warn(codebase)

    async def refresh(self) -> None:
        """Replace the versions whose code has changed."""
        for codebase, version in list(self._versions.items()):
            if not all(version.fresh(entrypoint) for entrypoint in self._wanted.get(codebase, ())):
                await self._make_or_warn(codebase)

    async def close(self) -> None:
        """End every zygote and all it started."""
        for making in self._making.values():
            making.cancel()
        await asyncio.gather(*self._making.values(), return_exceptions=True)
        for task in self._retired:
            task.cancel()
        await asyncio.gather(*self._retired, return_exceptions=True)
        await asyncio.gather(*(self._end(version) for version in self._versions.values()))
        self._versions.clear()

    async def _make_or_warn(self, codebase: Codebase) -> None:
        try:
            await asyncio.shield(self._made(codebase))
        except (ZygoteGone, OSError) as error:
            _log.warning("the flows in %s cannot be loaded: %s", codebase.root, error)

    def _made(self, codebase: Codebase) -> asyncio.Task[Version]:
        task = self._making.get(codebase)
        if task is None:
            task = self._making[codebase] = asyncio.create_task(self._make(codebase))
            task.add_done_callback(lambda _: self._making.pop(codebase, None))
        return task

    async def _make(self, codebase: Codebase) -> Version:
        entrypoints = frozenset(self._wanted.get(codebase, ()))
        zygote = ZygoteClient(environment(dict(codebase.env)))
        await zygote.start(self._stem)
        try:
            loaded, files = await zygote.preload(codebase.root, sorted(entrypoints))
        except BaseException:
            await zygote.close()
            raise
        for entrypoint, each in loaded.items():
            if each.problem:
                _log.warning("%s in %s is not preloaded: %s", entrypoint, codebase.root, each.problem)
        _log.debug("zygote %d has loaded %s from %s", zygote.pid, sorted(loaded), codebase.root)
        version = Version(zygote, entrypoints, loaded, files, Spares(zygote, self._spares))
        if any(not each.problem for each in loaded.values()):
            version.spares.refill()
        old = self._versions.pop(codebase, None)
        self._versions[codebase] = version
        if old is not None:
            self._retire(old)
        self._shrink()
        return version

    def _shrink(self) -> None:
        while len(self._versions) > MOST:
            oldest = min(self._versions, key=lambda codebase: self._versions[codebase].used)
            self._retire(self._versions.pop(oldest))

    def _retire(self, version: Version) -> None:
        task = asyncio.create_task(self._end_when_idle(version))
        self._retired.add(task)
        task.add_done_callback(self._retired.discard)

    async def _end_when_idle(self, version: Version) -> None:
        try:
            await version.spares.close()
            await version.zygote.idle()
        finally:
            await asyncio.shield(version.zygote.close())

    async def _end(self, version: Version) -> None:
        await version.spares.close()
        await version.zygote.close()
