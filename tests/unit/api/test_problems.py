"""Every error is a problem document, and none tells more than it should."""

from __future__ import annotations

import logging
from typing import Any

import httpx
import pytest

import support_api
from sekisho.api.problems import TABLE, from_error
from sekisho.model import errors
from sekisho.testing.keeper import FakeKeeper
from support_api import IMPOSE

STATUSES = {
    errors.Malformed: 400,
    errors.Unauthenticated: 401,
    errors.Forbidden: 403,
    errors.NotFound: 404,
    errors.Conflict: 409,
    errors.Unsupported: 422,
    errors.Refused: 502,
    errors.Unavailable: 503,
}


def check(answer: httpx.Response, status: int) -> Any:
    """A well-formed problem document; gives it."""
    assert answer.status_code == status, answer.text
    assert answer.headers["Content-Type"] == "application/problem+json"
    assert answer.headers["Cache-Control"] == "no-store"
    told = answer.json()
    assert told["status"] == status
    assert told["title"]
    assert told["detail"]
    assert told["type"] == "about:blank" or told["type"].startswith("urn:sekisho:problem:")
    return told


def test_the_table_knows_the_whole_tree() -> None:
    assert set(TABLE) == set(errors.SekishoError.__subclasses__()) == set(STATUSES)


@pytest.mark.parametrize("kind", STATUSES)
def test_what_the_keeper_raises_has_its_status(
    kind: type[errors.SekishoError],
    client: httpx.Client,
    keeper: FakeKeeper,
    caplog: pytest.LogCaptureFixture,
) -> None:
    def fail() -> None:
        raise kind("For the asker.", "For the fixer: /var/lib/sekisho on host-7.")

    keeper.status = fail  # type: ignore[assignment, method-assign] # it fails, whatever it gives
    with caplog.at_level(logging.WARNING):
        told = check(client.get("/v1/status"), STATUSES[kind])
    assert told["detail"] == "For the asker."
    assert "host-7" not in str(told)
    assert ("host-7" in caplog.text) == (STATUSES[kind] >= 500)


def test_malformed_with_problems_lists_them() -> None:
    answer = from_error(errors.Malformed("No.", problems=("a: is wrong", "b: too")))
    assert answer.status_code == 422
    assert b'"problems":["a: is wrong","b: too"]' in bytes(answer.body)


def test_unavailable_says_when_to_come_back() -> None:
    answer = from_error(errors.Unavailable("Later.", retry_after=2.2))
    assert answer.headers["Retry-After"] == "3"


def test_the_unexpected_leaks_nothing_and_is_found_in_the_log(
    client: httpx.Client, keeper: FakeKeeper, caplog: pytest.LogCaptureFixture
) -> None:
    keeper.failure = RuntimeError("password=hunter2 in /etc/secret")
    # Readiness fails the same way, and so would any route: the layer is the outermost.
    told = check(client.get("/readyz"), 500)
    assert "hunter2" not in str(told)
    assert "secret" not in str(told)
    assert told["type"] == "urn:sekisho:problem:unexpected"
    assert told["reference"] in told["detail"]
    assert f"reference {told['reference']}" in caplog.text
    assert "hunter2" in caplog.text, "whoever mends it needs the story"


def test_no_such_path_and_no_such_method(client: httpx.Client) -> None:
    assert check(client.get("/v1/nothing"), 404)["type"] == "urn:sekisho:problem:not-found"
    answer = client.delete("/v1/status")
    check(answer, 405)
    assert "GET" in answer.headers["Allow"]


@pytest.mark.parametrize(
    ("path", "place"),
    [
        ("/v1/subjects?limit=0", "query.limit"),
        ("/v1/subjects?limit=1001", "query.limit"),
        ("/v1/subjects?limit=many", "query.limit"),
        ("/v1/restrictions?state=gone", "query.state[0]"),
        ("/v1/top?by=charm", "query.by"),
        ("/v1/policies?wait=61", "query.wait"),
        ("/v1/policies?wait=nan", "query.wait"),
        ("/v1/restrictions?stat=active", "query.stat"),
        ("/v1/status?verbose=1", "query.verbose"),
    ],
)
def test_wrong_questions_are_told_where(client: httpx.Client, path: str, place: str) -> None:
    told = check(client.get(path), 422)
    assert any(p.startswith(f"{place}: ") for p in told["problems"]), told


@pytest.mark.parametrize(
    ("change", "place"),
    [
        ({"subject": ""}, "subject"),
        ({"subject": 7}, "subject"),
        ({"reason": ""}, "reason"),
        ({"duration": 0}, "duration"),
        ({"duration": 1e308}, "duration"),
        ({"duration": "3600"}, "duration"),
        ({"duration": True}, "duration"),
        ({"colour": "red"}, "colour"),
        ({"actions": [{"kind": "explode"}]}, "actions[0]"),
        ({"actions": [{"kind": "police", "rate": 5, "direction": "up"}]}, "actions[0].police.direction"),
        ({"actions": [{"kind": "police", "rate": 1.5, "direction": "egress"}]}, "actions[0].police.rate"),
        (
            {"actions": [{"kind": "police", "rate": 5, "direction": "egress", "x": 1}]},
            "actions[0].police.x",
        ),
        ({"actions": None}, "actions"),
    ],
)
def test_wrong_bodies_are_told_where(
    client: httpx.Client, keeper: FakeKeeper, change: dict[str, Any], place: str
) -> None:
    told = check(client.post("/v1/restrictions", json=IMPOSE | change), 422)
    assert [p.split(": ")[0] for p in told["problems"]] == [place]
    assert not keeper.restrictions("", "", (), 1, "").items


def test_every_mistake_is_told_at_once(client: httpx.Client) -> None:
    told = check(client.post("/v1/restrictions", json={"reason": "", "x": 1}), 422)
    assert {p.split(": ")[0] for p in told["problems"]} == {"subject", "actions", "reason", "duration", "x"}


@pytest.mark.parametrize("body", [b"", b"{", b"\xff\xfe", b"[" * 100_000, b'{"a": 1} trailing', b"NaN"])
def test_what_is_no_json_is_malformed(client: httpx.Client, body: bytes) -> None:
    answer = client.post("/v1/restrictions", content=body, headers={"Content-Type": "application/json"})
    assert answer.status_code in (400, 422)
    check(answer, answer.status_code)


def test_numbers_that_are_none_are_refused(client: httpx.Client) -> None:
    body = b'{"subject":"port-web","actions":[],"reason":"r","duration":Infinity}'
    answer = client.post("/v1/restrictions", content=body, headers={"Content-Type": "application/json"})
    assert answer.status_code in (400, 422)


def test_other_media_are_refused(client: httpx.Client) -> None:
    check(client.post("/v1/restrictions", data={"subject": "port-web"}), 415)
    check(client.post("/v1/policies/check", json={}), 415)
    answer = client.post("/v1/policies/check", content=b"\xff", headers={"Content-Type": "text/plain"})
    check(answer, 400)


def test_large_bodies_are_refused_whatever_their_headers_say() -> None:
    def chunks() -> Any:
        for _ in range(100):
            yield b" " * 1000

    with (
        support_api.served(support_api.keeper(), max_body=10_000) as (_, url),
        support_api.asking(url) as client,
    ):
        json = {"Content-Type": "application/json"}
        assert client.post("/v1/restrictions", json=IMPOSE).status_code == 201
        check(client.post("/v1/restrictions", content=b" " * 20_000, headers=json), 413)
        check(client.post("/v1/restrictions", content=chunks(), headers=json), 413)
        assert client.get("/v1/status").status_code == 200
