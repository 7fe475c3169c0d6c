"""What a node has, what its GPUs say right now, and what it announces of both."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from datetime import datetime
from typing import Any

from skald_work_pools.messages import NODE_VARIABLE_PREFIX

_STARTS_LENGTH = 2_500
"""Characters of what an announcement says of how runs start: a variable of Prefect holds 5,000 in all."""
_NEEDS_LENGTH = 1_000
"""Characters of what it says of task types' needs."""


@dataclass(frozen=True, slots=True)
class Gpu:
    """One GPU; ``memory`` in bytes, ``nvenc`` and ``nvdec`` the sessions it may run at once."""

    uuid: str
    name: str
    memory: int
    nvenc: int = 0
    nvdec: int = 0


@dataclass(frozen=True, slots=True)
class Capacity:
    """What a node may hand out: ``cpus`` in cores, ``memory`` in bytes, ``limit`` in tasks or ``None``."""

    cpus: float
    memory: int
    gpus: tuple[Gpu, ...] = ()
    tags: frozenset[str] = frozenset()
    limit: int | None = None


@dataclass(frozen=True, slots=True)
class GpuProcess:
    """A process that holds memory on a GPU.

    ``memory`` in bytes, ``None`` where the driver does not say; ``session`` is its session id (``getsid``),
    ``None`` where the process cannot be seen from here (another pid namespace).
    """

    pid: int
    memory: int | None = None
    session: int | None = None


@dataclass(frozen=True, slots=True)
class GpuReading:
    """One GPU at one moment; a GPU that does not answer is not ``healthy`` and says why in ``error``.

    ``memory_used`` in bytes; utilisations in percent; ``encoder_sessions`` of anybody, ours or not.
    """

    memory_used: int = 0
    healthy: bool = True
    processes: tuple[GpuProcess, ...] = ()
    encoder_utilisation: int = 0
    decoder_utilisation: int = 0
    encoder_sessions: int = 0
    error: str = ""


Readings = Mapping[str, GpuReading]
"""GPU uuid to its newest reading; a GPU missing here is taken for sick."""


@dataclass(frozen=True, slots=True)
class Announcement:
    """What a node says of itself, as stored in a Prefect variable; ``started`` carries a zone.

    ``life`` is the id of this start of the node: a later node of the same name has another one.
    """

    name: str
    pool: str
    host: str
    pid: int
    cpus: float
    memory: int
    started: datetime
    version: str
    gpus: tuple[Gpu, ...] = ()
    tags: frozenset[str] = frozenset()
    limit: int | None = None
    task_types: frozenset[str] = field(default=frozenset())
    starts: Mapping[str, str] = field(default_factory=dict)
    """How runs of each deployment's code start on the node, and why not warmer."""
    life: str = ""
    linked: bool = False
    """Whether it has a link to a bridge."""
    needs: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    """What the task types declare to need, those that need anything: fields of ``Needs`` that are not zero."""

    @property
    def variable(self) -> str:
        """Name of the Prefect variable that holds it."""
        return variable_name(self.pool, self.name)

    @property
    def capacity(self) -> Capacity:
        return Capacity(self.cpus, self.memory, self.gpus, self.tags, self.limit)

    def to_dict(self) -> dict[str, Any]:
        """As JSON: sets become sorted lists, the time ISO 8601."""
        return {
            **{item.name: getattr(self, item.name) for item in fields(self)},
            "started": self.started.isoformat(),
            "gpus": [asdict(gpu) for gpu in self.gpus],
            "tags": sorted(self.tags),
            "task_types": sorted(self.task_types),
            "starts": _bounded(self.starts),
            "needs": _short_enough(self.needs),
        }

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Announcement:
        """The announcement in a variable; fields of a newer version are passed over.

        Raises:
            ValueError: no announcement; the message names what is missing or wrong.
        """
        try:
            known = {item.name: data[item.name] for item in fields(cls) if item.name in data}
            known["started"] = datetime.fromisoformat(data["started"])
            known["gpus"] = tuple(
                Gpu(**{key: gpu[key] for key in Gpu.__slots__ if key in gpu}) for gpu in data.get("gpus", ())
            )
            known["tags"] = frozenset(data.get("tags", ()))
            known["task_types"] = frozenset(data.get("task_types", ()))
            return cls(**known)
        except (KeyError, TypeError, ValueError) as error:
            raise ValueError(f"not a node's announcement ({error}); restart that node") from error


def _bounded(starts: Mapping[str, str]) -> dict[str, str]:
    """Without reasons where they are too long together, and cut off where even that is too long."""
    made = dict(sorted(starts.items()))
    if _length(made) > _STARTS_LENGTH:
        made = {code: start.partition(":")[0] for code, start in made.items()}
    while _length(made) > _STARTS_LENGTH:
        made.popitem()
    return made


def _short_enough(needs: Mapping[str, Mapping[str, Any]]) -> dict[str, Mapping[str, Any]]:
    made = dict(sorted(needs.items()))
    while len(json.dumps(made)) > _NEEDS_LENGTH:
        made.popitem()
    return made


def _length(starts: Mapping[str, str]) -> int:
    return sum(len(code) + len(start) + len('"": "", ') for code, start in starts.items())


def variable_name(pool: str, name: str) -> str:
    """A name that Prefect takes (lower-case letters, digits, underscores), unique to the pool and node."""
    slug = re.sub(r"[^a-z0-9]+", "_", f"{pool}_{name}".lower()).strip("_")[:100]
    mark = hashlib.sha256(f"{pool}\0{name}".encode()).hexdigest()[:8]
    return f"{NODE_VARIABLE_PREFIX}{slug}_{mark}"
