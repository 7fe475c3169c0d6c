"""A headless Chromium, Debian's, driven by Playwright."""

from __future__ import annotations

import contextlib
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

from playwright.sync_api import Page, expect, sync_playwright

from tests.conftest import required

FLAGS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)
PATIENCE = 30_000
"""Milliseconds Playwright waits for what a test expects; machines are shared and slow."""


def chromium() -> str:
    """The browser's path; a test that has none is skipped, or fails in CI."""
    program = shutil.which("chromium") or shutil.which("chromium-browser")
    if program is None:
        required("chromium: run tests/services/chromium.sh")
    return str(program)


@contextlib.contextmanager
def page(
    url: str, width: int = 1400, height: int = 1000, login: tuple[str, str] | None = None
) -> Iterator[Page]:
    """A fresh browser whose relative addresses start at ``url``; ``login`` is a user's name and password."""
    program = chromium()
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as profile, sync_playwright() as playwright:
        context = playwright.chromium.launch_persistent_context(
            profile,
            executable_path=program,
            headless=True,
            args=list(FLAGS),
            base_url=url,
            viewport={"width": width, "height": height},
            http_credentials={"username": login[0], "password": login[1]} if login else None,
        )
        context.set_default_timeout(PATIENCE)
        expect.set_options(timeout=PATIENCE)
        try:
            yield context.pages[0] if context.pages else context.new_page()
        finally:
            context.close()


def settle(page: Page) -> None:
    """Wait until the page looks the same twice in a row."""
    seen = b""
    for _ in range(20):
        page.wait_for_timeout(500)
        now = page.screenshot()
        if now == seen:
            return
        seen = now


def screenshot(page: Page, file: Path) -> Path:
    file.parent.mkdir(parents=True, exist_ok=True)
    page.screenshot(path=file)
    return file
