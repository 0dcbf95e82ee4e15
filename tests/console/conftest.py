"""A real Chromium, driven by Playwright, against the real API."""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, sync_playwright

import support_console
from sekisho.model.access import Role
from support_browser import Opened
from support_console import Cloud


@pytest.fixture(scope="session")
def chromium() -> Iterator[Browser]:
    program = shutil.which("chromium")
    assert program, "chromium is not installed; `make check-console` installs it"
    # Chromium's own sandbox is not for root, and all it loads here is ours.
    words = ["--no-sandbox"] if os.geteuid() == 0 else []
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=program, args=words)
        yield browser
        browser.close()


@pytest.fixture
def opened(chromium: Browser) -> Iterator[Opened]:
    """Open a browser of somebody's, signed in; whatever it complains about fails the test."""
    complaints: list[str] = []
    with ExitStack() as stack:

        def open_page(
            url: str, secret: str, *, phone: bool = False, issuer: str = "Sekisho", **context: object
        ) -> Page:
            size = {"width": 390, "height": 844} if phone else {"width": 1280, "height": 860}
            made = chromium.new_context(viewport=size, timezone_id="Asia/Tokyo", **context)  # type: ignore[arg-type]
            stack.callback(made.close)
            page = made.new_page()
            page.set_default_timeout(20_000)
            page.on("pageerror", lambda error: complaints.append(str(error)))
            page.on("console", lambda m: complaints.append(m.text) if m.type == "error" else None)
            page.goto(f"{url}/login")
            page.fill("#token", secret)
            page.check(f"input[value={issuer.lower()}]")
            page.click("button.main")
            page.wait_for_url(re.compile(f"{re.escape(url)}/(own)?$"))
            return page

        yield open_page
    assert complaints == []


@pytest.fixture(scope="module")
def past(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Cloud, str]]:
    """A cloud with an hour behind it."""
    cloud = Cloud(tmp_path_factory.mktemp("past"))
    support_console.story(cloud)
    with support_console.served(cloud) as (app, url):
        app.state.flows = support_console.Played(cloud)
        yield cloud, url
    cloud.close()


@pytest.fixture
def ada(past: tuple[Cloud, str], opened: Opened) -> Page:
    """An administrator's page."""
    return opened(past[1], past[0].secrets[Role.ADMIN])


@pytest.fixture
def shots() -> Path | None:
    """Where pictures of every page are wanted, if anybody wants them."""
    wanted = os.environ.get("CONSOLE_SHOTS")
    return Path(wanted) if wanted else None
