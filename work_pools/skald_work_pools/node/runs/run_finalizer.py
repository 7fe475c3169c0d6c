"""A run's processes are gone: what is left to do for it."""

from __future__ import annotations

import asyncio
import logging
from contextlib import suppress
from dataclasses import replace
from typing import Any, Protocol

from prefect.client.schemas.objects import TERMINAL_STATES, FlowRun, State, StateType

from skald_work_pools.messages import Message, Run, Stated
from skald_work_pools.node.context import NodeContext
from skald_work_pools.node.forked.processes import Exit
from skald_work_pools.node.forked.shared_flags import Intent
from skald_work_pools.node.processes.child_process import ChildProcess
from skald_work_pools.node.processes.zygote_client import ZygoteGone
from skald_work_pools.node.runs import outcomes

HOOKS_SECONDS = 60.0
"""What hooks get that run after their run's process was killed."""


class Life(Protocol):
    """What is settled: a supervisor, as its finalizer sees it."""

    context: NodeContext
    run: FlowRun
    child: ChildProcess | None
    last: Stated | None
    broke: str
    last_words: str
    intent: Intent | None
    forced: bool
    fenced: str
    booked: asyncio.Task[None] | None
    policy_stored: asyncio.Event

    @property
    def id(self) -> str: ...

    def mine(self, state_id: str) -> bool: ...

    def say(self, text: str, level: int = ...) -> None: ...

    def hear(self, message: Message) -> None: ...

    def request(self, state: State[Any]) -> Run: ...

    async def hooks_process(self, kind: str) -> ChildProcess | None: ...


class RunFinalizer:
    """Of one supervisor's run."""

    def __init__(self, life: Life) -> None:
        self._life = life
        self._api = life.context.api

    async def settle(self, end: Exit, out_of_memory: bool) -> outcomes.Ended:
        """See that the run has the state it should have."""
        life = self._life
        if life.last is not None and StateType(life.last.type) in TERMINAL_STATES:
            return outcomes.Ended(end, state=life.last.name)
        if life.booked is not None:
            await life.policy_stored.wait()
        run = await self._api.read(life.run.id)
        if run is None or run.state is None:
            return outcomes.Ended(end, "it was deleted")
        retries = run.empirical_policy.retries or 0
        facts = outcomes.Facts(
            end=end,
            state=run.state.type,
            state_name=run.state.name or "",
            ours=life.mine(str(run.state.id)),
            intent=life.intent,
            forced=life.forced,
            fenced=bool(life.fenced),
            out_of_memory=out_of_memory,
            retried=await self._api.retried(run.id) if retries else 0,
            retries=retries,
            broke=life.broke,
            last_words=life.last_words,
        )
        reached = await self._perform(outcomes.conclude(facts, life.context.name), run)
        return outcomes.Ended(end, state=reached or run.state.name or "")

    async def _perform(self, outcome: outcomes.Outcome, run: FlowRun) -> str | None:
        life, api = self._life, self._api
        match outcome:
            case outcomes.Cancel(message):
                engine_heard = life.last is not None and life.last.type == StateType.CANCELLING.value
                cancelling = run.state if run.state is not None and run.state.is_cancelling() else None
                if cancelling is not None and not engine_heard:
                    # As Prefect's own worker has it: hooks see the run Cancelling.
                    await self._hooks("cancelled", cancelling)
                state = await api.cancel(run.id, message)
                if cancelling is None and not engine_heard:
                    await self._hooks("cancelled", state)
            case outcomes.Reschedule(message):
                life.say("hands the task back: it was stopped")
                await self._booked()
                state = await api.reschedule(run, message)
            case outcomes.Suspend(message):
                life.say("suspends the paused task: it was stopped")
                await self._booked()
                state = await api.suspend(run, message)
            case outcomes.Crash(message, retry):
                life.context.logs.say(life.id, message, logging.ERROR)
                state = await api.crash(run.id, message)
                await self._hooks("crashed", state)
                if retry and (state is None or state.is_crashed()):
                    await self._booked()
                    state = await api.retry(run, run.empirical_policy.retry_delay or 0)
            case _:
                return None
        return state.name if state is not None else None

    async def _booked(self) -> None:
        """The process id is written before it is taken back."""
        if self._life.booked is not None:
            await asyncio.wait([self._life.booked])

    async def _hooks(self, kind: str, state: State[Any] | None) -> None:
        """Have the flow's hooks run in a child of their own: the run's was killed before its engine could."""
        life = self._life
        if state is None:
            return
        with suppress(ZygoteGone, OSError):
            child = await life.hooks_process(kind)
            if child is None:
                return
            child.attach(life.hear, lambda name, lines: life.context.logs.output(life.id, name, lines))
            try:
                await child.send(replace(life.request(state), hooks=kind))
                await asyncio.wait_for(child.exited(), HOOKS_SECONDS)
            except TimeoutError:
                child.kill()
                await child.exited()
            finally:
                child.close()
