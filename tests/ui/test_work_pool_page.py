"""The work pool's page: its nodes, and the needs as typed, documented fields."""

from __future__ import annotations

import pytest
from playwright.sync_api import Page, expect

from skald_work_pools.needs import Needs
from tests.services.fleet import Fleet

pytestmark = [pytest.mark.server, pytest.mark.browser]


def test_the_node_is_online_and_the_needs_are_listed(made: Fleet, page: Page) -> None:
    page.goto(f"/v2/work-pools/work-pool/{made.pool}?tab=Workers")
    row = page.get_by_role("row", name="node-1")
    expect(row).to_contain_text("Online")
    for field in Needs.model_fields.values():
        expect(page.get_by_text(str(field.title), exact=True).first).to_be_visible()


def test_the_needs_defaults_can_be_edited_and_are_described(made: Fleet, page: Page) -> None:
    page.goto(f"/v2/work-pools/work-pool/{made.pool}/edit")
    for field in Needs.model_fields.values():
        expect(page.get_by_text(str(field.description), exact=True).first).to_be_visible()
