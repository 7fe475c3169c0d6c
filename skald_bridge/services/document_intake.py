"""Documents that others write into MongoDB become tasks."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import suppress
from functools import partial
from typing import Any, TypeGuard

from cachetools import FIFOCache

from skald_bridge.domain.commands import Controller, NewTask
from skald_bridge.domain.errors import InvalidInput, NotFound, Unavailable
from skald_bridge.domain.ids import NodeId, TaskId, check_id
from skald_bridge.domain.lifecycle import CLOSED, LifecycleStatus
from skald_bridge.ports import Clock, Documents, Found
from skald_bridge.services.commands import REFUSALS, AlreadyEnded, Commands, GoesOn, side_by_side
from skald_bridge.wire.skalds import LONGEST_NAME, new_task_of, read_submitted

BATCH = 200
BLIND_SECONDS = 0.5
"""Between looks where the store tells of no changes."""
TOLD_SECONDS = 5.0
UNCHANGED_SECONDS = 60.0
"""Between attempts of a document that stays as it was: its store may never take what is said of it."""
REMEMBERED = 20_000
_REASON = 1000
_TAKEN = frozenset({LifecycleStatus.CREATED, LifecycleStatus.ASSIGNING})
_log = logging.getLogger("skald_bridge.documents")


async def _never(_name: str, _error: Unavailable) -> bool:
    return False


async def _nothing_owed(_task: TaskId) -> bool:
    return False


async def _no_note(_task: TaskId, _message: str) -> None:
    return


def _logged(kind: str, name: str, error: Exception) -> None:
    _log.error("%s %s is set aside", kind, name, exc_info=error)


class DocumentIntake:
    """Takes documents: all that are Created, or, under another controller, those it assigned to our nodes.

    One that cannot be taken is refused alone, with the reason; only a service that is away is tried again.
    """

    def __init__(
        self,
        documents: Documents,
        commands: Commands,
        clock: Clock,
        *,
        controller: Controller,
        nodes: Callable[[], Sequence[NodeId]],
        owed: Callable[[TaskId], Awaitable[bool]] = _nothing_owed,
        note: Callable[[TaskId, str], Awaitable[None]] = _no_note,
        is_poison: Callable[[str, Unavailable], Awaitable[bool]] = _never,
        set_aside: Callable[[str, str, Exception], None] = _logged,
    ) -> None:
        """
        Args:
            nodes: ours, as far as they are known.
            owed: whether the document is yet to be told what is known of its task.
            note: tells people of an error that did not end the task.
            is_poison: whether a service that answers others fails at this document for good.
            set_aside: hears of items that a defect of ours stood in the way of: their kind, their name, the error.
        """
        self._documents = documents
        self._commands = commands
        self._clock = clock
        self._controller = controller
        self._nodes = nodes
        self._taken: FIFOCache[str, str] = FIFOCache(REMEMBERED)
        """Digests of the documents that were taken, by the store's names for them."""
        self._last: FIFOCache[TaskId, str] = FIFOCache(REMEMBERED)
        """The store's name for the document that a task was made of last."""
        self._repeated: FIFOCache[str, float] = FIFOCache(REMEMBERED)
        """When those that had not changed were taken once more, in the loop's time."""
        self._unwritable: FIFOCache[str, str] = FIFOCache(REMEMBERED)
        """As ``_taken``, of those that cannot be told that they are refused."""
        self.is_told = False
        """Whether a change wakes us."""
        self._owed, self._note, self._is_poison, self._set_aside = owed, note, is_poison, set_aside

    async def step(self) -> float:
        if self._controller is Controller.OURS:
            found = await self._documents.created(BATCH)
        else:
            found = await self._documents.assigned(self._nodes(), BATCH)
        fresh = [each for each in found if await self._asks(each)]
        await side_by_side([partial(self._take, each) for each in fresh])
        again = [each for each in await self._documents.again(BATCH) if await self._asks(each)]
        await side_by_side([partial(self._take, each) for each in again])
        if len(fresh) == BATCH:
            return 0.0
        return TOLD_SECONDS if self.is_told else BLIND_SECONDS

    async def assigned(self, task: TaskId) -> bool:
        """An event says that the document is to be run. Raises ``NotFound``, ``InvalidInput``."""
        found = await self._documents.get(task)
        if found is None:
            raise NotFound(f"taskIds: there is no document of task {task}", remedy="Insert it first.")
        new = self._read(found)
        ours = new.executor in self._nodes()
        if found.data.get("lifecycleStatus") not in _TAKEN or "version" in found.data:
            return False
        if self._controller is Controller.UPSTREAM and not ours:
            return False
        if not await self._asks(found):
            return False
        await self._take(found)
        return True

    async def take_again(self, task: str) -> None:
        """A document that could not be handled. Raises ``NotFound``, ``Unavailable``."""
        found = await self._documents.get(TaskId(task))
        if found is None:
            raise NotFound(f"There is no document of task {task}", remedy="Insert it again.")
        await self._take(found)

    async def cancelled(self, task: TaskId) -> bool:
        """End a document that no task was made of yet; whether there is one."""
        found = await self._documents.get(task)
        if found is None:
            return False
        if "version" not in found.data and found.data.get("lifecycleStatus") in (*_TAKEN, "Cancelled"):
            await self._commands.refuse(self._read(found), "cancelled before it was taken", cancelled=True)
            self._remember(found)
        return True

    async def _asks(self, found: Found) -> bool:
        """Whether something is to be done: it is news, or has come back as it was since its task ended.

        Of a document that merely has not been told yet how its task ended, that is still owed.
        """
        name, digest = _name(found), _digest(found)
        if self._taken.get(name) != digest:
            return True
        if self._unwritable.get(name) == digest:
            return False
        if _now() - self._repeated.get(name, float("-inf")) < UNCHANGED_SECONDS:
            return False
        if (task := _id(found)) is None:
            return False
        known = await self._commands.known(task)
        return known is not None and known.lifecycle in CLOSED and not await self._owed(task)

    async def _take(self, found: Found) -> None:
        """Raises ``Unavailable`` only; whatever else is wrong is told in the document."""
        try:
            await self._begin(found)
        except Unavailable as error:
            if not await self._is_poison(_name(found), error):
                raise
            await self._refuse(found, error.message)
        except Exception as error:
            self._set_aside("document", _shown(_name(found)), error)
            await self._refuse(found, f"{type(error).__name__}: {error}"[:_REASON])

    async def _begin(self, found: Found) -> None:
        try:
            new = self._read(found)
        except InvalidInput as error:
            await self._refuse(found, error.message)
            return
        is_repeat = self._taken.get(_name(found)) == _digest(found)
        try:
            if not await self._start(found, new):
                return
        except GoesOn as error:
            if self._last.get(new.id, _name(found)) == _name(found) and await self._owed(new.id):
                return  # perhaps what it is to have was only written anew meanwhile: it is told first how it is
            await self._say(new, error.message)
            self._remember(found)
        except REFUSALS as error:
            await self._tell_refused(found, new, error.message)
        else:
            self._commands.count("create", "done")
            self._remember(found)
        if is_repeat:
            self._repeated[_name(found)] = _now()

    async def _start(self, found: Found, new: NewTask) -> bool:
        """Whether it was begun, for the first time or once more; not where that cannot be told yet."""
        try:
            if not await self._commands.start(new):
                await self._commands.tell_again(new.id)
        except AlreadyEnded:
            if not await self._is_anew(found, new.id):
                return False
            await self._commands.restart(new)
        return True

    async def _is_anew(self, found: Found, task: TaskId) -> bool:
        """Whether the document of a task that has ended was written since, or has only not been told the end yet."""
        name = _name(found)
        if (last := self._last.get(task)) is not None and (last, self._taken.get(last)) != (
            name,
            _digest(found),
        ):
            return True
        if await self._owed(task):
            return False
        now = await self._documents.get(task)
        if now is None or (_name(now), _digest(now)) != (name, _digest(found)):
            return False
        return not await self._commands.look(task)

    async def _say(self, new: NewTask, reason: str) -> None:
        """The task goes on, and why it does not begin anew is told where that ends nothing."""
        self._commands.count("create", "rejected")
        _log.warning("document %s: %s", _shown(new.id), reason)
        await self._commands.tell_again(new.id)
        with suppress(Unavailable):
            await self._note(new.id, reason)

    async def _tell_refused(self, found: Found, new: NewTask, reason: str) -> None:
        self._commands.count("create", "rejected")
        _log.warning("document %s: %s", _shown(new.id), reason)
        told = await self._commands.refuse(new, reason)
        self._remember(found)
        await self._mark(found, told)

    async def _refuse(self, found: Found, reason: str) -> None:
        """One that cannot be read: as much of it as can be is told like any other task."""
        known = None
        if (named := _named(found.data, self._clock)) is not None:
            known = await self._commands.known(named.id)
        if named is not None and known is not None and not known.foreign and known.lifecycle not in CLOSED:
            await self._say(named, reason)
            self._remember(found)
            return
        if named is not None:
            try:
                await self._tell_refused(found, named, reason)
            except Unavailable:
                raise
            except Exception as error:
                self._set_aside("document", _shown(_name(found)), error)
            else:
                return
        else:
            self._commands.count("create", "rejected")
            _log.warning("document %s: %s", _shown(_name(found)), reason)
        await self._mark(found, reason)
        self._remember(found)

    async def _mark(self, found: Found, reason: str) -> None:
        try:
            await self._documents.refuse(found.ref, reason, self._clock.now())
        except Unavailable:
            raise
        except Exception as error:
            self._unwritable[_name(found)] = _digest(found)
            self._set_aside("refusal of document", _shown(_name(found)), error)

    def _read(self, found: Found) -> NewTask:
        if found.problem is not None:
            raise InvalidInput(found.problem, remedy="Write the field anew.")
        if not _is_text(found.data.get("id")):
            raise InvalidInput("id: it is no text", remedy="Write it as a string.")
        return new_task_of(read_submitted(found.data), self._clock.now())

    def _remember(self, found: Found) -> None:
        self._taken[_name(found)] = _digest(found)
        if (task := _id(found)) is not None:
            self._last[task] = _name(found)


def _is_text(value: object) -> TypeGuard[str]:
    """BSON has other types that Python reads as text: their documents would not be found again by it."""
    return type(value) is str


def _name(found: Found) -> str:
    return repr(found.ref)


def _digest(found: Found) -> str:
    return found.digest or repr(found.data.get("version"))


def _id(found: Found) -> TaskId | None:
    """What a task can be called by."""
    id_ = found.data.get("id")
    if not _is_text(id_):
        return None
    try:
        check_id(id_)
    except InvalidInput:
        return None
    return TaskId(id_)


def _named(data: Mapping[str, Any], clock: Clock) -> NewTask | None:
    if (id_ := _id(Found(None, data))) is None:
        return None
    class_name = data.get("className")
    return NewTask(id_, _shown(class_name) if isinstance(class_name, str) else "", "MongoDB", clock.now())


def _shown(text: str) -> str:
    return "".join(one if one.isprintable() else "�" for one in text[:LONGEST_NAME])


def _now() -> float:
    return asyncio.get_running_loop().time()
