"""``live(attachments)``: finds the run's channel for updates and keeps one ``Live`` per run."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar, cast
from uuid import UUID

from pydantic import BaseModel

from skald_bridge.authoring import testing
from skald_bridge.authoring.context import CurrentRun, current_run
from skald_bridge.authoring.live import Live
from skald_work_pools.messages import REVISION_LABEL
from skald_work_pools.node.forked import channel

T = TypeVar("T", bound=BaseModel)


def live(attachments: T) -> Live[T]:
    """The attachments as they are now, and as updates make them while the task runs.

    Within a run every call gives the same object, which starts with the newest revision after a retry.
    Outside a run, or where no update can arrive, it is the plain value.
    """
    if feed := testing.current_feed():
        made = Live(attachments, answer=feed.answered)
        feed.connect(made)
        return made
    run = current_run()
    if run is None:
        return Live(attachments)
    with _lock:
        known = _lives.get(run.id)
        if known is None or not isinstance(known.live.taken, type(attachments)):
            known = _lives[run.id] = _connect(attachments, run)
            known.listen()
        elif known.live.reopen():
            known.listen()
        return cast("Live[T]", known.live)


@dataclass(frozen=True)
class _Connected:
    """A run's ``Live``, and what makes updates come to it, also after it was closed."""

    live: Live[Any]
    listen: Callable[[], None]


def _connect(attachments: BaseModel, run: CurrentRun) -> _Connected:
    revision = int(run.labels.get(REVISION_LABEL, 1))
    node = channel.current()
    if node is not None and node.run_id in (None, str(run.id)):
        taken = Live(attachments, revision, node.send, given=run.given)
        return _Connected(taken, lambda: node.take_updates(taken.offer))
    from skald_bridge.authoring.events import EventUpdates

    updates = EventUpdates(run.id, run.parameter)
    made = Live(attachments, revision, updates.answer, updates.stop, given=run.given)
    return _Connected(made, lambda: updates.start(made))


_lock = threading.Lock()
_lives: dict[UUID, _Connected] = {}
