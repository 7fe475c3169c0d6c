"""A task from what a person typed: its id, the beginning of its id, or its name."""

from __future__ import annotations

from collections.abc import Sequence
from uuid import UUID

from skald_bridge.domain.errors import InvalidInput, NotFound
from skald_bridge.domain.facts import Task
from skald_bridge.domain.ids import TaskId
from skald_bridge.ports import Engine

SEARCHED = 5000
"""So many of the newest tasks are looked through for a name or the beginning of an id."""


async def find_task(engine: Engine, text: str) -> Task:
    """The one task that ``text`` means.

    Raises:
        NotFound: there is none.
        InvalidInput: it means more than one.
    """
    wanted = text.strip()
    whole = _uuid(wanted)
    try:
        return await engine.task(TaskId(whole or wanted))
    except NotFound:
        if whole is not None:
            raise
    found = matching(await engine.tasks(limit=SEARCHED), wanted)
    if not found:
        raise NotFound(
            f"There is no task whose id begins with, or whose name is, {wanted!r}.",
            remedy="`skald tasks` lists them.",
        )
    if len(found) > 1:
        candidates = ", ".join(f"{task.id} ({task.name})" for task in found[:5])
        raise InvalidInput(
            f"{wanted!r} means {len(found)} tasks: {candidates}{' …' if len(found) > 5 else ''}.",
            remedy="Write more of the id.",
        )
    return found[0]


def _uuid(text: str) -> str | None:
    try:
        return str(UUID(text))
    except ValueError:
        return None


def matching(tasks: Sequence[Task], text: str) -> list[Task]:
    """Tasks of that name, or whose id begins so; at least 4 characters of an id."""
    prefix = text.lower()
    return [t for t in tasks if t.name == text or (len(prefix) >= 4 and t.id.startswith(prefix))]
