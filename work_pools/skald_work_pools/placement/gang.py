"""Tasks that start together: all of them, or none."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from skald_work_pools.placement.fleet import Fleet
from skald_work_pools.placement.model import Grant, Refusal, Request


def place_all(parts: Sequence[Request], fleet: Fleet, now: datetime) -> tuple[Grant, ...] | Refusal:
    """A grant for each part, in the order of ``parts``; or the refusal of one, with nothing taken.

    The most demanding parts choose first. A part that has a grant already keeps it either way.

    Raises:
        ValueError: two parts are the same task.
    """
    if len({part.task for part in parts}) < len(parts):
        raise ValueError("two parts of a gang are the same task")
    made: list[str] = []
    for part in sorted(parts, key=_demand, reverse=True):
        had = fleet.grant(part.task)
        answer = fleet.place(part, now)
        if isinstance(answer, Refusal):
            for task in reversed(made):
                fleet.release(task, now)
            return answer
        if answer is not had:
            made.append(part.task)
    found = [fleet.grant(part.task) for part in parts]
    return tuple(grant for grant in found if grant is not None)


def _demand(request: Request) -> tuple[bool, int, int, float, int, int]:
    needs = request.alternatives[0]
    return (
        request.node is not None,
        needs.gpus,
        needs.gpu_memory,
        needs.cpus,
        needs.memory,
        len(request.required),
    )
