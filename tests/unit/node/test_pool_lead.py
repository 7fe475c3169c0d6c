from __future__ import annotations

from datetime import UTC, datetime, timedelta
from uuid import uuid4

import pytest

from skald_work_pools.node.reconcile.pool_lead import LEAD_FOR, Lead, Step, lead_variable, step

NOW = datetime(2026, 1, 1, 12, tzinfo=UTC)


@pytest.mark.parametrize(
    ("lead", "expected"),
    [
        (None, Step.TAKE),
        (Lead(uuid4(), "me", NOW), Step.LOOK),
        (Lead(uuid4(), "me", NOW - 2 * LEAD_FOR), Step.LOOK),
        (Lead(uuid4(), "other", NOW), Step.FOLLOW),
        (Lead(uuid4(), "other", NOW - LEAD_FOR), Step.FOLLOW),
        (Lead(uuid4(), "other", NOW - LEAD_FOR - timedelta(seconds=1)), Step.REPLACE),
        (Lead(uuid4(), "other", NOW + timedelta(hours=1)), Step.FOLLOW),
    ],
)
def test_one_node_leads_as_long_as_it_renews_its_lead(lead: Lead | None, expected: Step) -> None:
    assert step(lead, "me", NOW) is expected


def test_each_pool_has_a_lead_of_a_name_that_prefect_takes() -> None:
    assert lead_variable("GPU pool") != lead_variable("gpu pool")
    assert lead_variable("ü").replace("_", "").isalnum() and lead_variable("ü").islower()
