"""Pictures of Prefect's UI and of the fleet's page, for tests and the README.

``python -m tests.ui.pictures SERVER run RUN_ID FILE``, ``... artifact KEY FILE`` or ``... form FLOW/DEPLOYMENT FILE``;
SERVER is the UI's address, such as http://127.0.0.1:4200. ``... fleet NODE FILE``: SERVER is the bridge's.
"""

from __future__ import annotations

import sys
from pathlib import Path

from playwright.sync_api import Page, expect

from tests.services import browser

GRAPH = "canvas"


def run_graph(page: Page, run: str, file: Path) -> Path:
    """A finished run's page, its graph drawn, with its subtasks below."""
    page.goto(f"/v2/runs/flow-run/{run}?tab=TaskRuns")
    expect(page.locator(GRAPH).first).to_be_visible()
    browser.settle(page)
    return browser.screenshot(page, file)


def artifact(page: Page, key: str, file: Path) -> Path:
    """The newest artifact of a key, its pictures loaded."""
    found = page.request.post(
        "/api/artifacts/latest/filter", data={"artifacts": {"key": {"any_": [key]}}}
    ).json()
    assert found, f"no artifact {key}"
    page.goto(f"/v2/artifacts/artifact/{found[0]['latest_id']}")
    expect(page.get_by_text(key).first).to_be_visible()
    page.wait_for_function("[...document.images].every(image => image.complete)")
    browser.settle(page)
    return browser.screenshot(page, file)


def form(page: Page, deployment: str, file: Path) -> Path:
    """The form of a custom run of the deployment ``FLOW/NAME``."""
    found = page.request.get(f"/api/deployments/name/{deployment}").json()
    page.goto(f"/v2/deployments/deployment/{found['id']}/run")
    expect(page.get_by_role("button", name="Submit")).to_be_visible()
    browser.settle(page)
    return browser.screenshot(page, file)


def fleet(page: Page, node: str, file: Path) -> Path:
    """The fleet's page once this node is on it."""
    page.goto("/fleet/")
    expect(page.get_by_role("heading", name=node, exact=True)).to_be_visible()
    return browser.screenshot(page, file)


TAKERS = {"fleet": fleet, "run": run_graph, "artifact": artifact, "form": form}


def main(server: str, kind: str, subject: str, file: str) -> None:
    with browser.page(server) as page:
        TAKERS[kind](page, subject, Path(file))


if __name__ == "__main__":
    main(*sys.argv[1:])
