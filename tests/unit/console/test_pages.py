"""What pages show, in every language, and what they never show."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from html.parser import HTMLParser

import httpx
import pytest

import support_console
from sekisho.api.console.app import FORMS, PAGES
from sekisho.model.access import Role
from sekisho.model.errors import Unavailable
from sekisho.model.inventory import Host, HostReport
from sekisho.model.report import Talker
from sekisho.model.restriction import State
from support_console import AGENT, Browser, Cloud

Told = tuple[Cloud, str]
VOID = {"meta", "link", "input", "br", "img", "hr"}
LANGUAGES = ("en", "ja")


def everywhere(cloud: Cloud) -> list[str]:
    """Name an address of every page but a customer's."""
    subject = cloud.subjects[7].id
    name = cloud.keeper.restrictions(subject, "", (), 1, "").items[0].id
    parts = {"subject:path": subject, "restriction": name, "policy": "heavy-user"}
    every = [p.path for p in PAGES if p.template and Role.ADMIN in p.roles]
    shown = [path for path in every if "{backtest}" not in path]  # which needs an archive
    found = [re.sub(r"{([^}]+)}", lambda m: parts[m[1]], path) for path in shown]
    return [*found, "/restrictions?state=proposed&state=expired", f"/subjects/{subject}?range=24h", "/login"]


class Outline(HTMLParser):
    """Tags that close what they open, and what stands where."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.attributes: list[tuple[str, str, str]] = []
        self.problems: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.attributes += [(tag, name, value or "") for name, value in attrs]
        if tag not in VOID and tag not in {"rect", "line", "use", "path"}:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.attributes += [(tag, name, value or "") for name, value in attrs]

    def handle_endtag(self, tag: str) -> None:
        if tag in {"rect", "line", "use", "path"}:
            return
        if not self.open or self.open.pop() != tag:
            self.problems.append(f"</{tag}> closes nothing")


def outline(page: str) -> Outline:
    made = Outline()
    made.feed(page)
    return made


@pytest.fixture(scope="module")
def pages(told: Told) -> dict[tuple[str, str], httpx.Response]:
    """Every page in every language, as an administrator sees it, and the customer's as one of them does."""
    cloud, url = told
    found = {}
    with (
        support_console.browsing(cloud, url, Role.ADMIN) as browser,
        support_console.browsing(cloud, url, None) as mia,
    ):
        assert mia.sign_in(cloud.member("acme"), "keystone").status_code == 303
        for language in LANGUAGES:
            header = {"Accept-Language": f"{language},en;q=0.3"}
            for path in everywhere(cloud):
                found[path, language] = browser.client.get(path, headers=header)
            found["/own", language] = mia.client.get("/own", headers=header)
    return found


def test_every_page_is_there_in_every_language(pages: dict[tuple[str, str], httpx.Response]) -> None:
    assert {key: r.status_code for key, r in pages.items() if r.status_code != 200} == {}
    for (path, language), answer in pages.items():
        assert f'<html lang="{language}"' in answer.text, path
        made = outline(answer.text)
        assert (made.open, made.problems) == ([], []), path


def test_no_page_needs_what_the_policy_forbids(pages: dict[tuple[str, str], httpx.Response]) -> None:
    for (path, _), answer in pages.items():
        policy = answer.headers["content-security-policy"]
        assert "default-src 'none'" in policy
        assert "unsafe" not in policy
        assert answer.headers["cache-control"] == "no-store"
        for tag, name, value in outline(answer.text).attributes:
            assert name != "style", f"{path}: <{tag} {name}>"
            assert not name.startswith(("on", "hx-on")), f"{path}: <{tag} {name}>"
            assert not (name in {"src", "href", "action"} and "://" in value), f"{path}: {value}"
        assert not re.search(r"<script(?![^>]*\bsrc=)|<style", answer.text), path


def test_every_label_and_picture_has_its_words(pages: dict[tuple[str, str], httpx.Response]) -> None:
    for (path, _), answer in pages.items():
        found = outline(answer.text).attributes
        ids = [value for _, name, value in found if name == "id"]
        assert sorted(ids) == sorted(set(ids)), f"{path}: an id stands twice"
        assert {v for tag, name, v in found if tag == "label" and name == "for"} <= set(ids), path
        for control in re.findall(r"<(?:input|select)\b[^>]*>", answer.text):
            if 'type="hidden"' in control or 'type="radio"' in control or 'type="checkbox"' in control:
                continue
            name = re.search(r'\bid="([^"]+)"', control)
            assert name, f"{path}: {control}"
            assert f'for="{name[1]}"' in answer.text, f"{path}: {control} has no label"


def test_no_page_tells_a_secret(told: Told) -> None:
    cloud, url = told
    with support_console.browsing(cloud, url, Role.ADMIN) as browser:
        secrets = {*cloud.secrets.values(), *browser.client.cookies.values()}
        for path in (
            *everywhere(cloud),
            "/traffic",
            *(f"{p}?format=json" for p in ("/", "/audit", "/policies")),
        ):
            text = browser.client.get(path).text
            assert not [s for s in secrets if s in text], path


def test_every_page_has_a_twin_with_the_same_in_it(told: Told) -> None:
    cloud, url = told
    with support_console.browsing(cloud, url, Role.VIEWER) as browser:
        for path in everywhere(cloud):
            if path == "/login":
                continue
            page = browser.page(path)
            twin = re.search(r'rel="alternate" type="application/json" href="([^"]+)"', page)
            assert twin, path
            answer = browser.client.get(twin[1].replace("&amp;", "&"))
            assert answer.headers["content-type"] == "application/json"
            assert isinstance(answer.json(), dict), path
        now = browser.client.get("/?format=json").json()
        kept = {r.id for r in cloud.keeper.restrictions("", "", (State.ACTIVE,), 100, "").items}
        assert {line["restriction"]["id"] for line in now["bound"]} == kept
        assert now["active"] == len(kept)


def test_what_is_bound_is_said_with_its_numbers(told: Told) -> None:
    cloud, url = told
    with support_console.browsing(cloud, url, Role.VIEWER) as browser:
        page = browser.page(f"/subjects/{cloud.subjects[7].id}")
        assert "limit egress to 10 Mbit/s" in page
        assert "284 Mbit/s" in page
        assert "dropped: 1,204 packets, 842 kB" in page
        page = browser.page("/")
        assert "drop TCP 25 egress" in page
        ja = browser.client.get("/", headers={"Accept-Language": "ja"}).text
        assert "TCP 25 の送信を遮断" in ja
        assert "しきい値 200 Mbit/s / 10 s を超過" in ja


def test_the_reader_chooses_language_and_theme(told: Told) -> None:
    with support_console.browsing(*told, Role.VIEWER) as browser:
        assert 'data-theme="auto"' in browser.page("/audit")
        answer = browser.client.get(
            "/preferences", params={"language": "ja", "theme": "dark", "next": "/audit"}
        )
        assert answer.headers["location"] == "/audit"
        page = browser.client.get("/audit", headers={"Accept-Language": "en"}).text
        assert '<html lang="ja" data-theme="dark">' in page
        assert browser.client.get("/preferences?theme=pink").status_code == 422


def test_what_others_call_their_things_is_only_text(fresh: Told) -> None:
    cloud, url = fresh
    evil = "\"><script>alert(1)</script>'{{7*7}}"
    here = replace(cloud.subjects[0], host="compute-1", server=evil, project=evil, tags=(evil,), qos=(evil,))
    cloud.keeper.report_host(AGENT, HostReport(Host("compute-1", ("192.0.2.1",)), (here,)))
    name = cloud.keeper.restrictions(here.id, "", (), 1, "").items[0].id
    cloud.keeper.lift(support_console.OLGA, name, evil, "")
    with support_console.browsing(cloud, url, Role.OPERATOR) as browser:
        for path in ("/", "/subjects", f"/subjects/{here.id}", f"/restrictions/{name}", "/audit"):
            page = browser.page(path)
            assert "<script>alert" not in page, path
            assert (outline(page).open, outline(page).problems) == ([], []), path
        assert "&lt;script&gt;alert(1)&lt;/script&gt;" in browser.page("/audit")
        assert "&lt;script&gt;" in browser.page("/subjects", text=evil)


def test_ids_with_slashes_have_pages_of_their_own(fresh: Told) -> None:
    cloud, url = fresh
    odd = replace(cloud.subjects[0], id="compute-9/tap 3?", host="compute-9", project="")
    cloud.keeper.report_host(AGENT, HostReport(Host("compute-9", ("192.0.2.9",)), (odd,)))
    with support_console.browsing(cloud, url, Role.OPERATOR) as browser:
        link = re.search(r'href="(/subjects/compute-9[^"]+)"', browser.page("/subjects", text="compute-9"))
        assert link
        assert "compute-9/tap 3?" in browser.page(link[1])


def test_what_is_not_there_and_what_is_misspelt_is_said_as_a_page_and_as_a_problem(olga: Browser) -> None:
    for path in ("/subjects/nobody", "/restrictions/r999", "/policies/none"):
        answer = olga.client.get(path)
        assert answer.status_code == 404
        assert "There is no such thing here" in answer.text
        assert olga.client.get(f"{path}?format=json").json()["type"] == "urn:sekisho:problem:not-found"
    for query in ("stat=active", "state=open", "state=active&range=1h", "policy=a&policy=b"):
        assert olga.client.get(f"/restrictions?{query}").status_code == 422, query
    assert olga.client.get("/?range=2y").status_code == 422
    assert olga.client.get("/traffic?since=soon").status_code == 422
    assert olga.client.get("/subjects", params={"text": "x" * 3000}).status_code == 422
    assert olga.client.get("/audit?restriction=%ff").status_code in {400, 422}


def test_lists_go_on_to_their_next_page(fresh: Told) -> None:
    cloud, url = fresh
    many = tuple(replace(cloud.subjects[0], id=f"p-{i:04}", host="compute-8") for i in range(230))
    cloud.keeper.report_host(AGENT, HostReport(Host("compute-8", ("192.0.2.8",)), many))
    seen: list[str] = []
    with support_console.browsing(cloud, url, Role.VIEWER) as browser:
        path = "/subjects?text=p-0"
        while path:
            page = browser.page(path)
            seen += re.findall(r'href="/subjects/(p-\d+)"', page)
            following = re.search(r'rel="next" href="([^"]+)"', page)
            path = following[1].replace("&amp;", "&") if following else ""
    assert seen == [s.id for s in many]


def test_static_files_are_kept_while_they_are_what_they_were(told: Told) -> None:
    with httpx.Client(base_url=told[1], trust_env=False) as client:
        page = client.get("/login").text
        for address in set(re.findall(r'(?:src|href)="(/console/static/[^"#]+)', page)):
            answer = client.get(address)
            assert answer.status_code == 200
            assert "immutable" in answer.headers["cache-control"]
            assert client.get(address + "x").headers["cache-control"] == "no-cache"
        for name in ("../app.py", "%2e%2e%2fapp.py", "nothing.js", "..%5capp.py"):
            assert client.get(f"/console/static/{name}").status_code == 404


def test_pages_stand_in_nobodys_way() -> None:
    paths = {p.path for p in PAGES} | {f.path for f in FORMS}
    assert not [p for p in paths if p.startswith(("/v1", "/healthz", "/readyz", "/metrics"))]


def test_a_ledger_that_is_away_is_a_page_that_says_so(
    fresh: Told, olga: Browser, monkeypatch: pytest.MonkeyPatch
) -> None:
    def away(*_: object) -> None:
        raise Unavailable("The ledger cannot be read.", "disk /dev/sdz is gone")

    monkeypatch.setattr(fresh[0].keeper, "restrictions", away)
    answer = olga.client.get("/restrictions")
    assert answer.status_code == 503
    assert "The ledger cannot be read." in answer.text
    assert "sdz" not in answer.text, "that is for the log"


def test_a_twin_can_be_read_by_any_program(told: Told) -> None:
    cloud, url = told
    bearer = {"Authorization": f"Bearer {cloud.secrets[Role.VIEWER]}"}
    with httpx.Client(base_url=url, headers=bearer, trust_env=False) as client:
        for path in everywhere(cloud)[:-1]:
            sign = "&" if "?" in path else "?"
            json.loads(client.get(f"{path}{sign}format=json").text)


def test_a_chart_with_gaps_says_that_no_archive_told(told: Told) -> None:
    cloud, url = told
    with support_console.browsing(cloud, url, Role.VIEWER) as browser:
        subject = cloud.subjects[7].id

        def lacking(**asked: str | float) -> str:
            answer = browser.client.get("/traffic", params={"subject": subject, **asked})
            return str(answer.json()["lacking"])

        assert lacking(range="7d") == "none"
        assert lacking(range="15m") == "", "all of it is remembered"
        assert lacking(since=cloud.now - 600, until=cloud.now + 600) == "", "what is to come is no gap"
        page = browser.page(f"/subjects/{subject}", range="7d")
    assert re.search(r'data-lacking="none" hidden>No archive is kept here: ', page)
    assert re.search(r'data-lacking="away" hidden>The archive does not answer: ', page)


def test_a_policy_is_set_against_all_subjects_in_its_scope(fresh: Told, olga: Browser) -> None:
    cloud, _ = fresh
    path = "/policies/port-scan"
    assert "Collectors report no numbers of this detector yet" in olga.page(path)
    cloud.talk(tuple(Talker(s.id) for s in cloud.subjects))  # of whom 1 knocked at 1 port, and so on
    page = olga.page(path)
    assert "over 100 now: 0 (within 60 s)" in page
    assert "In scope and quieter than shown: 0." in page
    assert 'class="at"' in page
    (found,) = olga.client.get(f"{path}?format=json").json()["distributions"]
    assert (found["everybody"], found["line"], found["window"], found["told"]) == (True, 100.0, 60.0, 1)
    assert sum(bar["subjects"] for bar in found["bars"]) == len(cloud.subjects)
    # A second collector that sees the same subjects counts them again, and that is said.
    (collector,) = cloud.keeper.status().collectors
    cloud.keeper.report_collector(AGENT, replace(collector, name="another"))
    assert "Added up over 2 collectors and workers" in olga.page(path)
    # What a collector that has fallen silent told last is not the present.
    cloud.passed += 90
    assert "Collectors report no numbers of this detector yet" in olga.page(path)
