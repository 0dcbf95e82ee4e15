"""Every route for every role, from the table of routes: a route that forgets its roles fails here."""

from __future__ import annotations

import re
from collections.abc import Iterator

import httpx
import pytest

import support_api
from sekisho.api.app import ROUTES
from sekisho.api.routes import Route
from sekisho.model.access import Principal, Role
from sekisho.model.errors import Unavailable
from sekisho.testing.keeper import SECRETS, FakeKeeper
from support_api import IMPOSE, bearer

OPEN = {"/healthz", "/readyz", "/v1/openapi.json"}

# What the specification says, written down apart from the code that is tested.
VIEW, OPERATE, ADMIN, AGENT = "viewer operator admin", "operator admin", "admin", "agent admin"
CLOUD = "cloud admin"
SEE, DECIDE = VIEW + " cloud", OPERATE + " cloud"
OWN = SEE + " member"
ANYBODY = "viewer operator admin agent cloud"
GUEST = "operator admin octavia"
LOOK = VIEW + " octavia"
WANTED = {
    "GET /metrics": VIEW,
    "GET /v1/status": SEE,
    "GET /v1/whoami": ANYBODY + " octavia member",
    "GET /v1/self": "member",
    "POST /v1/self/restrictions/{restriction}/release": "member",
    "GET /v1/notices": VIEW,
    "POST /v1/notices/test": OPERATE,
    "POST /v1/notices/{letter}/retry": OPERATE,
    "GET /v1/hosts": VIEW,
    "GET /v1/subjects": OWN,
    "GET /v1/subjects/{subject:path}/explain": OWN,
    "GET /v1/subjects/{subject:path}": OWN,
    "GET /v1/top": VIEW,
    "GET /v1/restrictions": OWN,
    "GET /v1/restrictions/{restriction}": OWN,
    "GET /v1/journal": VIEW,
    "GET /v1/policies": ANYBODY,
    "GET /v1/exemptions": VIEW,
    "GET /v1/enforcement": VIEW,
    "GET /v1/tokens": ADMIN,
    "POST /v1/restrictions": DECIDE,
    "POST /v1/restrictions/{restriction}/extend": DECIDE,
    "POST /v1/restrictions/{restriction}/lift": DECIDE,
    "POST /v1/restrictions/{restriction}/approve": DECIDE,
    "POST /v1/restrictions/{restriction}/reject": DECIDE,
    "POST /v1/policies/check": OPERATE,
    "POST /v1/policies/reload": OPERATE,
    "PUT /v1/policies/{policy}/mode": OPERATE,
    "DELETE /v1/policies/{policy}/mode": OPERATE,
    "POST /v1/exemptions": OPERATE,
    "DELETE /v1/exemptions/{exemption}": OPERATE,
    "DELETE /v1/hosts/{host}": OPERATE,
    "PUT /v1/enforcement": ADMIN,
    "POST /v1/tokens": ADMIN,
    "DELETE /v1/tokens/{token}": ADMIN,
    "GET /v1/inventory": AGENT,
    "PUT /v1/hosts/{host}": AGENT,
    "GET /v1/hosts/{host}/program": AGENT,
    "POST /v1/hosts/{host}/receipts": AGENT,
    "PUT /v1/cloud/ports/{port}": CLOUD,
    "DELETE /v1/cloud/ports/{port}": CLOUD,
    "PUT /v1/hosts/{host}/counters": AGENT,
    "POST /v1/evidence": AGENT,
    "PUT /v1/collectors/{name}": AGENT,
    "GET /v1/balancers": LOOK,
    "GET /v1/balancers/{balancer}": LOOK,
    "PUT /v1/balancers/{balancer}": GUEST,
    "DELETE /v1/balancers/{balancer}": GUEST,
    "POST /v1/balancers/{balancer}/failover": GUEST,
    "GET /v1/balancer-pairs": LOOK,
    "GET /v1/balancer-ailments": LOOK,
    "PUT /v1/balancer-objects/{thing}": GUEST,
    "PUT /v1/balancer-objects/{thing}/members": GUEST,
    "DELETE /v1/balancer-objects/{thing}": GUEST,
    "GET /v1/balancer-statuses": GUEST,
    "POST /v1/balancer-statuses/told": GUEST,
    "GET /v1/directors/{host}/program": AGENT,
    "POST /v1/directors/{host}/report": AGENT,
    "PUT /v1/hosts/{host}/vlans": CLOUD,
    "GET /v1/hosts/{host}/vlans": ANYBODY,
    "GET /v1/attachments": ANYBODY,
    "GET /v1/flows/status": VIEW,
    "GET /v1/flows/top": VIEW,
    "GET /v1/flows/series": VIEW,
    "GET /v1/flows/subject": VIEW,
    "GET /v1/flows/export": VIEW,
    "POST /v1/flows/sql": OPERATE,
    "POST /v1/flows/backtests": OPERATE,
    "GET /v1/flows/backtests/{backtest}": VIEW,
    "GET /v1/switches": VIEW,
    "POST /v1/switches/plans": VIEW,
    "GET /v1/switches/drift": VIEW,
    "POST /v1/switches/drift": OPERATE,
    "POST /v1/switches/changes": ADMIN,
    "GET /v1/switches/changes": VIEW,
    "GET /v1/switches/changes/{rollout}": VIEW,
    "POST /v1/switches/changes/{change}/approve": ADMIN,
    "POST /v1/switches/changes/{change}/reject": ADMIN,
    "GET /v1/switches/{switch}": VIEW,
    "GET /v1/switches/{switch}/export": ADMIN,
    "POST /v1/switches/{switch}/rollback": ADMIN,
    "POST /v1/switches/{switch}/restore": ADMIN,
    "GET /v1/switches/{switch}/backups": VIEW,
    "POST /v1/switches/{switch}/backups": OPERATE,
    "GET /v1/switches/{switch}/backups/{backup}": ADMIN,
    "GET /v1/switches/{switch}/backups/{backup}/diff": ADMIN,
}
GUARDED = [r for r in ROUTES if r.roles]


def name(route: Route) -> str:
    return f"{route.method} {route.path}"


def path(route: Route) -> str:
    return re.sub(r"\{[^}]*\}", "nobody", route.path)


@pytest.fixture(scope="module")
def shared() -> Iterator[tuple[FakeKeeper, httpx.Client]]:
    keeper = support_api.keeper()
    with support_api.served(keeper) as (_, url), support_api.asking(url, None) as client:
        yield keeper, client


def test_every_route_says_who_may() -> None:
    assert {r.path for r in ROUTES if not r.roles} == OPEN
    assert {name(r): set(r.roles) for r in GUARDED} == {k: {*v.split()} for k, v in WANTED.items()}


def test_the_app_serves_the_table_and_nothing_beside_it(shared: tuple[FakeKeeper, httpx.Client]) -> None:
    described = shared[1].get("/v1/openapi.json").json()["paths"]
    served = {(method.upper(), path) for path, methods in described.items() for method in methods}
    assert served == {(r.method, re.sub(r":path\}", "}", r.path)) for r in ROUTES}
    for other in ("/docs", "/redoc", "/openapi.json"):
        assert shared[1].get(other).status_code == 404


@pytest.mark.parametrize("route", GUARDED, ids=name)
def test_who_is_unknown_gets_401(route: Route, shared: tuple[FakeKeeper, httpx.Client]) -> None:
    keeper, client = shared
    for headers in (
        {},
        bearer("wrong"),
        {"Authorization": "Basic YWRtaW46YWRtaW4="},
        {"Authorization": "Bearer"},
    ):
        keeper.denials.clear()
        answer = client.request(route.method, path(route), headers=headers)
        assert answer.status_code == 401
        assert answer.headers["WWW-Authenticate"].startswith("Bearer")
        assert answer.json()["type"] == "urn:sekisho:problem:unauthenticated"
        [(who, what, _)] = keeper.denials
        assert who.startswith("unknown")
        assert what == name(route)


@pytest.mark.parametrize("role", SECRETS)
@pytest.mark.parametrize("route", GUARDED, ids=name)
def test_roles(route: Route, role: Role, shared: tuple[FakeKeeper, httpx.Client]) -> None:
    keeper, client = shared
    keeper.denials.clear()
    answer = client.request(route.method, path(route), headers=bearer(role))
    if role.value in WANTED[name(route)].split() and not (route.bound and role is Role.AGENT):
        assert answer.status_code not in (401, 403, 500)
        assert not keeper.denials
    else:
        assert answer.status_code == 403
        assert answer.json()["type"] == "urn:sekisho:problem:forbidden"
        [(who, what, _)] = keeper.denials
        assert (who, what) == (role.value, name(route))


@pytest.mark.parametrize("route", GUARDED, ids=name)
def test_a_token_bound_to_a_host_is_for_that_host_only(
    route: Route, shared: tuple[FakeKeeper, httpx.Client]
) -> None:
    keeper, client = shared
    token, secret = keeper.create_token(Principal("ada", Role.ADMIN), "h1", Role.AGENT, "h1", 0)
    try:
        answer = client.request(route.method, path(route), headers=bearer(secret))
        assert (answer.status_code != 403) == route.personal
        own = client.request(route.method, path(route).replace("nobody", "h1"), headers=bearer(secret))
        its_own = "{host}" in route.path and Role.AGENT in route.roles
        assert (own.status_code != 403) == (route.personal or its_own)
    finally:
        keeper.revoke_token(Principal("ada", Role.ADMIN), token.id)


def test_an_ended_token_is_turned_away(keeper: FakeKeeper, client: httpx.Client) -> None:
    _, secret = keeper.create_token(Principal("ada", Role.ADMIN), "guest", Role.VIEWER, "", 60)
    assert client.get("/v1/status", headers=bearer(secret)).status_code == 200
    keeper.advance(61)
    assert client.get("/v1/status", headers=bearer(secret)).status_code == 401


def test_a_host_speaks_for_itself_only(client: httpx.Client) -> None:
    report = {"host": {"name": "h2"}, "subjects": [{"id": "x", "host": "h3"}]}
    answer = client.put("/v1/hosts/h1", json=report, headers=bearer(Role.AGENT))
    assert answer.status_code == 422
    assert [p.split(":")[0] for p in answer.json()["problems"]] == ["host.name", "subjects[0].host"]
    receipt = {"restriction": "r", "subject": "s", "host": "h2", "in_force": True, "time": 1}
    body = {"applied": 1, "receipts": [receipt]}
    assert client.post("/v1/hosts/h1/receipts", json=body, headers=bearer(Role.AGENT)).status_code == 422
    assert client.put("/v1/cloud/ports/p1", json={"id": "p2"}, headers=bearer(Role.CLOUD)).status_code == 422
    body = {"name": "c2", "time": 1}
    assert client.put("/v1/collectors/c1", json=body, headers=bearer(Role.AGENT)).status_code == 422


def test_what_the_cloud_alone_can_say_no_collector_and_no_host_may(client: httpx.Client) -> None:
    """A collector hears datagrams from everywhere: its token must not move ports or give a host networks."""
    wanted = {"vlans": [{"id": 1001}]}
    for headers in (bearer(Role.AGENT), bearer(Role.OPERATOR)):
        answers = [
            client.put("/v1/cloud/ports/p1", json={"id": "p1"}, headers=headers),
            client.delete("/v1/cloud/ports/p1", headers=headers),
            client.put("/v1/hosts/h1/vlans", json=wanted, headers=headers),
        ]
        assert [a.status_code for a in answers] == [403, 403, 403]
        assert all("role admin or cloud" in a.json()["detail"] for a in answers)
    assert client.put("/v1/cloud/ports/p1", json={"id": "p1"}, headers=bearer(Role.CLOUD)).status_code == 204


def test_the_cloud_decides_about_restrictions_and_nothing_else(client: httpx.Client) -> None:
    cloud = bearer(Role.CLOUD)
    made = client.post("/v1/restrictions", json=IMPOSE, headers=cloud)
    assert made.status_code == 201
    path = f"/v1/restrictions/{made.json()['id']}"
    assert client.post(f"{path}/lift", json={"reason": "asked"}, headers=cloud).json()["state"] == "lifted"
    may = set(client.get("/v1/whoami", headers=cloud).json()["may"])
    changing = {m for m in may if not m.startswith("GET ") and "balancer" not in m and "director" not in m}
    assert changing == {
        "POST /v1/restrictions",
        "POST /v1/restrictions/{restriction}/extend",
        "POST /v1/restrictions/{restriction}/lift",
        "POST /v1/restrictions/{restriction}/approve",
        "POST /v1/restrictions/{restriction}/reject",
        "PUT /v1/cloud/ports/{port}",
        "DELETE /v1/cloud/ports/{port}",
        "PUT /v1/hosts/{host}/vlans",
    }


def test_who_may_not_is_told_so_before_the_body_is_read(client: httpx.Client, keeper: FakeKeeper) -> None:
    answer = client.post("/v1/restrictions", content=b"{", headers=bearer(Role.VIEWER))
    assert answer.status_code == 403
    assert client.post("/v1/restrictions?x=1", json=IMPOSE, headers=bearer(Role.VIEWER)).status_code == 403
    assert not keeper.restrictions("", "", (), 1, "").items


def test_a_journal_that_cannot_be_written_lets_nobody_in(
    client: httpx.Client, keeper: FakeKeeper, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: str) -> None:
        raise Unavailable("The disk is full.")

    monkeypatch.setattr(keeper, "denied", full)
    assert client.put("/v1/enforcement", json={}).status_code == 403


def test_only_agents_tokens_are_bound_to_a_host(client: httpx.Client) -> None:
    body = {"name": "x", "role": "admin", "host": "h1"}
    answer = client.post("/v1/tokens", json=body, headers=bearer(Role.ADMIN))
    assert answer.status_code == 422
