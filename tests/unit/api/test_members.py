"""A member sees what is its project's, without the operator's side, and of others not even that it is."""

from __future__ import annotations

import json
import re
import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import httpx
import pytest

import support_api
from sekisho.api.app import ROUTES
from sekisho.model.access import Issuer, Principal, Role
from sekisho.model.errors import Unavailable
from sekisho.model.policy import Scope
from sekisho.model.restriction import Receipt
from sekisho.testing.contract_keeper import FAR, MAIL, SMTP, WEB, evidence
from sekisho.testing.keeper import FakeKeeper
from support_api import bearer

OPERATOR, AGENT = Principal("olga", Role.OPERATOR), Principal("agent", Role.AGENT)
MEMBER = {"X-Auth-Token": "mias-token", "Authorization": ""}  # the client is an operator otherwise
OWN = (
    "/v1/restrictions",
    "/v1/restrictions/{restriction}",
    "/v1/subjects",
    "/v1/subjects/{subject:path}",
    "/v1/subjects/{subject:path}/explain",
    "/v1/self",
    "/v1/whoami",
)
RELEASE = "/v1/self/restrictions/{restriction}/release"


@pytest.fixture(autouse=True)
def entries(keeper: FakeKeeper) -> dict[str, str]:
    """Two restrictions of acme, one of umbrella, one that is only proposed; an exemption."""
    keeper.signed_in["mias-token"] = Principal("keystone:mia@Default (acme)", Role.MEMBER, project="acme")
    keeper.exempt(OPERATOR, Scope(projects=("acme", "umbrella")), "paid for", 0, (), "")
    made = {s: keeper.impose(OPERATOR, s, (SMTP,), "why", 3600, "").id for s in (WEB, MAIL, FAR)}
    receipt = Receipt(made[WEB], WEB, "h1", in_force=True, time=keeper.now, dropped_packets=12)
    keeper.receipts(AGENT, "h1", 1, (receipt,), "")
    return made


def test_lists_hold_own_things_only(client: httpx.Client, entries: dict[str, str]) -> None:
    found = client.get("/v1/restrictions", headers=MEMBER).json()["items"]
    assert {r["id"] for r in found} == {entries[WEB], entries[FAR]}
    found = client.get("/v1/subjects", headers=MEMBER).json()["items"]
    assert {s["id"] for s in found} == {WEB, FAR}
    for foreign in (f"restrictions?subject={MAIL}", "subjects?project=umbrella", "subjects?text=mail-1"):
        answer = client.get(f"/v1/{foreign}", headers=MEMBER)
        assert answer.json() == {"items": [], "next": ""}
        assert "link" not in answer.headers


def test_pages_lead_through_own_things_only(client: httpx.Client, entries: dict[str, str]) -> None:
    first = client.get("/v1/restrictions?limit=1", headers=MEMBER)
    second = client.get(first.links["next"]["url"], headers=MEMBER).json()
    assert [r["id"] for r in (*first.json()["items"], *second["items"])] == [entries[FAR], entries[WEB]]
    assert second["next"] == ""


def test_what_is_others_is_not_there_in_the_words_of_what_never_was(
    client: httpx.Client, entries: dict[str, str]
) -> None:
    for path, foreign in (
        ("/v1/restrictions/{}", entries[MAIL]),
        ("/v1/subjects/{}", MAIL),
        ("/v1/subjects/{}/explain", MAIL),
    ):
        theirs = client.get(path.format(foreign), headers=MEMBER)
        nobodys = client.get(path.format("x-999"), headers=MEMBER)
        assert (theirs.status_code, nobodys.status_code) == (404, 404)
        assert theirs.text.replace(foreign, "x-999") == nobodys.text
        assert "etag" not in theirs.headers


def test_the_operators_side_is_left_out(client: httpx.Client, entries: dict[str, str]) -> None:
    told = "".join(
        client.get(path, headers=MEMBER).text
        for path in (
            "/v1/restrictions",
            f"/v1/restrictions/{entries[WEB]}",
            "/v1/subjects",
            f"/v1/subjects/{WEB}",
            f"/v1/subjects/{WEB}/explain",
        )
    )
    for hidden in ("olga", '"h1"', "umbrella", "paid for", MAIL, "agent"):
        assert hidden not in told, hidden
    page = client.get(f"/v1/subjects/{WEB}/explain", headers=MEMBER).json()
    [entry] = page["restrictions"]
    assert (entry["reason"], entry["author"], entry["dropped_packets"]) == ("why", "operator", 12)
    assert [(e["verb"], e["author"], e["detail"]) for e in page["journal"]] == [("impose", "operator", "")]


def test_evidence_shows_numbers_and_not_who_watched(client: httpx.Client, keeper: FakeKeeper) -> None:
    keeper.evidence(AGENT, (evidence(WEB, "enforce-it"), evidence(WEB, "propose-it")))
    exempt = keeper.exemptions()[0]
    keeper.revoke_exemption(OPERATOR, exempt.id, "")
    keeper.evidence(AGENT, (evidence(WEB, "enforce-it"), evidence(WEB, "propose-it")))
    found = client.get("/v1/restrictions", headers=MEMBER).json()["items"]
    automatic = next(r for r in found if r["automatic"])
    assert automatic["author"] == "policy:enforce-it"
    assert automatic["evidence"]["findings"][0]["estimate"] == 412
    assert automatic["evidence"]["collector"] == ""
    assert "propose-it" not in json.dumps(found), "a proposal is nobody's restriction yet"
    proposed = next(r for r in keeper.restrictions("", "propose-it", (), 9, "").items)
    assert client.get(f"/v1/restrictions/{proposed.id}", headers=MEMBER).status_code == 404
    answer = client.get("/v1/restrictions?state=proposed&state=rejected", headers=MEMBER)
    assert answer.json() == {"items": [], "next": ""}


def test_where_a_machine_runs_is_not_told_by_trying(client: httpx.Client) -> None:
    assert client.get("/v1/subjects?host=h1", headers=MEMBER).status_code == 422


@pytest.mark.parametrize("route", [r for r in ROUTES if r.roles], ids=lambda r: f"{r.method} {r.path}")
def test_nothing_else_is_a_members(route: object, client: httpx.Client) -> None:
    method, path = route.method, route.path  # type: ignore[attr-defined]
    answer = client.request(method, re.sub(r"\{[^}]*\}", "nobody", path), headers=MEMBER)
    if method == "GET" and path in OWN:
        assert answer.status_code in (200, 404)
    elif path == RELEASE:
        assert answer.status_code == 400  # let in, and asked why
    else:
        assert answer.status_code == 403


def test_a_member_without_a_project_sees_nothing(client: httpx.Client, keeper: FakeKeeper) -> None:
    keeper.signed_in["lost"] = Principal("keystone:lost@Default ([-])", Role.MEMBER)
    for path in OWN:
        answer = client.get(re.sub(r"\{[^}]*\}", WEB, path), headers={**MEMBER, "X-Auth-Token": "lost"})
        assert answer.status_code == 403


def test_members_are_made_by_keystone_only(client: httpx.Client) -> None:
    body = {"name": "x", "role": "member"}
    assert client.post("/v1/tokens", json=body, headers=bearer(Role.ADMIN)).status_code == 422


# --- which header, whose token ---------------------------------------------------------------------


def test_a_token_is_tried_where_its_header_says(client: httpx.Client, keeper: FakeKeeper) -> None:
    for headers in (
        bearer("mias-token"),
        {"Authorization": "", "X-Auth-Token": "admin-secret"},
        {"X-Auth-Token": "mias-token", **bearer(Role.ADMIN)},
    ):
        assert client.get("/v1/restrictions", headers=headers).status_code == 401
    assert not [d for d in keeper.denials if "mias-token" in d or "admin-secret" in d]


def test_keystone_away_is_503_and_tokens_of_ours_go_on(
    client: httpx.Client, keeper: FakeKeeper, monkeypatch: pytest.MonkeyPatch
) -> None:
    ours = keeper.authenticate

    def away(secret: str, issuer: object) -> Principal:
        if issuer == "keystone":
            raise Unavailable("Keystone does not answer.", retry_after=5)
        return ours(secret, issuer)  # type: ignore[arg-type]

    monkeypatch.setattr(keeper, "authenticate", away)
    answer = client.get("/v1/restrictions", headers=MEMBER)
    assert (answer.status_code, answer.headers["Retry-After"]) == (503, "5")
    assert client.get("/v1/restrictions").status_code == 200
    assert not keeper.denials


def test_everybody_may_ask_who_they_are(client: httpx.Client, keeper: FakeKeeper) -> None:
    told = client.get("/v1/whoami", headers=MEMBER).json()
    assert (told["name"], told["role"], told["project"]) == ("keystone:mia@Default (acme)", "member", "acme")
    assert set(told["may"]) == {f"GET {p.replace(':path', '')}" for p in OWN} | {f"POST {RELEASE}"}
    assert told["now"] == keeper.now
    _, secret = keeper.create_token(OPERATOR, "a7", Role.AGENT, "h1", 0)
    told = client.get("/v1/whoami", headers=bearer(secret)).json()
    assert told["host"] == "h1"
    assert all("{host}" in m or m == "GET /v1/whoami" for m in told["may"])


def test_a_member_sees_itself_and_ends_what_its_policy_lets_it(
    client: httpx.Client, keeper: FakeKeeper
) -> None:
    mia = Principal("keystone:mia@Default (acme)", Role.MEMBER, project="acme", may_release=True)
    keeper.signed_in["mias-token"] = mia
    keeper.revoke_exemption(OPERATOR, keeper.exemptions()[0].id, "")
    (verdict,) = keeper.evidence(AGENT, (evidence(WEB, "owner-may"),))
    seen = client.get("/v1/self", headers=MEMBER).json()
    assert {s["id"] for s in seen["subjects"]} == {WEB, FAR}
    assert {s["host"] for s in seen["subjects"]} == {""}
    assert {r["project"] for r in seen["restrictions"]} == {"acme"}
    assert {r["restriction"] for r in seen["releases"] if r["may"]} == {verdict.restriction}
    keeper.signed_in["mias-token"] = replace(mia, may_release=False)
    assert not any(r["may"] for r in client.get("/v1/self", headers=MEMBER).json()["releases"])
    path, why = RELEASE.format(restriction=verdict.restriction), {"reason": "I fixed it."}
    assert client.post(path, headers=MEMBER, json=why).status_code == 403
    keeper.signed_in["mias-token"] = mia
    ended = client.post(path, headers=MEMBER, json=why)
    assert (ended.status_code, ended.json()["state"], ended.json()["host"]) == (200, "expired", "")
    assert client.post(path, headers=MEMBER, json=why).status_code == 409


def test_a_keystone_that_hangs_does_not_hold_those_who_need_none() -> None:
    """More wait for it than there are threads; a token of ours is answered meanwhile."""
    fake, hangs, asked = FakeKeeper(), threading.Event(), threading.Semaphore(0)
    ours = fake.authenticate

    def slow(secret: str, issuer: Issuer) -> Principal:
        if issuer is Issuer.KEYSTONE:
            asked.release()
            hangs.wait(30)
            raise Unavailable("Keystone does not answer.")
        return ours(secret, issuer)

    fake.authenticate = slow  # type: ignore[method-assign]
    with (
        support_api.served(fake, threads=2, asking=2) as (_, url),
        support_api.asking(url, Role.VIEWER) as client,
        ThreadPoolExecutor(8) as pool,
    ):
        try:
            waiting = [pool.submit(client.get, "/v1/restrictions", headers=MEMBER) for _ in range(8)]
            assert asked.acquire(timeout=10)
            assert asked.acquire(timeout=10)
            assert client.get("/v1/status", timeout=10).status_code == 200
        finally:
            hangs.set()
        assert {w.result(20).status_code for w in waiting} == {503}
