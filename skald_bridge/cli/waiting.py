"""Nothing waits silently: what a task waits for is told on stderr, and again whenever it is another thing."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import typer

from skald_bridge.cli.why import explained
from skald_bridge.domain.errors import SkaldError
from skald_bridge.domain.plain_text import visible

if TYPE_CHECKING:
    from skald_bridge.domain.ids import TaskId
    from skald_bridge.ports import Engine

_FIRST, _EVERY = 0.9, 2.0
_PATIENCE = 0.9
"""Seconds for Prefect's answer before it is told that this is what is waited for; with ``_FIRST`` less than two."""
_COUNTDOWN = re.compile(r", in \d+ s\b")


@asynccontextmanager
async def told(engine: Engine, task: TaskId, *, interrupted: str) -> AsyncIterator[None]:
    """While the block lasts, say what the task waits for; ``interrupted`` is said when Ctrl-C ends the block."""
    telling = asyncio.create_task(_tell(engine, task), name="telling")
    try:
        yield
    except asyncio.CancelledError:
        typer.echo(visible(interrupted), err=True)
        raise
    finally:
        telling.cancel()
        await asyncio.gather(telling, return_exceptions=True)


async def _tell(engine: Engine, task: TaskId) -> None:
    last: Sequence[str] = ()
    await asyncio.sleep(_FIRST)
    while True:
        asking = asyncio.create_task(_reasons(engine, task))
        try:
            if not (await asyncio.wait([asking], timeout=_PATIENCE))[0]:
                _say("Prefect's API has not answered yet.")
            found = await asking
        finally:
            asking.cancel()
        if changed(last, found):
            for reason in found:
                _say(reason)
        last = found
        await asyncio.sleep(_EVERY)


async def _reasons(engine: Engine, task: TaskId) -> list[str]:
    try:
        found = await engine.task(task)
        # Who waits for a task that has ended is about to hear of that.
        return [] if found.state is not None and found.state.type.terminal else await explained(engine, found)
    except SkaldError as error:
        return [error.message]


def _say(reason: str) -> None:
    typer.echo(f"waiting: {visible(reason)}", err=True)


def changed(last: Sequence[str], found: Sequence[str]) -> bool:
    """Whether ``found`` says anything else than ``last``; seconds that count down are no news."""
    return [_COUNTDOWN.sub("", each) for each in last] != [_COUNTDOWN.sub("", each) for each in found]
