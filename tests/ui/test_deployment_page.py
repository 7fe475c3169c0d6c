"""The deployment's pages: the form of the attachments, a custom run, a schedule."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import Page, expect

from tests.services.fleet import Fleet
from tests.services.poll import until

pytestmark = [pytest.mark.server, pytest.mark.browser]


def run_id(page: Page) -> str:
    """The run whose page is open, once it is."""
    page.wait_for_url(re.compile(r"/runs/flow-run/"))
    return page.url.split("/flow-run/")[1][:36]


def test_the_form_shows_the_attachments(made: Fleet, page: Page) -> None:
    page.goto(f"/v2/deployments/deployment/{made.deployment('cut/form')['id']}/run")
    expect(page.get_by_label("Title")).to_have_value("Untitled")
    expect(page.get_by_label("Segment Seconds")).to_have_value("10")
    expect(page.get_by_label("Segment Seconds")).to_have_attribute("type", "number")
    expect(page.get_by_label("Speed")).to_have_value("1")
    expect(page.get_by_label("Quality")).to_have_text("draft")
    expect(page.get_by_label("Keep Sound")).to_be_checked()
    expect(page.locator("textarea").last).to_have_value("family")
    for words in ("What to cut, and how.", "Shown on the first frame.", "Length of a segment in seconds."):
        expect(page.get_by_text(words)).to_be_visible()


def test_the_older_ui_shows_them_too(made: Fleet, page: Page) -> None:
    page.goto(f"/deployments/deployment/{made.deployment('cut/form')['id']}/run")
    for words in (
        "Segment Seconds (Optional)",
        "Length of a segment in seconds.",
        "Draft is fast, final is good.",
    ):
        expect(page.get_by_text(words)).to_be_visible()
    expect(page.locator("main input[type=number], input[type=number]").first).to_have_value("10")
    expect(page.locator("textarea").first).to_have_value("Untitled")


def test_a_custom_run_from_the_form_completes_on_a_node(made: Fleet, page: Page) -> None:
    page.goto(f"/v2/deployments/deployment/{made.deployment('cut/form')['id']}/run")
    page.get_by_label("Title").fill("Holiday")
    page.get_by_label("Segment Seconds").fill("42")
    page.get_by_label("Quality").click()
    page.get_by_role("option", name="final").click()
    page.get_by_label("Keep Sound").click()
    page.get_by_role("button", name="Submit").click()
    until(lambda: made.runs("cut/form"), 30, "a run made by the form")
    (run,) = made.runs("cut/form")

    done = made.reaches(run["id"], "Completed")

    given = done["parameters"]["attachments"]
    assert (given["title"], given["segmentSeconds"], given["quality"], given["keepSound"]) == (
        "Holiday",
        42,
        "final",
        False,
    )
    page.goto(f"/v2/runs/flow-run/{run['id']}")
    expect(page.get_by_text("Completed", exact=True).first).to_be_visible()
    expect(page.get_by_text("5 Task runs")).to_be_visible()


def test_a_schedule_made_in_the_ui_fires(made: Fleet, page: Page) -> None:
    page.goto(f"/v2/deployments/deployment/{made.deployment('wait/job')['id']}")
    page.get_by_role("button", name="Schedule", exact=True).click()
    dialog = page.get_by_role("dialog")
    dialog.get_by_label("Value").fill("5")
    dialog.get_by_label("Interval", exact=True).last.click()
    page.get_by_role("option", name="Seconds").click()
    dialog.get_by_role("button", name="Save").click()
    expect(page.get_by_text("Every 5 seconds")).to_be_visible()

    def fired() -> bool:
        return any(
            run["auto_scheduled"] and run["state"]["name"] == "Completed" for run in made.runs("wait/job")
        )

    until(fired, 60, "a completed run of the schedule")
    made.cli("deployment", "schedule", "clear", "wait/job", "--accept-yes")
