"""Which fields of a running task take new values."""

from __future__ import annotations

from typing import TypeVar

from pydantic import BaseModel

from skald_bridge.authoring.live import Live, Reject

T = TypeVar("T", bound=BaseModel)


def only_changing(settings: Live[T], *fields: str, while_: str) -> Live[T]:
    """``settings``, which refuses updates of all but ``fields``: "only cacheSeconds can change while it runs".

    ``while_``: what the task does, such as "an analysis runs".
    """
    model = type(settings.taken)
    names = " and ".join(model.model_fields[name].alias or name for name in fields)

    @settings.on_update
    def judge(new: T) -> None:
        if new.model_dump(exclude=set(fields)) != settings.taken.model_dump(exclude=set(fields)):
            raise Reject(f"only {names} can change while {while_}")

    return settings
