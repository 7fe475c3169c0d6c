"""A fleet as large as is wanted, with half of its slots taken, and the requests that it is asked."""

from __future__ import annotations

import random
from datetime import UTC, datetime

from skald_work_pools.devices import Capacity, Gpu
from skald_work_pools.gpu_choice import GpuState
from skald_work_pools.leases import Usage
from skald_work_pools.needs import Needs
from skald_work_pools.placement.model import Member, Order, Request, Used

GIB = 2**30
START = datetime(2030, 1, 1, tzinfo=UTC)
TAGS = [f"tag-{number}" for number in range(12)]
TASK_TYPES = [f"type-{number}" for number in range(6)]
_TAG_SETS = 40
_WANTS = 60


class Drawn:
    """All that is random, from one seed."""

    def __init__(self, seed: int) -> None:
        self._random = random.Random(seed)
        self._tag_sets = [
            frozenset(self._random.sample(TAGS, self._random.randint(2, 5))) for _ in range(_TAG_SETS)
        ]
        self._wants = [self._want() for _ in range(_WANTS)]

    def member(self, number: int) -> tuple[Member, Used]:
        """Half of them dtask's workers with tags and slots, half nodes with cpus, memory and mostly GPUs."""
        draw = self._random
        tags, slots = draw.choice(self._tag_sets), draw.choice([4, 8, 16])
        name, address = f"member-{number}", f"10.{number >> 16}.{number >> 8 & 255}.{number & 255}:8080"
        taken = min(slots, max(0, round(draw.gauss(0.5, 0.2) * slots)))
        if draw.random() < 0.5:
            return Member(name, Capacity(0, 0, (), tags, slots), address), taken
        size, count = draw.choice([16, 24, 80]) * GIB, draw.choice([0, 1, 2, 4, 8])
        gpus = tuple(Gpu(f"{name}-gpu-{each}", "X", size, 3, 4) for each in range(count))
        states = tuple(
            GpuState(gpu, taken=part, leases=part > 0)
            for gpu in gpus
            for part in [draw.choice([0, 0, 4 * GIB, 8 * GIB, 12 * GIB])]
        )
        warm = frozenset(draw.sample(TASK_TYPES, 2))
        member = Member(name, Capacity(32, 128 * GIB, gpus, tags, slots), address, warm=warm)
        return member, Usage(32 - taken, (128 - 4 * taken) * GIB, slots - taken, states, ())

    def request(self, number: int) -> Request:
        alternatives, required, preferred, forbidden, task_type, order = self._random.choice(self._wants)
        return Request(
            f"task-{number}",
            alternatives,
            required=required,
            preferred=preferred,
            forbidden=forbidden,
            task_type=task_type,
            order=order,
        )

    def _want(
        self,
    ) -> tuple[tuple[Needs, ...], frozenset[str], frozenset[str], frozenset[str], str, Order]:
        draw = self._random
        cpus = Needs(cpus=draw.choice([1, 2, 8]), memory=draw.choice([2, 8]) * GIB)
        needs = draw.choice(
            [
                (Needs(),),
                (Needs(),),
                (cpus,),
                (Needs(gpu_memory=draw.choice([2, 4, 10]) * GIB),),
                (Needs(gpu_memory=4 * GIB, nvdec=1), cpus),
                (Needs(gpus=draw.choice([1, 2, 4])),),
            ]
        )
        some = [
            frozenset(draw.sample(TAGS, count))
            for count in (draw.choice([0, 1, 1, 2]), draw.choice([0, 0, 1]), 1)
        ]
        forbidden = some[2] - some[0] if draw.random() < 0.2 else frozenset[str]()
        task_type = draw.choice([*TASK_TYPES, "", "", ""])
        return (
            needs,
            some[0],
            some[1],
            forbidden,
            task_type,
            draw.choice([Order.SPREAD, Order.SPREAD, Order.PACK]),
        )
