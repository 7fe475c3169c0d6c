"""Who has fallen silent, and for how long."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterator
from datetime import datetime

from skald_work_pools.placement.model import Settings, State
from skald_work_pools.placement.room import Room


class Silence:
    """Rooms by the time of their last report, the longest silent first."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._heard: OrderedDict[str, Room] = OrderedDict()
        self._silent: OrderedDict[str, Room] = OrderedDict()

    def heard(self, room: Room, now: datetime) -> None:
        room.seen = now
        if room.member.id in self._heard:
            self._heard.move_to_end(room.member.id)
        else:
            self._silent.pop(room.member.id, None)
            self._heard[room.member.id] = room

    def forget(self, name: str) -> None:
        self._heard.pop(name, None)
        self._silent.pop(name, None)

    def newly_suspicious(self, now: datetime) -> Iterator[Room]:
        """Those that have become so since this was asked last."""
        while self._heard:
            name, room = next(iter(self._heard.items()))
            if now - room.seen < self._settings.suspicious:
                return
            del self._heard[name]
            self._silent[name] = room
            yield room

    def newly_offline(self, now: datetime) -> list[Room]:
        return [
            room
            for room in self._silent.values()
            if room.state is not State.OFFLINE and now - room.seen >= self._settings.offline
        ]

    def to_be_forgotten(self, now: datetime) -> list[Room]:
        most = self._settings.offline + self._settings.forget
        return [room for room in self._silent.values() if now - room.seen >= most]
