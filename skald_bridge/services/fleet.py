"""The fleet as dtask's workers report it: grants, releases, silence. Holds the pure fleet, and the time."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime, timedelta

from skald_bridge.domain.placements import Granted, Kept, NoWorker, Outcome
from skald_bridge.domain.plain_text import visible
from skald_bridge.ports import Clock, GrantLog
from skald_bridge.services.dtask_placement import (
    answer_of,
    as_before,
    asks_other,
    differs,
    kept_of,
    member_of,
    request_of,
)
from skald_bridge.services.loop import Wake
from skald_bridge.services.waiting_line import WaitingLine
from skald_bridge.wire.dtask import Heartbeat, Schedule, Worker
from skald_work_pools.placement import fleet
from skald_work_pools.placement.model import Grant, Member, Refusal, Settings, Standing, State, Waiting

MOST_WORKERS = 200_000
_TICK = 1.0
_IDLE = 3600.0
_ASLEEP = timedelta(seconds=5)
_TOLD = 20
_log = logging.getLogger("skald_bridge.fleet")


class _Known:
    """What a worker has said of itself."""

    __slots__ = ("heard", "member", "said")

    def __init__(self, said: Heartbeat, member: Member, heard: datetime) -> None:
        self.said, self.member, self.heard = said, member, heard


class Fleet:
    """Workers in, grants out; a task that has a grant gets the same again, also from the bridge's next process."""

    def __init__(
        self, clock: Clock, wake: Wake, log: GrantLog, seed: int = 0, settings: Settings | None = None
    ) -> None:
        """``wake`` hurries ``step``."""
        self._clock, self._wake, self._log = clock, wake, log
        self._settings = settings or Settings()
        self._fleet = fleet.Fleet(seed, self._settings)
        self._known: dict[str, _Known] = {}
        self._line = WaitingLine(self._fleet, self._caught_up, self._granted)
        self._kept = {kept.task_id: kept for kept in log.read()}
        """Grants of an earlier process, on workers that have not reported since."""
        self._news: dict[str, list[str]] = {}
        self._stepped = clock.now()
        self.granted = self.refused = 0
        """Of all requests, each repetition among them."""

    def heartbeat(self, said: Heartbeat) -> bool:
        """Whether it was taken: another worker may be one too many."""
        now = self._caught_up()
        known = self._known.get(said.worker_id)
        if said.leaving:
            if known is not None:
                self._leave(said.worker_id)
            return True
        if known is None:
            if len(self._known) >= MOST_WORKERS:
                return False
            if not self._known:
                self._wake()
            known = self._known[said.worker_id] = _Known(said, member_of(said), now)
            self._news.setdefault("reports", []).append(said.worker_id)
            self._restore(known, now)
        elif differs(said, known.said):
            known.member = member_of(said)
        known.said, known.heard = said, now
        self._fleet.report(known.member, max(0, said.current_tasks), now)
        self._line.room_may_have_grown()
        return True

    def place(self, request: Schedule) -> Granted | NoWorker:
        """At once, or not."""
        waited = request.task_id in self._line
        self._line.serve()
        outcome = self._placed(request)
        if isinstance(outcome, NoWorker):
            self.refused += 1
            return outcome
        self.granted += 1
        if waited:
            outcome = replace(outcome, queued=True)
            self._line.placed(request.task_id, outcome)
        return outcome

    async def place_or_wait(self, request: Schedule) -> Outcome:
        """As soon as there is room, for as long as the request may be held."""
        outcome = self.place(request)
        if isinstance(outcome, Granted):
            return outcome
        self._wake()
        return await self._line.wait(request_of(request), request.wait, keeps_place=request.keeps_place)

    def release(self, task_id: str) -> bool:
        """Whether the task had a grant, or waited for one."""
        held = self._end(task_id, self._caught_up())
        waited = self._line.leave(task_id)
        if held:
            self._line.room_may_have_grown()
        return held or waited

    def workers(self) -> Iterator[Worker]:
        """In the order in which they first came."""
        for standing in self._fleet.members(self._caught_up()):
            # Who reads slowly may be at it while workers leave.
            if (known := self._known.get(standing.member.id)) is None:
                continue
            said = known.said
            yield Worker(
                said.worker_id,
                said.address,
                said.tags,
                said.max_tasks,
                standing.tasks + min(0, said.current_tasks),
                known.heard,
                standing.state.value,
            )

    def standings(self, most: int) -> list[Standing]:
        """The first workers that came, with what they have and were given."""
        return self._fleet.members(self._caught_up(), most)

    def requests(self, most: int) -> list[Waiting]:
        """The first of those who wait for a place, in the order of their turns."""
        return self._line.waiting(most)

    @property
    def size(self) -> int:
        """How many workers there are."""
        return len(self._known)

    @property
    def waiting(self) -> int:
        return len(self._line)

    def states(self) -> dict[str, int]:
        """How many workers are in each state."""
        found = {state.value: 0 for state in (State.ONLINE, State.SUSPICIOUS, State.OFFLINE)}
        for standing in self._fleet.members(self._caught_up()):
            found[standing.state.value] += 1
        return found

    async def step(self) -> float:
        """Once a second while there are workers: who is silent, what is over."""
        now = self._caught_up()
        if now - self._stepped > _ASLEEP:
            self._hear_again(now)
        self._stepped = now
        for change in self._fleet.tick(now):
            if change.after is None:
                self._known.pop(change.member, None)
            for grant in change.lost:
                self._log.ended(grant.task)
            state = change.after.value if change.after is not None else "forgotten"
            self._news.setdefault(f"is {state}", []).append(change.member)
        self._tell()
        self._kept = {task: kept for task, kept in self._kept.items() if kept.expires > now}
        self._log.shorten(self._live)
        self._line.tick()
        self._line.room_may_have_grown()
        return _TICK if self._known or len(self._line) else _IDLE

    def _hear_again(self, now: datetime) -> None:
        """This process was frozen, or the clock was set: who reported just before is not the one that was silent."""
        for known in self._known.values():
            if self._stepped - known.heard < self._settings.suspicious:
                self._fleet.report(known.member, max(0, known.said.current_tasks), now)

    def _tell(self) -> None:
        """What happened since, in few lines."""
        for what, names in self._news.items():
            shown = ", ".join(map(visible, names[:_TOLD]))
            more = f" and {len(names) - _TOLD} more" if len(names) > _TOLD else ""
            _log.info("worker %s: %s%s", what, shown, more)
        self._news.clear()

    def _leave(self, worker_id: str) -> None:
        del self._known[worker_id]
        for grant in self._fleet.remove(worker_id):
            self._log.ended(grant.task)
        self._news.setdefault("leaves", []).append(worker_id)

    def _placed(self, request: Schedule) -> Granted | NoWorker:
        now, wanted = self._caught_up(), request_of(request)
        if self._kept and (kept := self._kept.get(request.task_id)) is not None and kept.expires > now:
            if not asks_other(wanted, as_before(kept, now)):
                return Granted(kept.worker_id, kept.address, kept.expires)
            self._end(request.task_id, now)
        held = self._fleet.grant(request.task_id)
        if held is not None and asks_other(wanted, held.request):
            self._end(request.task_id, now)
            held = None
        found = self._fleet.place(wanted, now)
        if isinstance(found, Refusal):
            return NoWorker(found.reason)
        return self._granted(found) if held is None else answer_of(found)

    def _granted(self, grant: Grant) -> Granted:
        """A new one."""
        self._log.granted(kept_of(grant))
        return answer_of(grant)

    def _end(self, task_id: str, now: datetime) -> bool:
        """Whether it had a grant."""
        kept = self._kept.pop(task_id, None)
        if self._fleet.release(task_id, now) is None and kept is None:
            return False
        self._log.ended(task_id)
        return True

    def _restore(self, known: _Known, now: datetime) -> None:
        """A worker is back whose grants an earlier process has made: they are among the tasks that it counts."""
        if not self._kept:
            return
        self._fleet.report(known.member, 0, now)
        for kept in [each for each in self._kept.values() if each.worker_id == known.said.worker_id]:
            del self._kept[kept.task_id]
            if kept.expires > now:
                self._fleet.place(as_before(kept, now), now)

    def _live(self) -> list[Kept]:
        now = self._caught_up()
        granted = [kept_of(grant) for standing in self._fleet.members(now) for grant in standing.grants]
        return [*self._kept.values(), *granted]

    def _caught_up(self) -> datetime:
        """The time, with nothing left that is over by then.

        A grant that ends by time is no sign that its task has ended: what the worker said last counts again.
        """
        now = self._clock.now()
        for grant in self._fleet.expire(now):
            known = self._known.get(grant.member)
            if known is not None and known.said.current_tasks > 0 and self._is_heard(known, now):
                self._fleet.report(known.member, known.said.current_tasks, known.heard)
        return now

    def _is_heard(self, known: _Known, now: datetime) -> bool:
        return now - known.heard < self._settings.suspicious
