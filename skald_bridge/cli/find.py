"""A task from what a person typed: its id, the beginning or the end of its id, or its name."""

from __future__ import annotations

from collections.abc import Sequence
from uuid import UUID

from skald_bridge.domain.documents import TASK_ID_LABEL
from skald_bridge.domain.errors import InvalidInput, NotFound
from skald_bridge.domain.facts import Task
from skald_bridge.domain.ids import TaskId, short
from skald_bridge.ports import Engine

SEARCHED = 5000
"""So many of the newest tasks are looked through for a name or a part of an id."""


async def find_task(engine: Engine, text: str) -> Task:
    """The one task that ``text`` means.

    Raises:
        NotFound: there is none.
        InvalidInput: it means more than one, or is empty.
    """
    wanted = text.strip()
    if not wanted:
        raise InvalidInput(
            "The task is not named.", remedy="Write its id as `skald tasks` shows it, or its name."
        )
    whole = _uuid(wanted)
    try:
        return await engine.task(TaskId(whole or wanted))
    except NotFound:
        if whole is not None:
            raise
    return meant(await engine.tasks(limit=SEARCHED), wanted)


def meant(tasks: Sequence[Task], text: str) -> Task:
    """The one of these tasks that ``text`` means. Raises as ``find_task``."""
    found = matching(tasks, text)
    if not found:
        raise NotFound(
            f"There is no task whose id begins or ends with, or whose name is, {text!r}.",
            remedy="`skald tasks` lists them.",
        )
    if len(found) > 1:
        candidates = ", ".join(f"{short(task.id)} ({task.name})" for task in found[:5])
        raise InvalidInput(
            f"{text!r} means {len(found)} tasks: {candidates}{' …' if len(found) > 5 else ''}.",
            remedy="Write one of these ids." if len(found) <= 5 else "Write more of the id, best its end.",
        )
    return found[0]


def matching(tasks: Sequence[Task], text: str) -> list[Task]:
    """Tasks of that name, or else those whose id begins or ends so; of an entry that is restarted, its newest life."""
    if not text:
        return []
    by_name = {task.id: task for task in tasks if task.name == text}
    if by_name:
        lives = list(by_name.values())
        # Each life of an entry of a YAML file is a task of the same name, which carries the entry's id.
        restarted = all(task.labels.get(TASK_ID_LABEL) == text for task in lives)
        return [max(lives, key=lambda task: task.created)] if restarted else lives
    part = text.lower()
    return list(
        {
            task.id: task
            for task in tasks
            if task.id.lower().startswith(part) or task.id.lower().endswith(part)
        }.values()
    )


def _uuid(text: str) -> str | None:
    try:
        return str(UUID(text))
    except ValueError:
        return None
