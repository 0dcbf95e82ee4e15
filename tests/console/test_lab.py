"""The whole way, with a real switch: somebody spams, is bound, is looked at in a browser, and is let go."""

from __future__ import annotations

import os
import re

import pytest
from playwright.sync_api import Page, expect

from sekisho.app.lab import Lab
from support_browser import Opened
from support_cloud import cloud_of, settings

POLICY = """
[policy.outgoing-spam]
mode = "enforce"
[[policy.outgoing-spam.when]]
detector = "smtp-connections"
threshold = "30/5s"
[[policy.outgoing-spam.then]]
drop = "tcp/25"
direction = "egress"
for = "10min"
"""


@pytest.mark.timeout(300)
@pytest.mark.skipif(os.geteuid() != 0, reason="needs root")
def test_a_spammer_is_bound_looked_at_and_lifted_in_a_browser(
    opened: Opened, monkeypatch: pytest.MonkeyPatch
) -> None:
    # A browser on the same machine makes everything start slowly.
    monkeypatch.setattr(Lab.wait, "__defaults__", (90.0,))
    with cloud_of(settings(POLICY)) as cloud:
        subject = cloud.vm("spammer", 12)
        token = (cloud.lab.folder / "state" / "tokens" / "admin").read_text().strip()
        page: Page = opened(cloud.lab.url, token)
        expect(page.locator("#bound")).to_contain_text("Nobody is bound.")
        cloud.traffic("spammer", "spam", "--to", "198.51.100.0/24", "--rate", "20")
        # Nobody loads the page again.
        expect(page.locator("#bound .who")).to_have_text(subject, timeout=60_000)
        page.locator("#bound .who").click()
        expect(page.locator(".verdict")).to_contain_text("drop TCP 25 egress")
        expect(page.locator("[data-chart]")).to_have_attribute("data-drawn", re.compile(r"\d"))
        page.locator("#restrictions").get_by_text("Lift", exact=True).click()
        page.locator("#restrictions").get_by_label("Reason").first.fill("It was a test.")
        page.get_by_role("button", name="Lift now").click()
        expect(page.locator(".verdict")).to_contain_text("free")
        assert cloud.reaches("spammer", "198.51.100.9")
        page.get_by_role("link", name="Audit").click()
        row = page.locator("tbody tr", has_text="It was a test.")
        expect(row).to_contain_text("lifted")
