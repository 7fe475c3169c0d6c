"""Loaded code: per deployment an interpreter of its own, or spares that imported it; older ones end when idle."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Coroutine, Mapping
from dataclasses import dataclass, field
from typing import Any

from skald_work_pools.node.forked.findings import Choice, choose
from skald_work_pools.node.forked.loading import Loaded
from skald_work_pools.node.processes.child_process import ChildProcess
from skald_work_pools.node.processes.launch_plan import Codebase
from skald_work_pools.node.processes.memory import KeptItem, proportional_memory, too_many
from skald_work_pools.node.processes.spares import Spares
from skald_work_pools.node.processes.stems import Stems
from skald_work_pools.node.processes.zygote_client import NotLoaded, ZygoteClient, ZygoteGone, environment

AT_ONCE = 2
"""Loads of code that nobody waits for."""
LOAD_SECONDS = 60.0
"""What an import may take before it is given up."""
LOAD_PATIENCE = 10.0
"""What runs wait for it before they start in a new interpreter each."""
BROKEN_SECONDS = 60.0
"""How long code whose load hung, or ended its process, is not loaded again."""
FORGOTTEN_SECONDS = 1800.0
"""How long code that has changed must be unused not to be loaded before it is wanted."""
FORKED_REFILL, IMPORTED_REFILL = 0.05, 0.5
"""Seconds between handing out a spare and making the next: the run that took it goes first."""
_log = logging.getLogger("skald.node.code")


@dataclass
class Version:
    """A codebase as it was loaded; ``zygote`` has it where children are forked from it."""

    codebase: Codebase
    loaded: Loaded
    choice: Choice
    stem: ZygoteClient
    own_stem: bool
    free: Callable[[], None]
    """Gives the stem back."""
    zygote: ZygoteClient | None = None
    spares: Spares | None = None
    closed: bool = False
    used: float = field(default_factory=time.monotonic)

    def stale(self) -> str | None:
        """Why it cannot run the code as it is now: a path that has changed, or what became of its processes."""
        if self.stem.outdated:
            return "Prefect, or what it imports, was upgraded"
        if self.stem.gone.is_set() or (self.zygote is not None and self.zygote.gone.is_set()):
            return "its interpreter has ended"
        return self.loaded.reads.changed()

    @property
    def pids(self) -> list[int]:
        """Processes that are kept for it; a stem of its own, too."""
        return [
            *([self.stem.pid] if self.own_stem else ()),
            *([self.zygote.pid] if self.zygote else ()),
            *(self.spares.pids if self.spares else ()),
        ]

    async def child(self, env: Mapping[str, str], *, own: bool) -> ChildProcess:
        """A child that has or gets the code; ``own``: ``env`` is of this run alone, so no spare has it.

        Raises:
            ZygoteGone: the interpreter that it is forked from has ended.
        """
        if self.spares is not None and not own:
            return await self.spares.take()
        return await self._import(env)

    async def _import(self, env: Mapping[str, str]) -> ChildProcess:
        code = self.codebase
        return await ChildProcess.start(
            lambda fds: self.stem.fork_and_import(code.root, code.entrypoint, env, fds)
        )

    def keep_ready(self, count: int, env: Mapping[str, str]) -> None:
        """Start keeping spares, where the way to start has any."""
        if (zygote := self.zygote) is not None:
            self.spares = Spares(lambda: ChildProcess.start(zygote.fork), count, FORKED_REFILL)
        elif self.choice.start == "imported":
            self.spares = Spares(lambda: self._import(env), count, IMPORTED_REFILL)
        if self.spares is not None:
            self.spares.refill()

    async def close(self) -> None:
        if self.spares is not None:
            await self.spares.close()
        if self.zygote is not None:
            await self.zygote.close()
        if not self.closed:
            self.closed = True
            self.free()


class Codebases:
    """``spares`` children are kept ready for each, as far as ``memory`` bytes go; ``env`` goes with every run."""

    def __init__(self, stems: Stems, spares: int, memory: int, env: Mapping[str, str | None]) -> None:
        self._stems = stems
        self._spares = spares
        self._memory = memory
        self._env = dict(env)
        self._versions: dict[Codebase, Version] = {}
        self._making: dict[Codebase, tuple[float, asyncio.Task[Version]]] = {}
        self._broken: dict[Codebase, tuple[float, str]] = {}
        self._retired: set[asyncio.Task[None]] = set()

    @property
    def known(self) -> list[Version]:
        """Everything loaded now."""
        return list(self._versions.values())

    def environment(self, wanted: Mapping[str, str | None]) -> dict[str, str]:
        """The whole environment of a process: the node's, with what is wanted in it."""
        return environment({**self._env, **wanted})

    def ready(self, codebase: Codebase) -> Version | None:
        """The version that is as the code is now, if it is loaded."""
        version = self._versions.get(codebase)
        return version if version is not None and version.stale() is None else None

    def problem(self, codebase: Codebase, now: float) -> str:
        """Why nobody should wait for it to be loaded; empty where waiting is worth while."""
        since, why = self._broken.get(codebase, (0.0, ""))
        if why and now - since < BROKEN_SECONDS:
            return why
        since, _ = self._making.get(codebase, (now, None))
        return "loading its code takes long" if now - since >= LOAD_PATIENCE else ""

    async def current(self, codebase: Codebase) -> Version:
        """The version that has the code as it is now; made when there is none.

        Raises:
            ZygoteGone: loading ended the process, or took too long.
        """
        version = self.ready(codebase)
        if version is None:
            version = await asyncio.shield(self._made(codebase))
            if version.stale() is not None:
                version = await asyncio.shield(self._made(codebase))
        version.used = time.monotonic()
        return version

    async def load_all(self, wanted: list[Codebase]) -> None:
        """Load what is not loaded, a few at once; what cannot be loaded is logged."""
        turn = asyncio.Semaphore(AT_ONCE)

        async def load(codebase: Codebase) -> None:
            async with turn:
                try:
                    await self.current(codebase)
                except (ZygoteGone, OSError) as error:
                    _log.warning("%s cannot be loaded: %s", codebase, error)

        now = time.monotonic()
        await asyncio.gather(
            *(load(codebase) for codebase in dict.fromkeys(wanted) if not self.problem(codebase, now))
        )

    async def refresh(self) -> None:
        """Load what has changed and is in use anew, and see that what is kept fits the memory."""
        await self._stems.refresh()
        now = time.monotonic()
        stale = [codebase for codebase, version in self._versions.items() if version.stale() is not None]
        for codebase in stale:
            if now - self._versions[codebase].used > FORGOTTEN_SECONDS:
                self._retire(self._versions.pop(codebase))
        await self.load_all([codebase for codebase in stale if codebase in self._versions])
        await self.shrink()

    async def shrink(self) -> None:
        """Retire what was unused for longest until the rest fits."""
        sizes = await asyncio.to_thread(
            lambda: [
                KeptItem(codebase, sum(map(proportional_memory, version.pids)), version.used)
                for codebase, version in list(self._versions.items())
            ]
        )
        for codebase in too_many(sizes, self._memory):
            if (version := self._versions.pop(codebase, None)) is not None:
                _log.info("%s is not kept loaded: no memory for it", codebase)
                self._retire(version)

    async def close(self) -> None:
        """End every interpreter and all it started."""
        tasks = [*(task for _, task in self._making.values()), *self._retired]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await asyncio.gather(*(version.close() for version in self._versions.values()))
        self._versions.clear()

    def _made(self, codebase: Codebase) -> asyncio.Task[Version]:
        if (making := self._making.get(codebase)) is not None:
            return making[1]
        task = asyncio.create_task(self._make(codebase))
        self._making[codebase] = (time.monotonic(), task)
        task.add_done_callback(lambda _: self._making.pop(codebase, None))
        return task

    async def _make(self, codebase: Codebase) -> Version:
        try:
            async with asyncio.timeout(LOAD_SECONDS):
                version = await self._load(codebase)
        except TimeoutError:
            why = f"its import took longer than {LOAD_SECONDS:g} s"
        except (ZygoteGone, OSError) as error:
            why = f"loading its code ended the process: {error}"
        else:
            self._broken.pop(codebase, None)
            if (old := self._versions.pop(codebase, None)) is not None:
                self._retire(old)
            self._versions[codebase] = version
            return version
        self._broken[codebase] = (time.monotonic(), why)
        raise ZygoteGone(why)

    async def _load(self, codebase: Codebase) -> Version:
        env = self.environment(dict(codebase.env))
        stem = await self._stems.get(env, codebase.root)
        try:
            return await self._load_from(stem, codebase, env)
        except BaseException:
            self._stems.release(stem)
            raise

    async def _load_from(self, stem: ZygoteClient, codebase: Codebase, env: dict[str, str]) -> Version:
        loaded = await self._probe(stem, codebase, env)
        asked = codebase.start or (loaded.task_type.start if loaded.task_type else None)
        choice = Choice("cold", loaded.problem) if loaded.problem else choose(loaded.findings, asked)
        own = not self._stems.is_default(stem)
        version = Version(codebase, loaded, choice, stem, own, lambda: self._stems.release(stem))
        if choice.start == "forked":
            zygote = ZygoteClient(env)
            await zygote.branch_off(stem)
            try:
                found = await zygote.load(codebase.root, codebase.entrypoint)
            except NotLoaded as error:
                version.choice = Choice("cold", str(error))
            except BaseException:
                await asyncio.shield(zygote.close(hurry=True))
                raise
            else:
                version.choice = choose(found, asked)
            if version.choice.start == "forked":
                version.zygote = zygote
            else:
                await zygote.close(hurry=True)
        _log.log(
            logging.INFO if version.choice.start == "forked" else logging.WARNING,
            "runs of %s start %s",
            codebase,
            version.choice,
        )
        version.keep_ready(self._spares, env)
        return version

    async def _probe(self, stem: ZygoteClient, codebase: Codebase, env: Mapping[str, str]) -> Loaded:
        probe = ZygoteClient(env)
        await probe.branch_off(stem)
        try:
            loaded = await probe.probe(codebase.root, codebase.entrypoint)
        except BaseException:
            await asyncio.shield(probe.close(hurry=True))
            raise
        self._aside(probe.close())
        return loaded

    def _retire(self, version: Version) -> None:
        self._aside(self._end_when_idle(version))

    def _aside(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(work)
        self._retired.add(task)
        task.add_done_callback(self._retired.discard)

    async def _end_when_idle(self, version: Version) -> None:
        try:
            if version.spares is not None:
                await version.spares.close()
            if version.zygote is not None:
                await version.zygote.idle()
        finally:
            await asyncio.shield(version.close())
