"""The loop on which every duty runs."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable

import pytest

from skald_bridge.domain.errors import Unavailable
from skald_bridge.services.loop import KINDS, Loop, RetryDelay, kind_of
from tests.services.poll import auntil


def loop_of(step: Callable[[int], float], **options: object) -> tuple[Loop, list[int]]:
    calls: list[int] = []

    async def body() -> float:
        calls.append(len(calls))
        return step(len(calls))

    return Loop("probe", body, jitter=lambda: 1.0, **options), calls  # type: ignore[arg-type]


async def called(calls: list[int], count: int) -> None:
    async def enough() -> bool:
        return len(calls) >= count

    await auntil(enough, 10, f"{count} calls")


async def test_it_calls_again_when_asked_and_when_hurried() -> None:
    loop, calls = loop_of(lambda n: 0.0 if n < 3 else 3600.0)
    loop.start()
    await called(calls, 3)
    loop.hurry()
    await called(calls, 4)
    loop.hurry(0.01)
    await called(calls, 5)
    await loop.stop()


async def test_a_hurry_during_the_step_is_not_lost() -> None:
    def step(n: int) -> float:
        if n == 1:
            loop.hurry()
        return 3600.0

    loop, calls = loop_of(step)
    loop.start()
    await called(calls, 2)
    await loop.stop()


async def test_failures_are_logged_once_and_the_end_of_them_too(caplog: pytest.LogCaptureFixture) -> None:
    def step(n: int) -> float:
        if n <= 3:
            raise Unavailable("the server is away")
        if n == 4:
            raise ValueError("a bug")
        return 3600.0

    loop, calls = loop_of(step, backoff=RetryDelay(0.001, 0.002))
    with caplog.at_level(logging.DEBUG, logger="skald_bridge.loop"):
        loop.start()
        await called(calls, 5)
        await loop.stop()
    assert [record.levelname for record in caplog.records] == ["WARNING", "ERROR", "INFO"]
    assert "the server is away" in caplog.messages[0]
    assert caplog.records[1].exc_info is not None


@pytest.mark.parametrize(
    ("messages", "expected"),
    [
        (["away", "full"], 2),
        (["no answer in 1.5 s", "no answer in 2 s", "no answer in 37.25 s"], 1),
        (["task 0a1b2c3d-0000-4000-8000-00000000000a", "task ffffffff-1111-4000-8000-00000000000b"], 1),
        (["<object at 0x7f9c>", "<object at 0x7a11>"], 1),
    ],
)
async def test_failures_that_alternate_are_logged_once_each(
    messages: list[str], expected: int, caplog: pytest.LogCaptureFixture
) -> None:
    def step(n: int) -> float:
        if n in (31, 62):
            return 0.0 if n == 31 else 3600.0
        raise Unavailable(messages[n % len(messages)])

    loop, calls = loop_of(step, backoff=RetryDelay(0.0001, 0.0001))
    kinds = len({kind_of(Unavailable(message)) for message in messages})
    with caplog.at_level(logging.DEBUG, logger="skald_bridge.loop"):
        loop.start()
        await called(calls, 62)
        await loop.stop()
    warned = [record for record in caplog.records if record.levelname == "WARNING"]
    assert len(warned) == 2 * kinds and kinds == expected


async def test_what_fails_in_ever_other_ways_does_not_fill_the_log(caplog: pytest.LogCaptureFixture) -> None:
    def step(n: int) -> float:
        raise ValueError("x" * n)

    loop, calls = loop_of(step, backoff=RetryDelay(0.0001, 0.0001))
    with caplog.at_level(logging.DEBUG, logger="skald_bridge.loop"):
        loop.start()
        await called(calls, 100)
        await loop.stop()
    assert len(caplog.records) == KINDS + 1
    assert "many ways" in caplog.messages[-1]


async def test_stop_waits_for_the_end_and_cancellation_passes() -> None:
    ended = asyncio.Event()

    async def step() -> float:
        try:
            await asyncio.Event().wait()
        finally:
            ended.set()
        return 0.0

    loop = Loop("probe", step, jitter=lambda: 1.0)
    loop.start()
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    await loop.stop()
    assert ended.is_set()
    running = asyncio.create_task(loop.run())
    await asyncio.sleep(0)
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running


def test_backoff_doubles_up_to_its_longest() -> None:
    backoff = RetryDelay(0.2, 5.0)
    assert [backoff.after(n, 1.0) for n in (1, 2, 3, 4, 5, 6, 2000)] == [0.2, 0.4, 0.8, 1.6, 3.2, 5.0, 5.0]
    assert backoff.after(1, 0.5) == 0.1


async def test_a_problem_is_told_until_a_step_succeeds_or_goes_on_for_long() -> None:
    waits = asyncio.Event()
    calls: list[int] = []

    async def step() -> float:
        calls.append(len(calls))
        if len(calls) in (1, 3):
            raise Unavailable("the server is away", remedy="start it")
        if len(calls) == 4:
            await waits.wait()
        return 0.0

    loop = Loop("probe", step, jitter=lambda: 1.0, backoff=RetryDelay(0.05, 0.05))
    seen: list[str | None] = []

    async def well_again() -> bool:
        if not seen or seen[-1] != loop.problem:
            seen.append(loop.problem)
        return len(calls) == 4 and loop.problem is None

    loop.start()
    try:
        await auntil(well_again, 10, "the step that waits counts as well")
    finally:
        await loop.stop()
    assert "the server is away" in seen and seen[-1] is None
