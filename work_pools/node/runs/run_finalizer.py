"""A run's processes are gone: what is left to do for it."""

from __future__ import annotations

import asyncio
import logging
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from prefect.client.schemas.objects import TERMINAL_STATES, FlowRun, State, StateType

from work_pools.node.forked.processes import Exit
from work_pools.node.processes.zygote_client import ZygoteGone
from work_pools.node.runs import outcomes

if TYPE_CHECKING:
    from work_pools.node.runs.run_supervisor import RunSupervisor

HOOKS_SECONDS = 60.0
"""What hooks get that run after their run's process was killed."""


@dataclass(frozen=True)
class Ended:
    """``end`` is ``None`` when the run never got a process here; ``why`` says why."""

    end: Exit | None = None
    why: str = ""
    state: str = ""


class RunFinalizer:
    """Of one supervisor's run."""

    def __init__(self, life: RunSupervisor) -> None:
        self._life = life
        self._api = life.context.api

    async def settle(self, end: Exit, out_of_memory: bool) -> Ended:
        """Kill what is left over, and see that the run has the state it should have."""
        life = self._life
        await self._sweep_leftovers()
        if life.last is not None and StateType(life.last.type) in TERMINAL_STATES:
            return Ended(end, state=life.last.name)
        if life.booked is not None:
            await life.policy_stored.wait()
        run = await self._api.read(life.run.id)
        if run is None or run.state is None:
            return Ended(end, "it was deleted")
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
        )
        reached = await self._perform(outcomes.conclude(facts, life.context.name), run)
        return Ended(end, state=reached or run.state.name or "")

    async def _perform(self, outcome: outcomes.Outcome, run: FlowRun) -> str | None:
        life, api = self._life, self._api
        match outcome:
            case outcomes.Cancel(message):
                state = await api.cancel(run.id, message)
                if life.last is None or life.last.type != StateType.CANCELLING.value:
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
        codebase, loaded = life.job.plan.codebase, life.loaded
        if state is None or codebase is None or loaded is None or kind not in loaded.hooks:
            return
        with suppress(ZygoteGone, OSError):
            version = await life.context.codebases.current(codebase, life.job.plan.entrypoint)
            child = await version.spares.take()
            child.attach(life.hear, lambda name, lines: life.context.logs.output(life.id, name, lines))
            try:
                await child.send(replace(life.request(state), hooks=kind))
                await asyncio.wait_for(child.exited(), HOOKS_SECONDS)
            except TimeoutError:
                child.kill()
                await child.exited()
            finally:
                child.close()

    async def _sweep_leftovers(self) -> None:
        if self._life.child is not None:
            with suppress(ZygoteGone):
                await self._life.child.zygote.forget_leftovers(self._life.id)
