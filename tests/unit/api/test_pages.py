"""Lists come in pages, each leading to the next."""

from __future__ import annotations

import httpx
import pytest

from sekisho.model.access import Principal, Role
from sekisho.model.inventory import Host, HostReport, Subject
from sekisho.model.policy import Scope
from sekisho.testing.keeper import FakeKeeper
from support_api import bearer

AGENT = Principal("agent", Role.AGENT)
OPERATOR = Principal("operator", Role.OPERATOR)


@pytest.fixture
def many(keeper: FakeKeeper) -> FakeKeeper:
    subjects = tuple(Subject(f"h1/tap {i:02}&?", "h1", "acme") for i in range(25))
    keeper.report_host(AGENT, HostReport(Host("h1"), subjects))
    for i in range(25):
        keeper.report_host(AGENT, HostReport(Host(f"host-{i:02}")))
        keeper.exempt(OPERATOR, Scope(hosts=(f"h{i}",)), "why", 0, (), "")
        keeper.create_token(OPERATOR, f"t{i}", Role.VIEWER, "", 0)
        keeper.impose(OPERATOR, "h1/tap 00&?", (), "why", 60, "")
    return keeper


@pytest.mark.parametrize(
    "path", ["subjects?project=acme", "hosts", "exemptions", "tokens", "restrictions?state=active", "journal"]
)
@pytest.mark.usefixtures("many")
def test_following_the_links_gives_everything_once(client: httpx.Client, path: str) -> None:
    headers = bearer(Role.ADMIN)
    whole = client.get(f"/v1/{path}", params={"limit": "1000"}, headers=headers).json()
    assert whole["next"] == ""
    assert len(whole["items"]) >= 25
    url, found, pages = f"/v1/{path}{'&' if '?' in path else '?'}limit=10", [], 0
    while url:
        answer = client.get(url, headers=headers)
        assert len(answer.json()["items"]) <= 10
        assert bool(answer.json()["next"]) == ("next" in answer.links)
        found += answer.json()["items"]
        url = answer.links.get("next", {}).get("url", "")
        pages += 1
    assert found == whole["items"]
    assert pages == -(-len(found) // 10)


def test_a_page_has_100_unless_told(keeper: FakeKeeper, client: httpx.Client) -> None:
    subjects = tuple(Subject(f"p{i:03}", "h7") for i in range(150))
    keeper.report_host(AGENT, HostReport(Host("h7"), subjects))
    answer = client.get("/v1/subjects?host=h7").json()
    assert len(answer["items"]) == 100
    assert answer["next"] == "p099"


def test_a_marker_that_leads_nowhere_is_malformed(client: httpx.Client) -> None:
    for path in ("hosts", "exemptions", "subjects"):
        assert client.get(f"/v1/{path}?marker=gone").status_code == 400


def test_filters_reach_the_keeper(many: FakeKeeper, client: httpx.Client) -> None:
    found = client.get("/v1/subjects", params={"host": "h2"}).json()["items"]
    assert [s["id"] for s in found] == ["h2/tap3"]
    found = client.get("/v1/subjects", params={"text": "tap 03&?"}).json()["items"]
    assert [s["id"] for s in found] == ["h1/tap 03&?"]
    lifted = many.restrictions("", "", (), 1, "").items[0]
    many.lift(OPERATOR, lifted.id, "why", "")
    found = client.get("/v1/restrictions?state=lifted&state=proposed").json()["items"]
    assert [r["id"] for r in found] == [lifted.id]
    lines = client.get("/v1/journal", params={"restriction": lifted.id}).json()["items"]
    assert [e["verb"] for e in lines] == ["lift", "impose"]


@pytest.mark.usefixtures("many")
def test_ids_may_hold_slashes_and_worse(client: httpx.Client) -> None:
    for path in ("/v1/subjects/h1%2Ftap%2003%26%3F", "/v1/subjects/h1/tap%2003&%3F"):
        assert client.get(path).json()["id"] == "h1/tap 03&?"
        assert client.get(f"{path}/explain").json()["subject"]["id"] == "h1/tap 03&?"
