"""Turns what Prefect says of the node's runs, by event or in a sweep, into commands to their supervisors."""

from __future__ import annotations

import asyncio
import itertools
from collections import Counter
from collections.abc import Callable, Coroutine, Mapping
from enum import Enum
from typing import Any
from uuid import UUID
from weakref import WeakKeyDictionary

from prefect.client.schemas.objects import TERMINAL_STATES, FlowRun, State, StateType
from prefect.events import Event

from skald_work_pools.messages import RUN_RESOURCE, STATE_NAME, STATE_TYPE
from skald_work_pools.node.context import NodeContext
from skald_work_pools.node.runs.run_supervisor import RunSupervisor
from skald_work_pools.node.server.run_api import claimed

CERTAIN_AFTER = 1.0
"""Seconds after which a state nobody here set is looked at again: its child may not have told it yet."""
_SET_ASIDE = {StateType.SCHEDULED, StateType.PENDING, *TERMINAL_STATES}


class Command(Enum):
    """What a run's state means to the node that has its process."""

    NOTHING = "it is as it should be"
    CANCEL = "end it, user code first"
    SUSPEND = "its engine ends at the next task boundary"
    FREEZE = "stop its processes where they are"
    THAW = "let them go on"
    DOUBT_STATE = "somebody has set it aside; fence it if that still stands a moment later"
    DOUBT_ATTEMPT = "another attempt may run; fence it if the run was claimed anew"
    LOOK = "ask for its state now"
    LOOK_LATER = "ask for its state when its process has had time to tell of it"


def command_of(state: State[Any], *, frozen: bool, mine: bool, claimed: bool) -> Command:
    """By the state as the server has it. ``mine``: this attempt set it; ``claimed``: the claim was answered."""
    if state.type is StateType.CANCELLING:
        return Command.CANCEL
    if state.type is StateType.PAUSED:
        if state.name == "Suspended":
            return Command.SUSPEND
        # With a key it is the flow's own pause: its code waits for the answer and must go on running.
        return Command.FREEZE if state.state_details.pause_key is None else Command.NOTHING
    if state.type is StateType.RUNNING and frozen:
        return Command.THAW
    if mine or not claimed:
        return Command.NOTHING
    return Command.DOUBT_STATE if state.type in _SET_ASIDE else Command.DOUBT_ATTEMPT


def command_of_event(kind: StateType, name: str, *, frozen: bool, looking: bool) -> Command:
    """By an event, which may come late. ``looking``: the state is being asked for, and may be older than it."""
    if kind is StateType.CANCELLING:
        return Command.CANCEL
    if kind is StateType.PAUSED:
        return Command.SUSPEND if name == "Suspended" else Command.LOOK
    if kind is StateType.RUNNING:
        return Command.LOOK if frozen or looking else Command.NOTHING
    return Command.LOOK_LATER


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
        supervisor = self._running.get(event.resource.id.removeprefix(RUN_RESOURCE))
        if supervisor is None:
            return False
        kind = event.resource.get(STATE_TYPE)
        if kind is not None and not supervisor.mine(str(event.id)):
            name, looking = event.resource.get(STATE_NAME) or "", bool(self._looks[supervisor.id])
            command = command_of_event(StateType(kind), name, frozen=supervisor.frozen, looking=looking)
            self._obey(supervisor, command, str(event.id), name)
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

    def _judge(self, supervisor: RunSupervisor, run: FlowRun, asked: int) -> None:
        state = run.state
        if state is None or supervisor.over or asked < self._judged.get(supervisor, 0):
            return
        self._judged[supervisor] = asked
        mine = supervisor.mine(str(state.id))
        command = command_of(state, frozen=supervisor.frozen, mine=mine, claimed=supervisor.claimed)
        self._obey(supervisor, command, str(state.id), state.name or "")

    def _obey(self, supervisor: RunSupervisor, command: Command, state_id: str, name: str) -> None:
        match command:
            case Command.CANCEL:
                supervisor.cancel()
            case Command.SUSPEND:
                supervisor.suspend()
            case Command.FREEZE:
                supervisor.freeze()
            case Command.THAW:
                supervisor.thaw()
            case Command.LOOK:
                self._look_again(supervisor, 0.0)
            case Command.LOOK_LATER:
                self._look_again(supervisor, CERTAIN_AFTER)
            case Command.DOUBT_STATE:
                reason = f"its state is {name}, set by somebody else"
                self._later(lambda: self._confirm_state(supervisor, state_id, reason))
            case Command.DOUBT_ATTEMPT:
                self._later(lambda: self._confirm_attempt(supervisor, state_id))

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

    def _later(self, confirm: Callable[[], Coroutine[Any, Any, None]]) -> None:
        async def after_a_moment() -> None:
            await asyncio.sleep(CERTAIN_AFTER)
            await confirm()

        self._context.aside(after_a_moment())

    async def _confirm_state(self, supervisor: RunSupervisor, state_id: str, reason: str) -> None:
        """Fence it when the stranger's state still stands."""
        run = await self._context.api.read(supervisor.run.id)
        if run is None or run.state is None:
            supervisor.fence("it was deleted")
        elif str(run.state.id) == state_id and not supervisor.mine(state_id):
            supervisor.fence(reason)

    async def _confirm_attempt(self, supervisor: RunSupervisor, state_id: str) -> None:
        """Fence it when the run was claimed since by somebody else, be it a node of the same name."""
        if supervisor.over or supervisor.mine(state_id):
            return
        node, since = claimed(await self._context.api.states(supervisor.run.id))
        if node is not None and not supervisor.mine(str(since[0].id)):
            supervisor.fence(f"node {node} runs it now")
        else:
            supervisor.adopt(state_id)
