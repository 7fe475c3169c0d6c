"""Which fields of a running task take new values."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from pydantic import BaseModel

from skald_bridge.authoring.live import Live, Reject
from skald_bridge.authoring.runs import live

T = TypeVar("T", bound=BaseModel)


def only_changing(
    settings: Live[T], *fields: str, while_: str, accepted: Callable[[T], object] = lambda new: None
) -> Live[T]:
    """``settings``, which refuses updates of all but ``fields``: "only cacheSeconds can change while it runs".

    ``while_``: what the task does, such as "an analysis runs"; ``accepted`` hears of updates that are taken.
    """
    model = type(settings.taken)
    names = " and ".join(model.model_fields[name].alias or name for name in fields)

    @settings.on_update
    def judge(new: T) -> None:
        if new.model_dump(exclude=set(fields)) != settings.taken.model_dump(exclude=set(fields)):
            raise Reject(f"only {names} can change while {while_}")
        accepted(new)

    return settings


def newest_of(attachments: T, *fields: str, while_: str, when: bool) -> Callable[[], T]:
    """Gives the newest revision, as ``only_changing``; unless ``when`` the task takes no updates."""
    if not when:
        return lambda: attachments
    settings = only_changing(live(attachments), *fields, while_=while_)
    return lambda: settings.value
