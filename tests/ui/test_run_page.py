"""The run's page: its graph, logs and artifacts; cancelling and trying again from its menu."""

from __future__ import annotations

from pathlib import Path

import pytest
from PIL import Image
from playwright.sync_api import Page, expect

from tests.services.fleet import Fleet
from tests.services.poll import until
from tests.ui import pictures

pytestmark = [pytest.mark.server, pytest.mark.browser]


def choose(page: Page, action: str) -> None:
    """Pick an action of the run's menu and confirm it."""
    page.get_by_role("button", name="Open menu").first.click()
    page.get_by_role("menuitem", name=action).click()
    page.get_by_role("dialog").or_(page.get_by_role("alertdialog")).get_by_role(
        "button", name=action
    ).last.click()


def test_graph_logs_and_artifact_are_shown(made: Fleet, page: Page, tmp_path: Path) -> None:
    run = made.run("cut/form", {"title": "A picture"})
    made.reaches(run, "Completed")
    graph = pictures.run_graph(page, run, tmp_path / "graph.png")
    assert len(Image.open(graph).convert("RGB").getcolors(2**24) or []) > 20
    page.get_by_role("tab", name="Logs").click()
    expect(page.get_by_text("node-1").first).to_be_visible()

    artifact = pictures.artifact(page, "cut-report", tmp_path / "artifact.png")
    assert artifact.stat().st_size > 0
    expect(page.get_by_role("heading", name="A picture")).to_be_visible()


def test_retry_in_the_menu_runs_it_again(made: Fleet, page: Page) -> None:
    run = made.run("wait/job", {"failFirst": True})
    made.reaches(run, "Failed")
    page.goto(f"/v2/runs/flow-run/{run}")
    choose(page, "Retry")
    assert made.reaches(run, "Completed")["run_count"] == 2


def test_cancel_in_the_menu_ends_it(made: Fleet, page: Page, tmp_path: Path) -> None:
    log = tmp_path / "log"
    run = made.run("wait/job", {"until": str(tmp_path / "never"), "log": str(log)})
    until(log.exists, 30, "user code runs")
    page.goto(f"/v2/runs/flow-run/{run}")
    choose(page, "Cancel")
    made.reaches(run, "Cancelled")
