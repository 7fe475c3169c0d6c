"""What a node has handed out. No I/O and no clock: readings and ``now`` are arguments."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from skald_work_pools.devices import Capacity, Gpu, GpuProcess, GpuReading, Readings
from skald_work_pools.gpu_choice import GpuState, choose_gpus, could_fit, takes_whole
from skald_work_pools.needs import Needs

TOLERANCE = 64 * 2**20
"""Bytes by which a GPU's memory may differ from what is expected and still count as given back."""

RELEASE_TIMEOUT = timedelta(seconds=30)
"""After this long, processes that are gone are proof enough that a GPU was given back."""

_UNKNOWN = GpuReading(healthy=False, error="no reading")


@dataclass(frozen=True, slots=True)
class Lease:
    """Needs taken by a run. ``session`` is the session id of its processes, once they started.

    ``releasing`` is when its processes were gone; from then on it holds its GPUs only.
    """

    run_id: str
    needs: Needs
    gpu_uuids: tuple[str, ...]
    since: datetime
    session: int | None = None
    releasing: datetime | None = None

    @property
    def whole(self) -> bool:
        return takes_whole(self.needs)


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why a run was not admitted; ``permanent`` when this node could not take it even if it were idle."""

    reason: str
    permanent: bool = False


@dataclass(frozen=True, slots=True)
class Usage:
    """A node's books at one moment, for display; ``slots_free`` is ``None`` where the node has no limit."""

    cpus_free: float
    memory_free: int
    slots_free: int | None
    gpus: tuple[GpuState, ...]
    leases: tuple[Lease, ...]


class Ledger:
    """A node's leases; for one thread, every method answers at once."""

    def __init__(self, capacity: Capacity) -> None:
        self.capacity = capacity
        self._leases: dict[str, Lease] = {}
        self._overhead: dict[str, int] = {}
        self._foreign: dict[str, int] = {}
        self._sessions: dict[str, int] = {}

    @property
    def leases(self) -> tuple[Lease, ...]:
        """All leases, those being released included, oldest first."""
        return tuple(self._leases.values())

    def lease(self, run_id: str) -> Lease | None:
        return self._leases.get(run_id)

    def admit(self, run_id: str, needs: Needs, readings: Readings, now: datetime) -> Lease | Refusal:
        """Take the needs, or say why not; never more than the node has."""
        if (held := self._leases.get(run_id)) is not None:
            what = (
                "still holds a GPU after its last attempt" if held.releasing else "already has a lease here"
            )
            return Refusal(what)
        if refusal := self._never(needs) or self._not_now(needs):
            return refusal
        self._observe(readings)
        states = self._states(readings)
        chosen = choose_gpus(needs, states)
        if chosen is None:
            return _busy_gpus(needs, states)
        lease = Lease(run_id, needs, chosen, now)
        self._leases[run_id] = lease
        return lease

    def started(self, run_id: str, session: int) -> None:
        """The run's processes have this session id; lets GPU memory be told apart by owner."""
        if run_id in self._leases:
            self._leases[run_id] = replace(self._leases[run_id], session=session)

    def withdraw(self, run_id: str) -> None:
        """Undo an admission whose run never started here (another node claimed it)."""
        self._leases.pop(run_id, None)

    def begin_release(self, run_id: str, now: datetime) -> bool:
        """The run's processes are gone: cpus, memory, slot are free; ``True`` when it holds no GPU either."""
        lease = self._leases.get(run_id)
        if lease is None:
            return True
        if not lease.gpu_uuids:
            del self._leases[run_id]
            return True
        if lease.releasing is None:
            self._leases[run_id] = replace(lease, releasing=now)
        return False

    def confirm(self, readings: Readings, now: datetime) -> list[str]:
        """End the leases whose GPUs are given back, and name their runs.

        Given back: none of the run's processes is on the GPU, and either memory in use is what strangers and
        the other leases account for, or ``RELEASE_TIMEOUT`` has passed.
        """
        done = [
            lease.run_id
            for lease in self.leases
            if lease.releasing is not None
            and all(self._given_back(lease, uuid, readings, now) for uuid in lease.gpu_uuids)
        ]
        for run_id in done:
            del self._leases[run_id]
        self._observe(readings)
        return done

    def usage(self, readings: Readings) -> Usage:
        """The books as they stand, for display."""
        limit = self.capacity.limit
        return Usage(
            cpus_free=(_milli(self.capacity.cpus) - self._cpus()) / 1000,
            memory_free=self.capacity.memory - self._memory(),
            slots_free=None if limit is None else limit - len(self._active()),
            gpus=tuple(self._states(readings)),
            leases=self.leases,
        )

    def _active(self) -> list[Lease]:
        return [lease for lease in self._leases.values() if lease.releasing is None]

    def _cpus(self) -> int:
        return sum(_milli(lease.needs.cpus) for lease in self._active())

    def _memory(self) -> int:
        return sum(lease.needs.memory for lease in self._active())

    def _never(self, needs: Needs) -> Refusal | None:
        has = self.capacity
        if missing := needs.tags - has.tags:
            return Refusal(f"needs {_named('tag', missing)}, has {_named('tag', has.tags)}", permanent=True)
        if _milli(needs.cpus) > _milli(has.cpus):
            return Refusal(f"needs {needs.cpus:g} cpus, has {has.cpus:g}", permanent=True)
        if needs.memory > has.memory:
            return Refusal(f"needs {_size(needs.memory)} of memory, has {_size(has.memory)}", permanent=True)
        if needs.gpus > len(has.gpus):
            return Refusal(f"needs {needs.gpus} gpus, has {len(has.gpus) or 'none'}", permanent=True)
        able = sum(could_fit(needs, gpu) for gpu in has.gpus)
        if needs.gpus > able:
            return Refusal(f"needs {_gpus(needs)}, has {able or 'none'} of that kind", permanent=True)
        return None

    def _not_now(self, needs: Needs) -> Refusal | None:
        has = self.capacity
        if has.limit is not None and len(self._active()) >= has.limit:
            return Refusal(f"runs {len(self._active())} tasks, its limit is {has.limit}")
        free = _milli(has.cpus) - self._cpus()
        if _milli(needs.cpus) > free:
            return Refusal(f"needs {needs.cpus:g} cpus, {free / 1000:g} free")
        if needs.memory > has.memory - self._memory():
            return Refusal(
                f"needs {_size(needs.memory)} of memory, {_size(has.memory - self._memory())} free"
            )
        return None

    def _states(self, readings: Readings) -> list[GpuState]:
        return [self._state(gpu, readings.get(gpu.uuid, _UNKNOWN)) for gpu in self.capacity.gpus]

    def _state(self, gpu: Gpu, reading: GpuReading) -> GpuState:
        holders = self._holders(gpu.uuid)
        foreign = self._strange(gpu.uuid, reading, holders)
        reserved = sum(_claim(lease, reading) for lease in holders)
        sessions = sum(lease.needs.nvenc for lease in holders)
        return GpuState(
            gpu=gpu,
            healthy=reading.healthy,
            taken=max(reading.memory_used, foreign + reserved),
            foreign=foreign,
            whole=any(lease.whole for lease in holders),
            leases=len(holders),
            nvenc=max(
                reading.encoder_sessions, sessions + (self._sessions.get(gpu.uuid, 0) if holders else 0)
            ),
            nvdec=sum(lease.needs.nvdec for lease in holders),
        )

    def _holders(self, uuid: str) -> list[Lease]:
        return [lease for lease in self._leases.values() if uuid in lease.gpu_uuids]

    def _strange(self, uuid: str, reading: GpuReading, holders: list[Lease]) -> int:
        """Bytes in use that are not our leases'."""
        if not holders:
            return reading.memory_used
        if any(lease.whole for lease in holders):
            return self._believed(uuid, reading, holders)
        # Strangers hold at least what our leases, each using all it may, would leave unexplained.
        least = reading.memory_used - sum(_claim(lease, reading) for lease in holders)
        return max(self._believed(uuid, reading, holders), least)

    def _believed(self, uuid: str, reading: GpuReading, holders: Iterable[Lease]) -> int:
        """Strangers' bytes by the list of processes; the last known while a lease's own are not known."""
        strangers = _strangers(reading, holders)
        return self._foreign.get(uuid, 0) if strangers is None else self._overhead.get(uuid, 0) + strangers

    def _observe(self, readings: Readings) -> None:
        """Note what strangers have: on an unleased GPU, all there is in use."""
        for gpu in self.capacity.gpus:
            reading, holders = readings.get(gpu.uuid, _UNKNOWN), self._holders(gpu.uuid)
            if not reading.healthy:
                continue
            if not holders:
                self._sessions[gpu.uuid] = reading.encoder_sessions
                self._overhead[gpu.uuid] = max(0, reading.memory_used - (_strangers(reading, ()) or 0))
            self._foreign[gpu.uuid] = self._believed(gpu.uuid, reading, holders)

    def _given_back(self, lease: Lease, uuid: str, readings: Readings, now: datetime) -> bool:
        assert lease.releasing is not None
        reading = readings.get(uuid, _UNKNOWN)
        if lease.session is not None and any(item.session == lease.session for item in reading.processes):
            return False
        if now - lease.releasing >= RELEASE_TIMEOUT:
            return True
        others = [other for other in self._holders(uuid) if other.run_id != lease.run_id]
        expected = self._believed(uuid, reading, (*others, lease))
        expected += sum(_claim(other, reading) for other in others)
        return reading.healthy and reading.memory_used <= expected + TOLERANCE


def _of_session(reading: GpuReading, sessions: set[int]) -> Iterable[GpuProcess]:
    return (item for item in reading.processes if item.session in sessions)


def _claim(lease: Lease, reading: GpuReading) -> int:
    """Bytes a lease may use, or does use where that is more."""
    uses = sum(item.memory or 0 for item in _of_session(reading, {lease.session} if lease.session else set()))
    return max(lease.needs.gpu_memory, uses)


def _strangers(reading: GpuReading, holders: Iterable[Lease]) -> int | None:
    """Bytes of visible processes that are no lease's; ``None`` while a lease's own are not known."""
    sessions = {lease.session for lease in holders}
    if None in sessions:
        return None
    return sum(
        item.memory or 0
        for item in reading.processes
        if item.session is not None and item.session not in sessions
    )


def _busy_gpus(needs: Needs, states: Iterable[GpuState]) -> Refusal:
    states = list(states)
    one = needs.model_copy(update={"gpus": 1})
    free = sum(choose_gpus(one, [state]) is not None for state in states)
    sick = sum(not state.healthy for state in states)
    return Refusal(f"needs {_gpus(needs)}, {free} free" + (f" ({sick} not answering)" if sick else ""))


def _gpus(needs: Needs) -> str:
    wants: Mapping[str, int] = {"encoder sessions": needs.nvenc, "decoder sessions": needs.nvdec}
    details = [f"{_size(needs.gpu_memory)} free"] if needs.gpu_memory else []
    details += [f"{count} {name}" for name, count in wants.items() if count]
    return f"{needs.gpus} gpus" + (f" with {' and '.join(details)}" if details else "")


def _named(word: str, names: Iterable[str]) -> str:
    listed = sorted(names)
    return f"{word}{'s' if len(listed) > 1 else ''} {', '.join(listed)}" if listed else f"no {word}s"


def _size(count: int) -> str:
    for unit, name in ((2**30, "GiB"), (2**20, "MiB")):
        if count >= unit:
            return f"{count / unit:.3g} {name}"
    return f"{count} bytes"


def _milli(cpus: float) -> int:
    return round(cpus * 1000)
