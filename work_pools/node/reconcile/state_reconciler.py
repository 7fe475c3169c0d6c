"""Turns what Prefect says of the node's runs, by event or in a sweep, into commands to their supervisors."""

from __future__ import annotations

import asyncio
import itertools
from collections import Counter
from collections.abc import Mapping
from typing import Any
from uuid import UUID
from weakref import WeakKeyDictionary

from prefect.client.schemas.objects import TERMINAL_STATES, FlowRun, StateType
from prefect.events import Event

from work_pools.node.context import NodeContext
from work_pools.node.runs.run_supervisor import RunSupervisor

RUN = "prefect.flow-run."
CERTAIN_AFTER = 1.0
"""Seconds after which a state nobody here set is looked at again: its child may not have told it yet."""
_SET_ASIDE = {StateType.SCHEDULED, StateType.PENDING, *TERMINAL_STATES}


class StateReconciler:
    """``running`` is the node's supervisors by run id."""

    def __init__(self, context: NodeContext, running: Mapping[str, RunSupervisor]) -> None:
        self._context = context
        self._running = running
        self._questions = itertools.count()
        self._judged: WeakKeyDictionary[RunSupervisor, int] = WeakKeyDictionary()
        """The newest question whose answer was taken: an older one's may come later."""
        self._looks: Counter[str] = Counter()

    def hear(self, event: Event) -> bool:
        """A state event; returns whether it is about a run of this node."""
        supervisor = self._running.get(event.resource.id.removeprefix(RUN))
        if supervisor is None:
            return False
        kind = event.resource.get("prefect.state-type")
        if kind is None or supervisor.mine(str(event.id)):
            return True
        state_type, name = StateType(kind), event.resource.get("prefect.state-name", "")
        if state_type is StateType.CANCELLING:
            supervisor.cancel()
        elif state_type is StateType.PAUSED and name == "Suspended":
            supervisor.suspend()
        elif state_type is not StateType.RUNNING or supervisor.frozen or self._looks[supervisor.id]:
            at_once = state_type in (StateType.PAUSED, StateType.RUNNING)
            self._look_again(supervisor, 0.0 if at_once else CERTAIN_AFTER)
        return True

    async def sweep(self) -> None:
        """Ask Prefect about every run of this node.

        Raises:
            httpx.HTTPError: the server does not answer.
        """
        asked = next(self._questions)
        for run in await self._context.api.read_many([UUID(run_id) for run_id in list(self._running)]):
            if (supervisor := self._running.get(str(run.id))) is not None:
                self._judge(supervisor, run, asked)

    def _look_again(self, supervisor: RunSupervisor, after: float) -> None:
        async def look() -> None:
            try:
                await asyncio.sleep(after)
                asked = next(self._questions)
                if supervisor.id in self._running and (
                    run := await self._context.api.read(supervisor.run.id)
                ):
                    self._judge(supervisor, run, asked)
            finally:
                self._looks -= Counter([supervisor.id])

        self._looks[supervisor.id] += 1
        self._context.aside(look())

    def _judge(self, supervisor: RunSupervisor, run: FlowRun, asked: int) -> None:
        state = run.state
        if state is None or supervisor.over or asked < self._judged.get(supervisor, 0):
            return
        self._judged[supervisor] = asked
        if state.type is StateType.CANCELLING:
            supervisor.cancel()
        elif state.type is StateType.PAUSED:
            _pause(supervisor, state.name or "", state.state_details.pause_key)
        elif state.type is StateType.RUNNING and supervisor.frozen:
            supervisor.thaw()
        elif supervisor.mine(str(state.id)) or not supervisor.claimed:
            return
        elif state.type in _SET_ASIDE:
            self._confirm(supervisor, str(state.id), f"its state is {state.name}, set by somebody else")
        elif (other := _node_of(run.labels)) not in (None, self._context.name):
            supervisor.fence(f"node {other} runs it now")

    def _confirm(self, supervisor: RunSupervisor, state_id: str, reason: str) -> None:
        """Fence it when the stranger's state still stands a moment later."""

        async def confirm() -> None:
            await asyncio.sleep(CERTAIN_AFTER)
            run = await self._context.api.read(supervisor.run.id)
            if run is None or run.state is None:
                supervisor.fence("it was deleted")
            elif str(run.state.id) == state_id and not supervisor.mine(state_id):
                supervisor.fence(reason)

        self._context.aside(confirm())


def _pause(supervisor: RunSupervisor, name: str, pause_key: str | None) -> None:
    if name == "Suspended":
        supervisor.suspend()
    elif pause_key is None:
        # With a key it is the flow's own pause: its code waits for the answer and must go on running.
        supervisor.freeze()


def _node_of(labels: Mapping[str, Any]) -> str | None:
    found = labels.get("skald.node")
    return found if isinstance(found, str) else None
