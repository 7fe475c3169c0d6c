"""Who waits for room, and who of them is next."""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from heapq import heapify, heappop, heappush

from skald_work_pools.placement.fleet import Fleet
from skald_work_pools.placement.forecast import forecast, hold_for, is_still_good
from skald_work_pools.placement.model import NEVER, Grant, Refusal, Request, Waiting

_START = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class QueueSettings:
    """``aging``: waiting so long is worth one step of priority. ``holds``: for so many tasks a member is held.

    ``weights``: owners' shares, 1 where none is given; one running task per unit of weight puts an owner's
    next task back by ``share``, zero for no shares.
    """

    aging: timedelta = timedelta(minutes=5)
    holds: int = 4
    weights: Mapping[str, float] | None = None
    share: timedelta = timedelta(0)


@dataclass(slots=True)
class _Entry:
    request: Request
    since: datetime
    key: float
    likeness: Hashable
    reason: str = "waits for its turn"


class Queue:
    """Tasks by priority, then age. Nobody starves: each ages at the same rate, and the first that have no room
    hold a member, on which others may only do what delays them by nothing.

    Tasks that ask the same wait behind one another, so that only the first of them is tried.
    """

    def __init__(self, fleet: Fleet, settings: QueueSettings | None = None) -> None:
        self._fleet = fleet
        self._settings = settings or QueueSettings()
        self._weights = dict(self._settings.weights or {})
        self._entries: dict[str, _Entry] = {}
        self._alike: dict[Hashable, list[tuple[float, str]]] = {}
        self._deadlines: list[tuple[datetime, str]] = []
        self._answers: dict[str, Grant | Refusal] = {}

    def submit(self, request: Request, now: datetime) -> Grant | Waiting | Refusal:
        """Take the task in; it is granted at once where nobody ahead of it wants the place.

        Answers a refusal, and forgets the task, when no member could ever take it or its deadline is past.
        The same task again is answered as it stands.
        """
        if (grant := self._fleet.grant(request.task)) is not None:
            return grant
        if request.task not in self._entries:
            self._put(request, now)
            self._advance(now)
            if (answer := self._answers.pop(request.task, None)) is not None:
                return answer
            if not self._fleet.could_ever(request):
                self.withdraw(request.task)
                return Refusal(request.task, NEVER, never=True)
        return self._shown(request.task)

    def pump(self, now: datetime) -> tuple[Grant | Refusal, ...]:
        """Place whoever can be placed, in order; to be called when room was gained, and about once a second.

        Answers all that wait no more, unless they were told in ``submit``; the refusals are those whose deadline
        has passed.
        """
        self._advance(now)
        answers = tuple(self._answers.values())
        self._answers.clear()
        return answers

    def _advance(self, now: datetime) -> None:
        fleet = self._fleet
        self._drop_overdue(now)
        heads = [(self._turn(entry), task) for task, entry in self._first_of_each()]
        heapify(heads)
        blocked: list[str] = []
        while heads:
            turn, task = heappop(heads)
            entry = self._entries[task]
            if (later := self._turn(entry)) > turn:  # its owner has been given something since
                heappush(heads, (later, task))
                continue
            answer = fleet.place(entry.request, now, passing=self._behind(turn, blocked))
            if isinstance(answer, Grant):
                self._answers[task] = answer
                self.withdraw(task)
                following = self._head(entry.likeness)
                if following is not None:
                    heappush(heads, (self._turn(self._entries[following]), following))
            else:
                entry.reason = answer.reason
                blocked.append(task)
                self._hold(entry, answer, blocked, now)
        for task in fleet.apart.holders():
            if task in self._entries and task not in blocked:
                fleet.apart.let_go(task)

    def withdraw(self, task: str) -> bool:
        """It waits no more; ``False`` where it did not."""
        entry = self._entries.pop(task, None)
        self._fleet.apart.let_go(task)
        return entry is not None

    def reprioritise(self, task: str, priority: int) -> bool:
        """Give a waiting task another priority; its age stays. ``False`` where it does not wait.

        Raises:
            ValueError: the priority is out of range.
        """
        entry = self._entries.get(task)
        if entry is None:
            return False
        request = replace(entry.request, priority=priority)
        since = entry.since
        self.withdraw(task)
        self._put(request, since)
        self._entries[task].reason = entry.reason
        return True

    def waiting(self, most: int | None = None) -> list[Waiting]:
        """Who waits, in the order of their turns; the first ``most`` of them."""
        ordered = sorted(self._entries.items(), key=lambda item: (self._turn(item[1]), item[0]))
        return [self._shown(task) for task, _ in ordered[:most]]

    def _put(self, request: Request, since: datetime) -> None:
        key = (since - _START).total_seconds() - request.priority * self._settings.aging.total_seconds()
        entry = self._entries[request.task] = _Entry(request, since, key, _likeness(request))
        heappush(self._alike.setdefault(entry.likeness, []), (key, request.task))
        if request.deadline is not None:
            heappush(self._deadlines, (request.deadline, request.task))

    def _turn(self, entry: _Entry) -> float:
        """The lower the earlier. All age alike, so the order of two tasks of one owner never changes."""
        owner, share = entry.request.owner, self._settings.share.total_seconds()
        if not share or not owner:
            return entry.key
        return entry.key + share * self._fleet.tally.of_owner[owner] / self._weights.get(owner, 1.0)

    def _first_of_each(self) -> list[tuple[str, _Entry]]:
        heads = [task for likeness in list(self._alike) if (task := self._head(likeness)) is not None]
        return [(task, self._entries[task]) for task in heads]

    def _head(self, likeness: Hashable) -> str | None:
        tasks = self._alike.get(likeness)
        while tasks:
            key, task = tasks[0]
            entry = self._entries.get(task)
            if entry is not None and entry.key == key and entry.likeness == likeness:
                return task
            heappop(tasks)
        self._alike.pop(likeness, None)
        return None

    def _behind(self, turn: float, blocked: list[str]) -> frozenset[str]:
        """Tasks with a hold that come after this turn."""
        return frozenset(
            task
            for task in self._fleet.apart.holders()
            if task not in blocked
            and (entry := self._entries.get(task)) is not None
            and self._turn(entry) > turn
        )

    def _hold(self, entry: _Entry, refusal: Refusal, blocked: list[str], now: datetime) -> None:
        """The first that lack room hold a member, as long as it is good; a limit is nothing to hold one for."""
        fleet, request = self._fleet, entry.request
        hold = fleet.apart.held_for(request.task)
        holding = [task for task in blocked[:-1] if fleet.apart.held_for(task) is not None]
        if refusal.never or fleet.tally.short(request) is not None or len(holding) >= self._settings.holds:
            fleet.apart.let_go(request.task)
            return
        if hold is not None and is_still_good(hold, fleet):
            if hold.expected is None or hold.expected <= now:
                newer = forecast(hold, fleet, now)
                if newer != hold:
                    fleet.apart.hold(newer)
            return
        fleet.apart.let_go(request.task)
        if (found := hold_for(request, fleet, now)) is not None:
            fleet.apart.hold(found)

    def _drop_overdue(self, now: datetime) -> None:
        while self._deadlines and self._deadlines[0][0] < now:
            deadline, task = heappop(self._deadlines)
            entry = self._entries.get(task)
            if entry is not None and entry.request.deadline == deadline:
                self.withdraw(task)
                self._answers[task] = Refusal(task, "its deadline has passed")

    def _shown(self, task: str) -> Waiting:
        entry = self._entries[task]
        return Waiting(entry.request, entry.since, entry.reason, self._fleet.apart.held_for(task))


def _likeness(request: Request) -> Hashable:
    """What requests have in common that are refused together."""
    return (
        request.alternatives,
        request.required,
        request.preferred,
        request.forbidden,
        request.node,
        request.order,
        request.owner,
        request.task_type,
        request.data,
        request.labels,
        request.duration,
        frozenset(request.resources.items()),
    )
