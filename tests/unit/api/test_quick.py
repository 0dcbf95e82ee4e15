"""Routes answered in a straight line answer as they would through FastAPI, and are described alike."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import httpx
import pytest

import support_api
from sekisho.api import app as building
from sekisho.api.access import AGENT, allow
from sekisho.api.app import create_app
from sekisho.api.description import describe
from sekisho.api.quick import straight
from sekisho.api.routes import Route
from sekisho.model.access import Role
from sekisho.model.plain import to_plain
from sekisho.model.report import CollectorReport
from sekisho.testing.contract_keeper import report
from sekisho.testing.keeper import FakeKeeper
from support_api import bearer

AGENT_TOKEN = bearer(Role.AGENT)
SLOW = tuple(replace(r, hot=False) for r in building.ROUTES)


@pytest.fixture(scope="module")
def roads() -> Iterator[tuple[tuple[FakeKeeper, httpx.Client], ...]]:
    """Two servers with a keeper each that knows the same: one as it is, one with FastAPI's road alone."""
    with pytest.MonkeyPatch.context() as patch:
        fast = support_api.keeper()
        slow = support_api.keeper()
        with support_api.served(fast) as (_, one):
            patch.setattr(building, "ROUTES", SLOW)
            with (
                support_api.served(slow) as (_, other),
                support_api.asking(one) as a,
                support_api.asking(other) as b,
            ):
                yield ((fast, a), (slow, b))


def hot() -> list[Route]:
    return [r for r in building.ROUTES if r.hot]


def good() -> list[tuple[str, str, Any]]:
    subject = support_api.keeper().subject("port-web")
    return [
        ("PUT", "/v1/hosts/h1", to_plain(report("h1", subject))),
        ("GET", "/v1/hosts/h1/program", None),
        ("GET", "/v1/hosts/h1/program?revision=-1&wait=0", None),
        ("POST", "/v1/hosts/h1/receipts", {"applied": 0, "receipts": []}),
        ("PUT", "/v1/hosts/h1/counters", []),
        ("PUT", "/v1/collectors/c1", to_plain(CollectorReport("c1", 5.0))),
        ("GET", "/v1/inventory", None),
    ]


def wrong() -> list[tuple[str, str, Any]]:
    return [
        ("GET", "/v1/hosts/h1/program?wait=61", None),
        ("GET", "/v1/hosts/h1/program?wait=nan", None),
        ("GET", "/v1/hosts/h1/program?wait=soon&revision=x", None),
        ("GET", "/v1/hosts/h1/program?wait=1&wait=-1", None),
        ("GET", "/v1/hosts/h1/program?revision=", None),
        ("GET", "/v1/hosts/h1/program?revison=3", None),
        ("GET", "/v1/hosts/never-seen/program", None),
        ("GET", "/v1/inventory?version=1.5", None),
        ("PUT", "/v1/hosts/h2", to_plain(report("h1"))),
        ("PUT", "/v1/hosts/h1", {"host": 3}),
        ("PUT", "/v1/hosts/h1?wait=3", to_plain(report("h1"))),
        ("PUT", "/v1/hosts/h1/counters", {"a": 1}),
        ("POST", "/v1/hosts/h1/receipts", {"applied": "1"}),
        ("PUT", "/v1/collectors/c2", to_plain(CollectorReport("c1", 5.0))),
        ("DELETE", "/v1/hosts/h1/receipts", None),
    ]


def ask(client: httpx.Client, method: str, path: str, body: Any, **more: Any) -> tuple[int, bytes, object]:
    answer = client.request(method, path, json=body, headers=more.pop("headers", AGENT_TOKEN), **more)
    kept = {k: v for k, v in answer.headers.items() if k != "date"}
    return answer.status_code, answer.content, kept


def test_every_hot_route_is_asked_here() -> None:
    asked = {(m, p.partition("?")[0].replace("h1", "{host}").replace("c1", "{name}")) for m, p, _ in good()}
    assert {(r.method, r.path) for r in hot()} == asked


@pytest.mark.parametrize(("method", "path", "body"), good() + wrong())
def test_both_roads_answer_alike(roads: Any, method: str, path: str, body: Any) -> None:
    (_, one), (_, other) = roads
    assert ask(one, method, path, body) == ask(other, method, path, body)


@pytest.mark.parametrize("headers", [{}, bearer(Role.VIEWER), {"Authorization": "Bearer no"}])
@pytest.mark.parametrize(("method", "path", "body"), good())
def test_both_roads_turn_the_same_away(roads: Any, method: str, path: str, body: Any, headers: Any) -> None:
    (_, one), (_, other) = roads
    headers = headers or {"Authorization": ""}
    answers = [ask(c, method, path, body, headers=headers) for c in (one, other)]
    assert answers[0] == answers[1]
    assert answers[0][0] in (401, 403)


def test_a_body_of_another_kind_or_no_json_is_refused_alike(roads: Any) -> None:
    for content, kind in ((b"{", "application/json"), (b"{}", "text/plain"), (b"", "application/json")):
        told = []
        for _, client in roads:
            headers = {**AGENT_TOKEN, "Content-Type": kind}
            answer = client.put("/v1/hosts/h1", content=content, headers=headers)
            told.append((answer.status_code, answer.content))
        assert told[0] == told[1]
        assert told[0][0] in (400, 415)


def test_they_are_counted_under_their_pattern(roads: Any) -> None:
    (_, client), _ = roads
    client.get("/v1/hosts/h1/program", headers=AGENT_TOKEN)
    text = client.get("/metrics").text
    assert 'sekisho_http_requests_total{method="GET",route="/v1/hosts/{host}/program",status="200"}' in text


def test_they_are_described_alike(monkeypatch: pytest.MonkeyPatch) -> None:
    described = describe(create_app(FakeKeeper()))
    monkeypatch.setattr(building, "ROUTES", SLOW)
    assert described == describe(create_app(FakeKeeper()))


async def _depends(left: int) -> int:
    return left


async def in_path(host: int) -> None:
    del host


async def needed(wait: float) -> None:
    del wait


def holds_up() -> None: ...


@pytest.mark.parametrize(
    ("endpoint", "said"),
    [(in_path, "no text"), (needed, "no default"), (holds_up, "no coroutine")],
)
def test_what_cannot_be_gathered_in_a_straight_line_is_told_when_it_is_built(
    endpoint: Any, said: str
) -> None:
    with pytest.raises(TypeError, match=said):
        straight(Route("GET", "/v1/{host}", AGENT, endpoint, hot=True), allow(AGENT, "GET /v1/{host}"))
