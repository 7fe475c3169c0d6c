"""The dashboard that the skalds package ships, unchanged, on our REST and events."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from playwright.sync_api import Locator, Page, expect

from tests.services import browser
from tests.services.fleet import Fleet, fleet
from tests.services.poll import until
from tests.services.prefect_server import PrefectServer
from tests.services.rest import Rest, running_rest
from tests.services.skalds_package import skalds_path

pytestmark = [pytest.mark.server, pytest.mark.browser]
PROBE = Path(__file__).parents[1] / "integration" / "bridge" / "project" / "probe.py"
PAGE = "skalds/system_controller/static/dashboard"
STATUS, HEARTBEAT = 3, 5
"""Columns of the list of tasks."""
KEY = "a-long-random-text-0123456789"


@pytest.fixture(scope="module")
def made(ui_server: PrefectServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Fleet]:
    browser.chromium()
    folder = tmp_path_factory.mktemp("dashboard")
    shutil.copy(PROBE, folder / "probe.py")
    deployments = [
        {"name": "probe", "entrypoint": "probe.py:probe"},
        {"name": "other", "entrypoint": "jobs.py:wait"},
    ]
    with fleet(ui_server, folder, deployments) as made:
        yield made


@pytest.fixture(scope="module")
def rest(made: Fleet, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Rest]:
    options = ("--dashboard", str(skalds_path() / PAGE))
    with running_rest(made.server, tmp_path_factory.mktemp("home"), *options) as rest:
        yield rest


@pytest.fixture
def page(rest: Rest, tmp_path: Path) -> Iterator[Page]:
    """A fresh browser; an error on its console or in its scripts fails the test."""
    with browser.page(rest.url, width=1700) as page:
        wrong = complaints(page)
        yield page
        browser.screenshot(page, tmp_path / "last.png")
        assert wrong == []


def complaints(page: Page) -> list[str]:
    """What goes wrong in the page, as it happens."""
    wrong: list[str] = []
    page.on("console", lambda said: wrong.append(said.text) if said.type == "error" else None)
    page.on("pageerror", lambda error: wrong.append(str(error)))
    page.on(
        "requestfailed", lambda request: wrong.append(request.url) if "/events/" not in request.url else None
    )
    return wrong


def create(rest: Rest, task: str, class_name: str = "probe", **attachments: object) -> str:
    body = {"id": task, "className": class_name, "attachments": attachments}
    return str(rest.do("POST", "/api/tasks/", body)["data"]["taskId"])


def row(page: Page, task: str) -> Locator:
    return page.get_by_role("row").filter(has_text=task)


def cell(page: Page, task: str, column: int) -> Locator:
    return row(page, task).get_by_role("cell").nth(column)


def test_the_list_lives(rest: Rest, page: Page, tmp_path: Path) -> None:
    stop = tmp_path / "stop"
    create(rest, "film-beats", until=str(stop))
    create(rest, "film-fails", fail=True)
    rest.reaches("film-beats", "Running")
    rest.reaches("film-fails", "Failed")
    page.goto("/dashboard/tasks")
    expect(page.get_by_text("Live Updates")).to_be_visible()
    expect(cell(page, "film-beats", STATUS)).to_have_text("Running")
    expect(cell(page, "film-fails", STATUS)).to_have_text("Failed")
    beats: set[str] = set()

    def beating() -> bool:
        beats.add(cell(page, "film-beats", HEARTBEAT).inner_text())
        page.wait_for_timeout(100)
        return len(beats - {"0"}) >= 3

    until(beating, 40, "three heartbeats on the page")
    browser.screenshot(page, tmp_path / "tasks.png")
    stop.touch()
    expect(cell(page, "film-beats", STATUS)).to_have_text("Finished")
    expect(cell(page, "film-beats", HEARTBEAT)).to_have_text("200")


def test_filters(rest: Rest, page: Page, tmp_path: Path) -> None:
    create(rest, "cut.one", fail=True)
    create(rest, "cutXone")
    create(rest, "other-one", "wait")
    rest.reaches("cut.one", "Failed")
    rest.reaches("cutXone", "Finished")
    rest.reaches("other-one", "Finished", "Failed")
    page.goto("/dashboard/tasks")
    expect(row(page, "cutXone")).to_be_visible()
    page.get_by_placeholder("Filter by Task ID").fill("CUT.")
    expect(row(page, "cutXone")).to_have_count(0)
    expect(row(page, "cut.one")).to_be_visible()
    page.get_by_placeholder("Filter by Task ID").fill("one")
    page.get_by_role("combobox").first.select_option("wait")
    expect(row(page, "cutXone")).to_have_count(0)
    expect(row(page, "other-one")).to_be_visible()
    page.get_by_role("combobox").first.select_option("")
    page.get_by_role("combobox").last.select_option("Failed")
    expect(row(page, "cut.one")).to_be_visible()
    expect(row(page, "cutXone")).to_have_count(0)
    browser.screenshot(page, tmp_path / "filters.png")


def test_attachments_are_edited_and_reach_the_running_flow_which_is_then_cancelled(
    rest: Rest, made: Fleet, page: Page, tmp_path: Path
) -> None:
    never = str(tmp_path / "never")
    create(rest, "edited", until=never)
    rest.reaches("edited", "Running")
    page.goto("/dashboard/tasks")
    row(page, "edited").get_by_role("button", name="Details").click()
    text = page.get_by_placeholder("Enter JSON data for attachments...")
    shown = json.loads(text.input_value())
    assert shown["until"] == never
    text.fill(json.dumps({**shown, "step": 7}))
    browser.screenshot(page, tmp_path / "details.png")
    page.get_by_role("button", name="Update Attachments").click()
    expect(page.get_by_text("Task Details")).to_have_count(0)
    until(lambda: rest.get("/api/tasks/edited")["attachments"]["step"] == 7, 20, "the archive has them")
    until(lambda: "step 7" in progress(made), 20, "the running flow uses them")
    row(page, "edited").get_by_role("button", name="Details").click()
    page.get_by_role("button", name="Set Cancelled").click()
    rest.reaches("edited", "Cancelled")
    expect(cell(page, "edited", STATUS)).to_have_text("Cancelled")
    page.reload()
    expect(cell(page, "edited", STATUS)).to_have_text("Cancelled")
    expect(cell(page, "edited", HEARTBEAT)).to_have_text("-2")
    browser.screenshot(page, tmp_path / "cancelled.png")


def progress(made: Fleet) -> str:
    """What flows say of their progress."""
    found = made.api("POST", "/artifacts/filter", {"artifacts": {"type": {"any_": ["progress"]}}})
    return " ".join(str(artifact["description"]) for artifact in found)


def test_the_skalds_view(rest: Rest, page: Page, tmp_path: Path) -> None:
    create(rest, "on-node", until=str(tmp_path / "stop"))
    rest.reaches("on-node", "Running")
    page.goto("/dashboard/skalds")
    node = row(page, "node-1")
    expect(node).to_contain_text("node")
    expect(node).to_contain_text("Online")
    expect(node).to_contain_text("probe")
    expect(node.get_by_role("cell").last).to_have_text("1")
    browser.screenshot(page, tmp_path / "skalds.png")
    (tmp_path / "stop").touch()
    expect(node.get_by_role("cell").last).to_have_text("0")


def test_the_summary_and_its_links(rest: Rest, page: Page, tmp_path: Path) -> None:
    create(rest, "counted")
    rest.reaches("counted", "Finished")
    until(lambda: rest.get("/api/skalds/")["total"], 30, "a Skald")
    page.goto("/dashboard")
    sums = rest.get("/api/system/dashboard/summary")
    expect(page.get_by_text("1 of 1 skalds online")).to_be_visible()
    expect(page.get_by_text(f"{sums['failedTasks']} failed tasks detected")).to_be_visible()
    card = page.locator(".card").filter(has_text="Finished Tasks").first
    expect(card).to_contain_text(str(sums["finishedTasks"]))
    browser.screenshot(page, tmp_path / "summary.png")
    page.get_by_role("button", name="View All Tasks").click()
    expect(page).to_have_url(re.compile(r"/dashboard/tasks$"))
    expect(row(page, "counted")).to_be_visible()
    page.reload()
    expect(row(page, "counted")).to_be_visible()


def test_with_a_key_the_page_asks_for_a_login(made: Fleet, tmp_path: Path) -> None:
    options = ("--dashboard", str(skalds_path() / PAGE))
    with (
        running_rest(made.server, tmp_path / "home", *options, key=KEY) as rest,
        browser.page(rest.url, login=("anyone", KEY)) as page,
    ):
        assert httpx.get(f"{rest.url}/dashboard/").status_code == 401
        wrong = complaints(page)
        page.goto("/dashboard/tasks")
        expect(page.get_by_text("Live Updates")).to_be_visible()
        expect(page.get_by_text("results")).to_be_visible()
        assert wrong == []
