"""Decides what to send next, what to ask the server about, what to send again and what to give up.

That the server took an event is no proof that it has it: what it has not yet written to its database dies with
it. So an event is kept after it was sent. In calm times nothing is asked, and time forgets it; after a
disruption all that is kept is in doubt: the server is asked, and gets in order what it lacks.

``now`` is seconds of a monotonic clock.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Iterable
from dataclasses import dataclass, replace

from skald_work_pools.node.server.outgoing_event import OutgoingEvent

KEPT, KEPT_CHARACTERS = 50_000, 50_000_000
"""Bounds of what is kept, sent or not; beyond them the run that has most loses its oldest."""
WINDOW = 1_000
"""Events sent and not known to be recorded; beyond them the server is asked before it gets more.

Its own queue holds 10,000, for all nodes, and drops what comes on top.
"""
TRUSTED = 600.0
"""Seconds after which a sent event is taken for recorded, when nothing was disrupted since."""
SETTLED = 6.0
"""Seconds after which a server has written what it took: its slowest default is every 5."""
LATE = 60.0
"""Seconds after which what was sent undisturbed and is not recorded was lost."""
OVERTAKING = 30.0
"""Seconds by which the server's writers may be apart: a newer state proves the older ones sent longer ago."""
ASK_AGAIN = 120.0
"""Longest pause between questions about one event, in seconds."""
SHADOW = 30.0
"""Seconds around a state that was sent again, in which an SQLite server may lose other events.

It fails to store a batch of nothing but events that it has, and after five attempts drops what came with them.
"""
RESENDS = 8
"""How often an event is sent again without disruption; they span 7 minutes.

A server ignores ids that it has seen in the last 5.
"""
ASKED_AT_ONCE = 200


@dataclass(frozen=True)
class Question:
    """``settled``: a newer state of the task run proves this one. ``resent``: how often, to no effect."""

    event: OutgoingEvent
    settled: bool = True
    resent: int = 0


@dataclass(frozen=True)
class Verdict:
    """What follows from the server's answer."""

    resend: list[OutgoingEvent]
    given_up: list[OutgoingEvent]


@dataclass(frozen=True)
class _Sent:
    event: OutgoingEvent
    place: int
    at: float
    ask_at: float
    resent: int = 0
    disturbed_at: float | None = None
    """The first disruption since."""

    def in_doubt(self, now: float) -> _Sent:
        disturbed_at = now if self.disturbed_at is None else self.disturbed_at
        return replace(self, ask_at=now, resent=0, disturbed_at=disturbed_at)

    @property
    def settled(self) -> bool:
        return self.disturbed_at is None or self.disturbed_at - self.at >= OVERTAKING


class EventOutbox:
    """Holds the events of one node, in the order in which they were added."""

    def __init__(self, kept: int = KEPT, characters: int = KEPT_CHARACTERS, window: int = WINDOW) -> None:
        self._kept, self._characters, self._window = kept, characters, window
        self._waiting: deque[OutgoingEvent] = deque()
        self._calm: dict[str, _Sent] = {}
        """Sent undisturbed, in order."""
        self._doubted: dict[str, _Sent] = {}
        """Sent before a disruption, or again; in order."""
        self._unanswered: set[str] = set()
        """Ids of those in doubt that the server was not yet asked about, or has not yet got again."""
        self._disrupted_at = self._shadow_until = float("-inf")
        self._place = 0
        self._size = 0
        self._of_run: Counter[str] = Counter()
        """Characters kept of each run."""

    @property
    def unsent(self) -> int:
        """Events that the server has not taken, or may have lost, and was not sent again."""
        return len(self._waiting) + len(self._unanswered)

    def unsent_runs(self) -> Counter[str]:
        """The number of unsent events of each run."""
        lost = (self._doubted[id_].event for id_ in self._unanswered)
        return Counter(event.run_id for event in (*self._waiting, *lost))

    def next(self) -> OutgoingEvent | None:
        """The event to send now; none while older ones are to be asked about first."""
        if not self._waiting or self._unanswered or self._full():
            return None
        return self._waiting[0]

    def questions(self, now: float) -> list[Question]:
        """What to ask the server about now, oldest first."""
        due = [each for each in self._doubted.values() if each.ask_at <= now]
        if self._full():
            due += [each for each in self._calm.values() if each.ask_at <= now]
        due.sort(key=lambda each: each.place)
        return [Question(each.event, each.settled, each.resent) for each in due[:ASKED_AT_ONCE]]

    def next_question(self) -> float | None:
        """The moment of the next question."""
        moments = [each.ask_at for each in self._doubted.values()]
        if self._full():
            moments += [each.ask_at for each in self._calm.values()]
        return min(moments, default=None)

    def add(self, event: OutgoingEvent) -> list[OutgoingEvent]:
        """Keep an event to send; those that were dropped for it."""
        self._waiting.append(event)
        self._size += len(event.text)
        self._of_run[event.run_id] += len(event.text)
        return self._drop_excess()

    def sent(self, event: OutgoingEvent, now: float) -> None:
        """The event that ``next`` named is on its way; nothing when it was dropped meanwhile."""
        if not self._waiting or self._waiting[0] is not event:
            return
        self._waiting.popleft()
        if event.perishable:
            self._released(event)
        else:
            self._place += 1
            shadowed = now < self._shadow_until and not event.task_run_id
            place = self._doubted if shadowed else self._calm
            place[event.id] = _Sent(event, self._place, now, now + (SHADOW if shadowed else SETTLED))
        self.forget_trusted(now)

    def forget_trusted(self, now: float) -> None:
        """Forget what was sent long ago and was not disturbed since."""
        while self._calm:
            oldest = next(iter(self._calm.values()))
            if oldest.at + TRUSTED > now:
                return
            self.forget(oldest.event)

    def doubt(self, now: float) -> None:
        """The server, or the connection to it, was lost: it may lack whatever is kept."""
        self.forget_trusted(now)
        kept = sorted((*self._doubted.values(), *self._calm.values()), key=lambda each: each.place)
        self._doubted = {each.event.id: each.in_doubt(now) for each in kept}
        self._calm.clear()
        self._unanswered = set(self._doubted)
        self._disrupted_at = now

    def answered(self, asked: Iterable[Question], recorded: set[str], now: float) -> Verdict:
        """The server has of these the ``recorded`` ones, by id."""
        verdict = Verdict([], [])
        for question in asked:
            event = question.event
            kept = self._doubted.get(event.id) or self._calm.get(event.id)
            if kept is None:
                continue
            if event.id in recorded:
                self.forget(event)
            elif event.id in self._calm and kept.at + LATE > now:
                self._calm[event.id] = replace(kept, ask_at=now + SETTLED)
            elif kept.resent >= RESENDS:
                self.forget(event)
                verdict.given_up.append(event)
            else:
                verdict.resend.append(event)
        return verdict

    def resent(self, events: Iterable[OutgoingEvent], now: float) -> None:
        """The server took these once more, at ``now`` or after; no proof when it was lost since."""
        if self._disrupted_at > now:
            return
        for event in events:
            kept = self._doubted.get(event.id) or self._calm.pop(event.id, None)
            if kept is not None:
                self._unanswered.discard(event.id)
                pause = min(ASK_AGAIN, SETTLED * 2.0**kept.resent)
                self._doubted[event.id] = replace(
                    kept, at=now, ask_at=now + pause, resent=kept.resent + 1, disturbed_at=None
                )
                if event.task_run_id:
                    self._shadow(now)

    def forget(self, event: OutgoingEvent) -> None:
        """The server has an event that was sent, or will never have it."""
        if self._calm.pop(event.id, None) or self._doubted.pop(event.id, None):
            self._unanswered.discard(event.id)
            self._released(event)

    def _shadow(self, now: float) -> None:
        self._shadow_until = now + SHADOW
        for each in [each for each in self._calm.values() if each.at > now - SHADOW]:
            if not each.event.task_run_id:
                del self._calm[each.event.id]
                self._doubted[each.event.id] = replace(each, ask_at=now + SHADOW)

    def _full(self) -> bool:
        """What was sent again is not counted: one event that is never recorded holds up no other."""
        return len(self._calm) >= self._window

    def _released(self, event: OutgoingEvent) -> None:
        self._size -= len(event.text)
        self._of_run[event.run_id] -= len(event.text)
        if not self._of_run[event.run_id]:
            del self._of_run[event.run_id]

    def _drop_excess(self) -> list[OutgoingEvent]:
        dropped: list[OutgoingEvent] = []
        while self._excess():
            if self._calm:
                self.forget(next(iter(self._calm.values())).event)
                continue
            dropped.append(self._oldest(self._of_run.most_common(1)[0][0]))
        return dropped

    def _excess(self) -> bool:
        return (
            len(self._waiting) + len(self._calm) + len(self._doubted) > self._kept
            or self._size > self._characters
        )

    def _oldest(self, run_id: str) -> OutgoingEvent:
        """Take out a run's oldest event."""
        for event in (*(each.event for each in self._doubted.values()), *self._waiting):
            if event.run_id == run_id:
                break
        if event.id in self._doubted:
            self.forget(event)
        else:
            self._waiting.remove(event)
            self._released(event)
        return event
