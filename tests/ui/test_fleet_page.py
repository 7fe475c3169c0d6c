"""The fleet's page in a browser: live, by keyboard, on a phone, in both colour schemes, whatever the names."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from playwright.sync_api import Locator, Page, expect

from tests.services import browser, runs
from tests.services.fleet import Fleet, fleet
from tests.services.prefect_server import running_server
from tests.services.rest import Rest, running_rest
from tests.ui import fleet_scene
from tests.ui.test_dashboard import KEY, PROBE, complaints

pytestmark = [pytest.mark.server, pytest.mark.browser]
HOSTILE = '<img src=x onerror="window.hacked=1"><script>window.hacked=1</script>'
CONTRAST = """
() => {
  const parse = (text) => (text.match(/[\\d.]+/g) || []).map(Number);
  const light = (rgb) => rgb.slice(0, 3).map((part) => part / 255)
    .map((part) => (part <= 0.04045 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4))
    .reduce((sum, part, place) => sum + part * [0.2126, 0.7152, 0.0722][place], 0);
  const behind = (node) => {
    for (let at = node; at; at = at.parentElement) {
      const colour = parse(getComputedStyle(at).backgroundColor);
      if (colour.length === 3 || colour[3] === 1) return colour;
    }
    return [255, 255, 255];
  };
  const seen = [];
  for (const node of document.querySelectorAll("body *")) {
    const own = [...node.childNodes].some((each) => each.nodeType === 3 && each.textContent.trim());
    if (!own || !node.checkVisibility()) continue;
    const [a, b] = [light(parse(getComputedStyle(node).color)), light(behind(node))].sort((x, y) => y - x);
    seen.push([(a + 0.05) / (b + 0.05), node.className, node.textContent.slice(0, 40)]);
  }
  return seen;
}
"""


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Fleet]:
    """The server is the module's own: there is no node on it before a test starts one."""
    browser.chromium()
    folder = tmp_path_factory.mktemp("fleet")
    shutil.copy(PROBE, folder / "probe.py")
    deployments = [{"name": "probe", "entrypoint": "probe.py:probe"}]
    with (
        running_server(tmp_path_factory.mktemp("prefect")) as server,
        fleet(server, folder, deployments, node=None) as made,
    ):
        yield made


@pytest.fixture(scope="module")
def rest(made: Fleet, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Rest]:
    with running_rest(made.server, tmp_path_factory.mktemp("home")) as rest:
        yield rest


@pytest.fixture(scope="module")
def scene(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Rest]:
    """A bridge with a whole fleet."""
    with running_server(tmp_path_factory.mktemp("prefect")) as server:
        asyncio.run(fleet_scene.make(server))
        with running_rest(server, tmp_path_factory.mktemp("home")) as rest:
            yield rest


def opened(rest: Rest, **more: Any) -> Any:
    return browser.page(rest.url, **more)


def start(made: Fleet, name: str, **attachments: Any) -> None:
    """A run of that name."""
    deployment = made.deployment("probe/probe")["id"]
    body = {"state": {"type": "SCHEDULED"}, "name": name, "parameters": {"attachments": attachments}}
    made.api("POST", f"/deployments/{deployment}/create_flow_run", body)


def tile(page: Page, name: str) -> Locator:
    return page.locator("article").filter(has=page.get_by_role("heading", name=name, exact=True))


def meter(node: Locator, label: str) -> Locator:
    return node.get_by_role("meter", name=label, exact=True)


def test_an_empty_fleet_says_what_to_do(rest: Rest) -> None:
    with opened(rest) as page:
        wrong = complaints(page)
        page.goto("/")
        expect(page).to_have_url(f"{rest.url}/fleet/")
        expect(page.get_by_text("Live", exact=True)).to_be_visible()
        expect(page.get_by_text("skald node --pool cpu")).to_be_visible()
        expect(page.get_by_text("Nobody waits.")).to_be_visible()
        expect(page.get_by_text("Nothing has started yet.")).to_be_visible()
        assert wrong == []


def test_a_node_comes_a_task_starts_and_ends_and_another_waits(
    made: Fleet, rest: Rest, tmp_path: Path
) -> None:
    with opened(rest) as page:
        wrong = complaints(page)
        page.goto("/fleet/")
        expect(page.get_by_text("skald node --pool cpu")).to_be_visible()
        with made.node("node-1", "--limit", "2"):
            node = tile(page, "node-1")
            expect(node.get_by_text("online")).to_be_visible()
            expect(node.get_by_text("Idle.")).to_be_visible()
            expect(page.get_by_text("skald node --pool cpu")).to_be_hidden()

            stop = tmp_path / "stop"
            start(made, "long-film", until=str(stop))
            expect(node.get_by_text("long-film")).to_be_visible()
            expect(meter(node, "Tasks")).to_have_attribute("aria-valuetext", "1 of 2 reserved")
            expect(meter(node, "Tasks")).to_have_attribute("aria-valuenow", "50")
            started = page.get_by_role("region", name="Started last")
            expect(started.get_by_text("long-film")).to_be_visible()
            expect(started.get_by_text("on node-1 · Running")).to_be_visible()

            made.api("PATCH", f"/work_pools/{made.pool}", {"is_paused": True})
            start(made, "held-back")
            queue = page.get_by_role("region", name="Queue")
            expect(queue.get_by_text("held-back")).to_be_visible()
            expect(queue.get_by_text(f"The work pool {made.pool} is paused.")).to_be_visible()
            expect(queue.get_by_text("1 waiting")).to_be_visible()

            stop.touch()
            expect(node.get_by_text("Idle.")).to_be_visible()
            expect(started.get_by_text("on node-1 · Finished")).to_be_visible()
            made.api("PATCH", f"/work_pools/{made.pool}", {"is_paused": False})
            expect(queue.get_by_text("held-back")).to_be_hidden()
            expect(started.get_by_text("held-back")).to_be_visible()
        expect(tile(page, "node-1").get_by_text("stopped")).to_be_visible()
        assert wrong == []


def test_bars_say_what_is_reserved(scene: Rest) -> None:
    with opened(scene) as page:
        page.goto("/fleet/")
        gpu = tile(page, "gpu-a")
        expect(meter(gpu, "CPUs")).to_have_attribute("aria-valuetext", "20 of 64 reserved")
        expect(meter(gpu, "Memory")).to_have_attribute("aria-valuetext", "128 GB of 512 GB reserved")
        # A whole GPU, and 40 GB of the other.
        expect(meter(gpu, "GPU memory")).to_have_attribute("aria-valuetext", "181 GB of 282 GB reserved")
        assert gpu.locator(".meter span").last.evaluate("bar => bar.style.width.slice(0, 4)") == "64.1"
        gpu.get_by_text("More").click()
        expect(gpu.get_by_text("2 × NVIDIA H200 (141 GB)")).to_be_visible()
        expect(tile(page, "studio").get_by_role("meter", name="GPU memory")).to_have_count(0)
        queue = page.get_by_role("region", name="Queue")
        expect(queue.get_by_text("needs 4 gpus, has 2", exact=False)).to_be_visible()
        expect(queue.locator("li")).to_have_count(3)


def test_by_keyboard_alone(scene: Rest) -> None:
    with opened(scene) as page:
        page.goto("/fleet/")
        expect(tile(page, "gpu-a")).to_be_visible()
        page.keyboard.press("Tab")
        expect(page.get_by_role("link", name="Skip to the queue")).to_be_focused()
        page.keyboard.press("Enter")
        expect(page.get_by_role("region", name="Queue")).to_be_focused()
        page.get_by_role("link", name="Skip to the queue").focus()
        page.keyboard.press("Tab")
        expect(page.get_by_role("searchbox", name="Filter")).to_be_focused()
        page.keyboard.type("h200")
        expect(tile(page, "gpu-a")).to_be_visible()
        expect(page.locator("article:visible")).to_have_count(1)
        page.keyboard.type(" no-such")
        expect(page.get_by_text("No node matches the filter.")).to_be_visible()
        page.keyboard.press("Control+a")
        page.keyboard.type("cuda-12")
        expect(page.locator("article:visible")).to_have_count(2)
        page.keyboard.press("Tab")
        expect(page.get_by_role("checkbox", name="only online")).to_be_focused()
        page.keyboard.press("Space")
        page.keyboard.press("Tab")
        more = tile(page, "gpu-a").locator("summary")
        expect(more).to_be_focused()
        page.keyboard.press("Enter")
        expect(tile(page, "gpu-a").get_by_text("Tags: cuda-12, nvme.")).to_be_visible()
        outline = more.evaluate("node => getComputedStyle(node).outlineStyle")
        assert outline == "solid", "what is focused can be seen"


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_everything_can_be_read_in_light_and_in_dark(scene: Rest, scheme: Any, tmp_path: Path) -> None:
    with opened(scene) as page:
        page.emulate_media(color_scheme=scheme)
        page.goto("/fleet/")
        expect(tile(page, "gpu-a")).to_be_visible()
        tile(page, "gpu-a").get_by_text("More").click()
        expect(page.get_by_text("Live", exact=True)).to_be_visible()
        browser.screenshot(page, tmp_path / f"{scheme}.png")
        seen = page.evaluate(CONTRAST)
        assert len(seen) > 40
        assert [each for each in seen if each[0] < 4.5] == []
        page_colour = page.evaluate("getComputedStyle(document.body).backgroundColor")
        assert (page_colour == "rgb(13, 17, 23)") == (scheme == "dark")


def test_a_phone_scrolls_one_way_only(scene: Rest, tmp_path: Path) -> None:
    fleet_scene.worker(scene, "w" * 200, tags=["t" * 200])
    try:
        with opened(scene, width=360, height=740) as page:
            page.goto("/fleet/")
            expect(tile(page, "w" * 200)).to_be_visible()
            page.locator("summary").first.click()
            browser.screenshot(page, tmp_path / "phone.png")
            assert page.evaluate("document.documentElement.scrollWidth") <= 360
            outside = "all => all.filter(node => node.getBoundingClientRect().right > 360).length"
            assert page.locator("main *").evaluate_all(outside) == 0
    finally:
        fleet_scene.worker(scene, "w" * 200, leaving=True)


def test_names_are_shown_as_they_are_and_do_nothing(made: Fleet, rest: Rest) -> None:
    fleet_scene.worker(rest, HOSTILE, tags=[HOSTILE], address=HOSTILE)

    async def more() -> None:
        async with runs.client_of(made.server.url) as client:
            scene = fleet_scene.Scene(client)
            await scene.node("odd", made.pool, 4.0, 10**9, tags=(HOSTILE,), host=HOSTILE)
            await scene.task(made.pool, "kind", HOSTILE, {"cpus": 1, "tags": [HOSTILE]})
            await scene.task(made.pool, "kind", f"{HOSTILE} at work", {}, "odd")

    asyncio.run(more())
    with opened(rest) as page:
        wrong = complaints(page)
        page.goto("/fleet/")
        expect(tile(page, HOSTILE)).to_be_visible()
        odd = tile(page, "odd")
        expect(odd.get_by_text(f"{HOSTILE} at work")).to_be_visible()
        odd.get_by_text("More").click()
        expect(odd.get_by_text(f"Tags: {HOSTILE}.", exact=False)).to_be_visible()
        expect(page.get_by_role("region", name="Queue").get_by_text(HOSTILE, exact=True)).to_be_visible()
        assert page.evaluate("window.hacked") is None
        assert page.locator("img, main script").count() == 0
        assert wrong == [], "not even the policy had anything to refuse"


def test_nothing_is_asked_of_anybody_else_and_no_script_is_within_the_page(rest: Rest) -> None:
    answer = rest.ask("GET", "/fleet/")
    policy = answer.headers["Content-Security-Policy"]
    assert "default-src 'none'" in policy and "unsafe" not in policy
    asked: list[str] = []
    with opened(rest) as page:
        page.on("request", lambda request: asked.append(request.url))
        page.goto("/fleet/")
        expect(page.get_by_text("Live", exact=True)).to_be_visible()
        assert page.locator("script:not([src]), style, [style*=url], [onclick]").count() == 0
        page.evaluate(
            """() => {
                const script = document.createElement("script");
                script.textContent = "window.injected = 1";
                document.body.append(script);
            }"""
        )
        assert page.evaluate("window.injected") is None
    assert len(asked) >= 5
    assert {url for url in asked if not url.startswith((f"{rest.url}/", "data:"))} == set()
    for path in ("/fleet/../main.py", "/fleet/%2e%2e/app.py", "/fleet/none.js"):
        assert rest.ask("GET", path).status_code == 404


def test_with_two_hundred_nodes_a_change_touches_one_tile(scene: Rest) -> None:
    names = [f"w{number:03}" for number in range(200)]

    def report(*some: str, **said: Any) -> None:
        for name in some:
            fleet_scene.worker(scene, name, **said)

    report(*names)
    with opened(scene) as page:
        page.goto("/fleet/")
        expect(page.locator("article")).to_have_count(200 + len(fleet_scene.NODES))
        page.evaluate(
            """() => {
                window.touched = new Set();
                new MutationObserver((all) => all.forEach((each) => {
                    const at = each.target.nodeType === 1 ? each.target : each.target.parentElement;
                    const time = at.closest("time");
                    const tile = at.closest("article");
                    if (tile && !time) window.touched.add(tile.querySelector("h3").textContent);
                })).observe(document.getElementById("tiles"), {
                    subtree: true, childList: true, characterData: true, attributes: true,
                });
            }"""
        )
        report("w100", current_tasks=3)
        expect(meter(tile(page, "w100"), "Tasks")).to_have_attribute("aria-valuetext", "3 of 4 reserved")
        assert page.evaluate("[...window.touched]") == ["w100"]
        page.get_by_role("searchbox", name="Filter").fill("w19")
        expect(page.locator("article:visible")).to_have_count(10)
    for name in names:
        fleet_scene.worker(scene, name, leaving=True)


def test_the_page_goes_on_when_the_bridge_comes_back(made: Fleet, tmp_path: Path) -> None:
    with running_rest(made.server, tmp_path / "home") as rest, browser.page(rest.url) as page:
        port = int(rest.url.rpartition(":")[2])
        page.goto("/fleet/")
        expect(page.get_by_text("Live", exact=True)).to_be_visible()
        rest.process.kill()
        rest.process.wait()
        expect(page.get_by_text("Connection lost; trying again…")).to_be_visible()
        with running_rest(made.server, tmp_path / "other", port=port):
            expect(page.get_by_text("Live", exact=True)).to_be_visible()


def test_with_a_key_the_page_asks_for_a_login(made: Fleet, tmp_path: Path) -> None:
    with (
        running_rest(made.server, tmp_path / "home", key=KEY) as rest,
        browser.page(rest.url, login=("anyone", KEY)) as page,
    ):
        for path in ("/fleet/", "/fleet/fleet.js", "/api/events/fleet"):
            assert httpx.get(f"{rest.url}{path}").status_code == 401
        page.goto("/fleet/")
        expect(page.get_by_text("Live", exact=True)).to_be_visible()
