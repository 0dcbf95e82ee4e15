"""Health, readiness, metrics, and the API's description of itself."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import httpx
from prometheus_client.parser import text_string_to_metric_families

from sekisho.api.access import (
    ADMIN,
    AGENT,
    ANYBODY,
    CLOUD,
    DECIDE,
    EVERYBODY,
    MEMBER,
    OPEN,
    OPERATE,
    OWN,
    SEE,
    VIEW,
)
from sekisho.api.app import ROUTES
from sekisho.api.balancers import GUEST, LOOK
from sekisho.api.problems import TABLE
from sekisho.model.access import Role
from sekisho.testing.keeper import FakeKeeper
from support_api import bearer

NOBODY = {"Authorization": ""}


def test_alive_is_no_question_to_the_keeper(client: httpx.Client, keeper: FakeKeeper) -> None:
    keeper.failure = RuntimeError("dead")
    assert client.get("/healthz", headers=NOBODY).json() == {"ok": True}


def test_readiness_lists_what_is_missing(client: httpx.Client, keeper: FakeKeeper) -> None:
    assert client.get("/readyz", headers=NOBODY).status_code == 200
    keeper.not_ready = ("The ledger is locked.", "No policies.")
    answer = client.get("/readyz", headers=NOBODY)
    assert answer.status_code == 503
    assert answer.json()["problems"] == ["The ledger is locked.", "No policies."]
    assert answer.headers["Retry-After"]


def samples(client: httpx.Client) -> dict[tuple[str, tuple[tuple[str, str], ...]], float]:
    text = client.get("/metrics").text
    assert text.count("# TYPE sekisho_restrictions gauge") == 1
    families = text_string_to_metric_families(text)
    return {(s.name, tuple(sorted(s.labels.items()))): s.value for f in families for s in f.samples}


def test_metrics_are_prometheus_text(client: httpx.Client) -> None:
    before = samples(client)
    for path in ("/v1/subjects/port-web", "/v1/subjects/port-mail", "/v1/subjects/nobody", "/v1/zzz", "/yyy"):
        client.get(path)
    client.request("BREW", "/v1/status")
    after = samples(client)
    assert after[("sekisho_subjects", ())] == 3.0
    assert after[("sekisho_restrictions", (("state", "active"),))] == 0.0

    def grown(route: str, method: str, status: str) -> float:
        labels = (("method", method), ("route", route), ("status", status))
        return after[("sekisho_http_requests_total", labels)] - before.get(
            ("sekisho_http_requests_total", labels), 0
        )

    assert grown("/v1/subjects/{subject}", "GET", "200") == 2
    assert grown("/v1/subjects/{subject}", "GET", "404") == 1
    assert grown("other", "other", "404") == 2
    assert not any("zzz" in str(key) or "BREW" in str(key) for key in after)
    count = ("sekisho_http_request_seconds_count", (("method", "GET"), ("route", "/v1/subjects/{subject}")))
    assert after[count] >= 3
    assert after[("sekisho_http_waiting", ())] == 0


def references(value: Any) -> set[str]:
    if isinstance(value, dict):
        own = {value["$ref"]} if isinstance(value.get("$ref"), str) else set()
        return own.union(*map(references, value.values()))
    return set().union(*map(references, value)) if isinstance(value, list) else set()


def test_the_description_is_whole(client: httpx.Client) -> None:
    doc = client.get("/v1/openapi.json", headers=NOBODY).json()
    assert doc["openapi"].startswith("3.1")
    schemas = doc["components"]["schemas"]
    missing = {r for r in references(doc) if r.removeprefix("#/components/schemas/") not in schemas}
    assert not missing
    assert "HTTPValidationError" not in schemas
    names = [op["operationId"] for path in doc["paths"].values() for op in path.values()]
    assert len(names) == len(set(names)) == len(ROUTES)
    for route in ROUTES:
        operation = doc["paths"][re.sub(r":path\}", "}", route.path)][route.method.lower()]
        assert str(route.status) in operation["responses"]
        problem = operation["responses"]["default"]["content"]["application/problem+json"]["schema"]
        assert problem == {"$ref": "#/components/schemas/Problem"}
        assert bool(route.roles) == ("security" in operation)
        assert operation.get("x-roles", []) == sorted(route.roles)
        assert (route.body is not None) == ("requestBody" in operation)
        assert ("304" in operation["responses"]) == route.waits
        in_path = {p["name"] for p in operation.get("parameters", ()) if p["in"] == "path"}
        assert in_path == set(re.findall(r"\{(\w+)", route.path))


def test_real_answers_fit_the_description(client: httpx.Client) -> None:
    """Every name an answer has is one its schema knows, and none that is required is missing."""
    doc = client.get("/v1/openapi.json").json()
    for path in ("status", "subjects", "policies", "enforcement", "hosts", "inventory", "tokens"):
        operation = doc["paths"][f"/v1/{path}"]["get"]
        schema = operation["responses"]["200"]["content"]["application/json"]["schema"]
        answer = client.get(f"/v1/{path}", headers=bearer(Role.ADMIN)).json()
        known = doc["components"]["schemas"][schema["$ref"].rpartition("/")[2]]
        assert set(answer) == set(known["properties"])
        assert set(known.get("required", ())) <= set(answer)


def test_the_problem_document_is_described_as_it_is(client: httpx.Client) -> None:
    known = client.get("/v1/openapi.json").json()["components"]["schemas"]["Problem"]["properties"]
    for answer in (client.get("/v1/zzz"), client.get("/v1/subjects?limit=0"), client.get("/v1/tokens")):
        assert set(answer.json()) <= set(known)


REFERENCE = (Path(__file__).parents[3] / "docs" / "reference" / "api.md").read_text()


def test_every_route_is_in_the_reference() -> None:
    rows = dict(re.findall(r"^\| `([A-Z]+ /[^`]*)` \| ([^|]+) \|", REFERENCE, re.MULTILINE))
    # People's roles contain each other: the reference names the least.
    least = {
        "open": OPEN,
        "viewer": VIEW,
        "operator": OPERATE,
        "admin": ADMIN,
        "agent": AGENT,
        "cloud": CLOUD,
        "viewer, cloud": SEE,
        "operator, cloud": DECIDE,
        "viewer, agent, cloud": ANYBODY,
        "operator, octavia": GUEST,
        "viewer, octavia": LOOK,
        "viewer, cloud, member": OWN,
        "member": MEMBER,
        "everybody": EVERYBODY,
    }
    told = {path: least[roles.strip()] for path, roles in rows.items()}
    assert told == {f"{r.method} {re.sub(r':path}', '}', r.path)}": r.roles for r in ROUTES}


def test_every_error_is_in_the_reference() -> None:
    for status, kind, _ in TABLE.values():
        assert re.search(rf"^\| [\d, ]*{status}[\d, ]* \| `{kind}`", REFERENCE, re.MULTILINE)
