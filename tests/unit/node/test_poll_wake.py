"""What leads to a poll before its time."""

from __future__ import annotations

import asyncio

import pytest

from skald_work_pools.node.runs import poll_wake
from skald_work_pools.node.runs.poll_wake import PollWake


async def test_what_was_freed_is_looked_at_once_while_somebody_waits() -> None:
    wake = PollWake()
    wake.changed()
    assert not wake.asked.is_set()
    wake.some_wait = True
    for freed in (wake.released, wake.changed, wake.now):
        wake.asked.clear()
        freed()
        assert wake.asked.is_set()


async def test_with_nobody_known_to_wait_a_release_is_looked_at_soon(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(poll_wake, "NUDGE", 0.01)
    wake = PollWake()
    wake.released()
    wake.released()
    assert not wake.asked.is_set()
    async with asyncio.timeout(10):
        await wake.asked.wait()


async def test_a_poll_takes_the_place_of_a_nudge(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(poll_wake, "NUDGE", 0.01)
    wake, later = PollWake(), asyncio.Event()
    wake.released()
    wake.polling()
    asyncio.get_running_loop().call_later(0.05, later.set)
    await later.wait()
    assert not wake.asked.is_set()
