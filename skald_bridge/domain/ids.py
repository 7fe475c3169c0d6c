"""Identifiers, told apart by type."""

from __future__ import annotations

import re
from typing import NewType, NoReturn

from skald_bridge.domain.errors import InvalidInput

TaskId = NewType("TaskId", str)
"""The flow run's id, 36 characters in lower case; or the id that Skalds gave the task, any text."""

StateId = NewType("StateId", str)
"""A flow-run state's id; also the id of its journal record and of Prefect's event."""

NodeId = NewType("NodeId", str)
"""A worker's name."""

LONGEST_ID = 200
_UNFIT = re.compile("[\x00-\x1f\x7f-\x9f\ud800-\udfff/]")
_RUN = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}")


def is_run_id(text: str) -> bool:
    """Whether it has the form of a flow run's id; in upper case it has not."""
    return _RUN.fullmatch(text) is not None


def short(task: TaskId) -> str:
    """For people: the end of a UUID, any other id whole. A UUID of Prefect's may begin with the time it was made at."""
    return task[-8:] if is_run_id(task) else task


def check_id(text: str) -> None:
    """Whether a task can have this id: it is part of paths, of keys, of lines in logs.

    Raises:
        InvalidInput: it cannot; names the field ``id``.
    """
    if not text:
        _refuse("is empty", "Give it at least one character, or leave it out to get one.")
    if len(text) > LONGEST_ID:
        _refuse(f"has {len(text)} characters", f"Give it at most {LONGEST_ID}.")
    if found := _UNFIT.search(text):
        what = "/" if found[0] == "/" else f"the character U+{ord(found[0]):04X}"
        _refuse(f"has {what} in it", "Leave out slashes, control characters and halves of surrogate pairs.")
    if text in (".", ".."):
        _refuse(f"is {text}, which means a folder in paths", "Choose another.")
    if text != text.strip():
        _refuse("begins or ends with white space", "Leave that out.")


def _refuse(why: str, remedy: str) -> NoReturn:
    raise InvalidInput(f"id: it {why}.", remedy=remedy)
