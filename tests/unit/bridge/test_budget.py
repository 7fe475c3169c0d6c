"""How often Prefect may be asked."""

from __future__ import annotations

import pytest

from skald_bridge.services.budget import Budget


def test_a_flood_takes_its_share_and_a_few_go_at_once() -> None:
    budget, now, spent, waited = Budget(0.1, 0.5), 0.0, 0.0, []
    budget.spend(0.002, now)
    while now < 100:
        wait = budget.wait(now)
        waited.append(wait)
        now += wait + 0.02
        budget.spend(0.02, now)
        spent += 0.02
    assert waited[:20] == [0.0] * 20
    assert spent == pytest.approx(0.1 * now, abs=0.6)


def test_what_is_saved_is_bounded() -> None:
    budget = Budget(0.1, 0.5)
    budget.spend(0.01, 0)
    assert budget.wait(1e6) == 0
    budget.spend(1.0, 1e6)
    assert budget.wait(1e6) == pytest.approx(5.0)
    assert budget.wait(1e6 + 4) == pytest.approx(1.0)


def test_what_keeps_nobody_waiting_is_free() -> None:
    budget, now = Budget(0.1, 0.5), 0.0
    for _ in range(1000):
        assert budget.wait(now) == 0
        now += 0.02
        budget.spend(0.02, now)
    budget.spend(1.0, now)
    assert budget.wait(now) == pytest.approx(5.0)
