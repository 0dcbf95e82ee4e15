"""Every page in a real browser: charts are drawn, everybody can read it, a phone can show it."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Page, expect

import support_console
from sekisho.model.access import Role
from sekisho.model.report import Talker
from support_browser import Opened
from support_console import Cloud

Past = tuple[Cloud, str]

LOOK = (Path(__file__).parent / "look.js").read_text()


def look_at(page: Page, what: str) -> Any:
    """Ask one of `look.js`'s questions of a page."""
    return page.evaluate(f"{LOOK.strip()}.{what}()")


def everywhere(cloud: Cloud) -> dict[str, str]:
    subject = cloud.subjects[7].id
    name = cloud.keeper.restrictions(subject, "", (), 1, "").items[0].id
    return {
        "now": "/",
        "subjects": "/subjects",
        "subject": f"/subjects/{subject}",
        "restrictions": "/restrictions?state=active&state=proposed&state=lifted",
        "restriction": f"/restrictions/{name}",
        "policies": "/policies",
        "policy": "/policies/heavy-user",
        "mode": "/policies/heavy-user/mode?to=watch",
        "backtests": "/backtests?policy=heavy-user",
        "backtest": "/backtests/b1",
        "exporters": "/exporters",
        "audit": "/audit",
    }


def show(page: Page, url: str) -> None:
    page.goto(url)
    for figure in page.locator("[data-chart]").all():
        expect(figure).to_have_attribute("data-drawn", re.compile(r"\d"))


@pytest.mark.parametrize(
    ("look", "context"),
    [
        ("light", {"color_scheme": "light"}),
        ("dark", {"color_scheme": "dark"}),
        ("phone", {"phone": True}),
        ("ja", {"locale": "ja-JP"}),
        ("phone-dark-ja", {"phone": True, "color_scheme": "dark", "locale": "ja-JP"}),
    ],
)
def test_every_page_can_be_read_everywhere(
    past: Past, opened: Opened, shots: Path | None, look: str, context: dict[str, object]
) -> None:
    cloud, url = past
    read(opened(url, cloud.secrets[Role.ADMIN], **context), url, everywhere(cloud), shots, look)
    mia = opened(url, cloud.member("acme"), issuer="Keystone", **context)
    read(mia, url, {"own": "/own"}, shots, look)


def read(page: Page, url: str, pages: dict[str, str], shots: Path | None, look: str) -> None:
    """Read pages as people do: nothing too wide, too pale or without a name."""
    width = page.viewport_size["width"] if page.viewport_size else 0
    for name, path in pages.items():
        show(page, url + path)
        for summary in page.locator("details.act > summary").all():
            summary.click()
        assert page.evaluate("document.documentElement.scrollWidth") <= width, f"{name} is too wide"
        assert look_at(page, "contrast") == [], name
        assert look_at(page, "nameless") == [], name
        if shots:
            show(page, url + path)
            if name != "own":
                expect(page.locator("[data-lamp].on")).to_be_attached()
            page.screenshot(path=shots / f"{name}-{look}.png", full_page=True)


def test_the_line_drops_where_the_shade_begins(past: Past, ada: Page) -> None:
    cloud, url = past
    subject = cloud.subjects[7].id
    show(ada, f"{url}/subjects/{subject}")
    figure = ada.locator("[data-chart]")
    shaded = figure.evaluate(f"(figure) => ({LOOK.strip()}).shaded(figure)")
    entry = cloud.keeper.restrictions(subject, "", (), 1, "").items[0]
    # Free to the left, bound from there to the right edge.
    first = shaded.index(1)
    assert 0.4 < first / len(shaded) < 0.8
    assert sum(shaded[:first]) == 0
    assert sum(shaded[first:]) > 0.8 * (len(shaded) - first) - 8
    numbers = ada.request.get(f"{url}/traffic?subject={subject}&range=1h").json()
    step = int((entry.in_force - numbers["since"]) // numbers["step"])
    assert min(numbers["egress"][step - 6 : step]) > 100e6
    assert max(numbers["egress"][step + 2 : -3]) < 15e6
    assert [span["label"] for span in numbers["spans"]] == ["heavy-user"]
    expect(figure.locator("[data-summary]")).to_contain_text("egress")


def test_words_under_a_curve_stand_where_they_belong(past: Past, ada: Page) -> None:
    ada.goto(f"{past[1]}/backtests/b1")
    curve, words = ada.locator(".curve svg"), ada.locator(".scale li").all()
    box = curve.bounding_box()
    assert box is not None
    assert len(words) == 6
    # The picture goes from 20 to 20 * 1.1 ** 31 Mbit/s, in equal steps of a logarithm.
    for word in words:
        at = word.bounding_box()
        assert at is not None
        rate = float((word.text_content() or "").split()[0])
        assert rate == pytest.approx(20 * 1.1 ** (31 * (at["x"] - box["x"]) / box["width"]), rel=0.02)
    expect(ada.locator(".curve + details, .legend").first).to_contain_text("31")


def test_a_chart_is_read_by_the_keyboard_too(past: Past, ada: Page) -> None:
    cloud, url = past
    show(ada, f"{url}/subjects/{cloud.subjects[7].id}")
    summary = ada.locator("[data-summary]")
    expect(summary).to_contain_text("now")
    ada.locator(".plot").focus()
    for _ in range(3):
        ada.keyboard.press("ArrowLeft")
    expect(summary).to_contain_text(re.compile(r"\d\d:\d\d:\d\d: egress"))


def test_times_are_the_readers_own(past: Past, ada: Page) -> None:
    cloud, url = past
    ada.goto(f"{url}/restrictions/r1")
    moment = ada.locator("time[data-moment]").first
    # 08:37:30 UTC is 17:37:30 in Tokyo.
    expect(moment).to_have_text(re.compile(r"17:37"))
    assert moment.get_attribute("datetime") == "2027-01-15T08:37:30Z"
    del cloud


def test_without_scripts_a_page_still_says_and_decides_everything(past: Past, opened: Opened) -> None:
    cloud, url = past
    cloud.keeper.impose(
        support_console.OLGA, cloud.subjects[30].id, (support_console.SMTP,), "By hand.", 600.0, ""
    )
    page: Page = opened(url, cloud.secrets[Role.OPERATOR], java_script_enabled=False)
    expect(page.locator("#bound")).to_contain_text("limit egress to 10 Mbit/s")
    expect(page.get_by_role("button", name="Show")).to_be_visible()
    page.goto(f"{url}/restrictions")
    expect(page.locator("time").first).to_contain_text("UTC")
    page.locator("tbody input").first.check()
    page.locator("#bulk-reason").fill("By keyboard.")
    page.get_by_role("button", name="Lift the chosen ones").click()
    expect(page.locator(".note")).to_contain_text("Lifted: 1.")


def test_the_skip_link_is_first_and_leads_to_the_content(ada: Page) -> None:
    ada.keyboard.press("Tab")
    expect(ada.locator(":focus")).to_have_class("skip")
    ada.keyboard.press("Enter")
    expect(ada.locator("main")).to_be_focused()


def test_pages_that_are_open_hear_what_others_decide(past: Past, opened: Opened) -> None:
    cloud, url = past
    page: Page = opened(url, cloud.secrets[Role.OPERATOR])
    expect(page.locator("[data-lamp].on")).to_be_attached()
    subject = cloud.subjects[40].id
    made = cloud.keeper.impose(support_console.OLGA, subject, (support_console.SMTP,), "By phone.", 600.0, "")
    cloud.passed += 1
    expect(page.locator("#bound")).to_contain_text("By phone.")
    # What somebody is filling in stays.
    item = page.locator("#bound li", has_text="By phone.")
    item.get_by_text("Lift", exact=True).click()
    item.get_by_label("Reason").fill("half a sent")
    cloud.keeper.lift(support_console.OLGA, made.id, "x", "")
    cloud.passed += 1
    expect(page.locator("[data-beat=active]")).to_have_text("2")
    expect(item.get_by_label("Reason")).to_have_value("half a sent")


def test_a_spammer_is_found_lifted_with_a_reason_and_found_in_the_audit(past: Past, ada: Page) -> None:
    cloud, url = past
    item = ada.locator("#bound li", has_text="drop TCP 25 egress")
    item.locator("a.who").click()
    expect(ada).to_have_url(f"{url}/subjects/{cloud.subjects[12].id}")
    expect(ada.locator(".verdict")).to_contain_text("in force")
    expect(ada.locator("main")).to_contain_text("smtp-connections")
    ada.locator("#restrictions").get_by_text("Lift", exact=True).click()
    ada.locator("#restrictions").get_by_label("Reason").first.fill("A newsletter, they called.")
    ada.get_by_role("button", name="Lift now").click()
    expect(ada.locator(".note")).to_contain_text("Lifted: 1.")
    expect(ada.locator(".verdict")).to_contain_text("free")
    ada.get_by_role("link", name="Audit").click()
    row = ada.locator("tbody tr", has_text="A newsletter, they called.")
    expect(row).to_contain_text("lifted")
    expect(row).to_contain_text("admin")


def test_many_are_chosen_and_lifted(past: Past, ada: Page) -> None:
    cloud, url = past
    for i in (50, 51, 52):
        subject = cloud.subjects[i].id
        cloud.keeper.impose(support_console.OLGA, subject, (support_console.SMTP,), "Bulk.", 600.0, "")
    ada.goto(f"{url}/restrictions")
    expect(ada.locator("tbody input[type=checkbox]").first).to_be_visible()
    ada.get_by_label("all on this page").check()
    chosen = ada.locator("[data-chosen]")
    expect(chosen).to_contain_text(re.compile(r"[3-9]"))
    for row in ada.locator("tbody tr").all():
        if "olga" not in (row.text_content() or ""):
            row.locator("input").uncheck()
    expect(chosen).to_contain_text("3")
    ada.locator("#bulk-reason").fill("Maintenance is over.")
    ada.get_by_role("button", name="Lift the chosen ones").click()
    expect(ada.locator(".note")).to_contain_text("Lifted: 3.")


def test_what_is_pasted_into_a_ticket_leads_there_after_signing_in(past: Past, opened: Opened) -> None:
    cloud, url = past
    page: Page = opened(url, cloud.secrets[Role.VIEWER])
    page.get_by_role("button", name="Sign out").click()
    page.goto(f"{url}/policies/heavy-user")
    expect(page).to_have_url(re.compile("/login"))
    page.fill("#token", cloud.secrets[Role.VIEWER])
    page.click("button.main")
    expect(page).to_have_url(f"{url}/policies/heavy-user")


def test_a_customer_signs_in_with_keystones_token_and_ends_its_own_early(past: Past, opened: Opened) -> None:
    cloud, url = past
    subject = next(s for s in cloud.subjects[20:] if s.project == "umbrella")
    cloud.cross(subject.id, "outgoing-spam", "smtp-connections", "count", (412, 388, 60))
    page: Page = opened(url, cloud.member("umbrella"), issuer="Keystone")
    expect(page).to_have_url(f"{url}/own")
    expect(page.locator("main")).to_contain_text(subject.server)
    page.get_by_role("button", name="I fixed it: end it now").click()  # and nothing more
    expect(page.locator(".note")).to_contain_text("is ended.")
    expect(page.locator("main")).to_contain_text("Nothing of yours is restricted.")
    assert cloud.keeper.journal("", subject.id, 1, "").items[0].reason == "I fixed it"


def test_a_mode_is_turned_after_looking_at_what_would_come_of_it(
    past: Past, ada: Page, shots: Path | None
) -> None:
    cloud, url = past
    cloud.passed += 5
    cloud.talk(tuple(Talker(cloud.subjects[i].id, 2.5e8 + i * 1e6) for i in (7, 20, 33, 41)))
    ada.goto(f"{url}/policies/heavy-user")
    ada.get_by_role("link", name="Let it propose").click()
    expect(ada.locator(".figures .hot dd")).to_have_text("4")
    expect(ada.locator("main")).to_contain_text("would be proposed")
    if shots:
        ada.screenshot(path=shots / "mode-over-light.png", full_page=True)
    ada.get_by_label("Reason").fill("Too many good people.")
    ada.get_by_role("button", name="Let it propose").click()
    expect(ada.locator(".note").first).to_contain_text("heavy-user: propose from now on.")
    expect(ada.locator("main")).to_contain_text("its file says enforce")
    if shots:
        ada.screenshot(path=shots / "policy-turned-light.png", full_page=True)
    ada.get_by_role("link", name="Back to what the file says").click()
    ada.get_by_label("Reason").fill("It was a test.")
    ada.get_by_role("button", name="Let it enforce").click()
    expect(ada.locator(".note").first).to_contain_text("heavy-user: enforce from now on.")
    assert cloud.keeper.policies().overrides == ()


def test_a_chart_says_why_it_is_empty(past: Past, ada: Page) -> None:
    cloud, url = past
    show(ada, f"{url}/subjects/{cloud.subjects[7].id}?range=15m")
    said = ada.get_by_text("No archive is kept here")
    expect(said).to_be_hidden()
    show(ada, f"{url}/subjects/{cloud.subjects[7].id}?range=7d")
    expect(said).to_be_visible()
    expect(ada.get_by_text("The archive does not answer")).to_be_hidden()
