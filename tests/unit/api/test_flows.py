"""The routes about flows: who may ask, what is asked of the archive, and what is said where there is none."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from fastapi import FastAPI

from sekisho.api.archive_door import OneToken, create_archive_door
from sekisho.api.flows import ASKING
from sekisho.api.server import start
from sekisho.api.settings import ApiSettings
from sekisho.client import Client
from sekisho.client.flows import Export
from sekisho.model.access import Role
from sekisho.model.archived import (
    ArchiveStatus,
    BacktestOrder,
    Series,
    Traffic,
)
from sekisho.model.errors import NotFound, Unauthenticated
from sekisho.testing.keeper import SECRETS, FakeKeeper
from support_flows import POLICY, Archive


@pytest.fixture
def archive(server: tuple[FastAPI, str], keeper: FakeKeeper) -> Iterator[Archive]:
    del keeper
    made = Archive()
    server[0].state.flows = made
    yield made
    server[0].state.flows = None


def client(server: tuple[FastAPI, str], role: Role = Role.OPERATOR) -> Client:
    return Client(server[1], SECRETS[role])


def test_what_the_archive_answers_comes_through_whole(server: tuple[FastAPI, str], archive: Archive) -> None:
    with client(server) as asking:
        flows = asking.flows
        assert flows.status() == archive.status()
        assert flows.top(10.0, 20.0, "ingress_bytes", 3, "port").items == (Traffic("port-1", 5.0),)
        assert flows.series("a/b", 10.0, 20.0, 60.0) == Series(
            "a/b", 10.0, 20.0, 60.0, (1.0,), (2.0,), (3.0,), (4.0,)
        )
        assert flows.subject("p", 10.0, 20.0, 5).total == Traffic("p")
        assert flows.export(10.0, 20.0, subject="p", form="csv", limit=9) == Export("text/csv", b"a,b\n")
        assert flows.sql("SELECT 1", 5).rows == ((1,), ("x",), (None,))
        assert flows.backtest(BacktestOrder("text", 1.0, 2.0)).id == "b1"
        assert flows.backtested("b1").policies == (POLICY,)
    assert archive.asked == [
        (10.0, 20.0, "ingress_bytes", 3, "port"),
        ("a/b", 10.0, 20.0, 60.0),
        ("p", 10.0, 20.0, 5),
        (10.0, 20.0, "p", "csv", 9),
        ("SELECT 1", 5),
        BacktestOrder("text", 1.0, 2.0),
    ]


@pytest.mark.usefixtures("archive")
@pytest.mark.parametrize(
    ("method", "path", "body", "roles"),
    [
        ("GET", "top", None, {Role.VIEWER, Role.OPERATOR, Role.ADMIN}),
        ("GET", "export", None, {Role.VIEWER, Role.OPERATOR, Role.ADMIN}),
        ("POST", "sql", {"question": "SELECT 1"}, {Role.OPERATOR, Role.ADMIN}),
        ("POST", "backtests", {"text": "x", "since": 1.0, "until": 2.0}, {Role.OPERATOR, Role.ADMIN}),
    ],
)
def test_who_may_ask_what(
    server: tuple[FastAPI, str], method: str, path: str, body: Any, roles: set[Role]
) -> None:
    for role, secret in SECRETS.items():
        headers = {"Authorization": f"Bearer {secret}"}
        answer = httpx.request(method, f"{server[1]}/v1/flows/{path}", json=body, headers=headers)
        assert (answer.status_code < 300) == (role in roles), role


@pytest.mark.usefixtures("archive")
@pytest.mark.parametrize(
    "query", ["by=size", "of=subjects", "limit=0", "since=-1", "since=nan", "step=5", "until=99999999999"]
)
def test_a_question_that_is_none_is_refused(client: httpx.Client, query: str) -> None:
    answer = client.get(f"/v1/flows/top?{query}")
    assert answer.status_code == 422
    assert answer.json()["problems"]


def test_an_archive_that_hangs_holds_up_nobody_else(
    server: tuple[FastAPI, str], archive: Archive, client: httpx.Client
) -> None:
    hangs, begun = threading.Event(), threading.Semaphore(0)

    def status() -> ArchiveStatus:
        begun.release()
        hangs.wait(60)
        return ArchiveStatus("")

    archive.status = status  # type: ignore[method-assign]
    headers = {"Authorization": f"Bearer {SECRETS[Role.VIEWER]}"}
    asking = [
        threading.Thread(
            target=httpx.get,
            args=(f"{server[1]}/v1/flows/status",),
            kwargs={"headers": headers, "timeout": 60},
        )
        for _ in range(ASKING)
    ]
    for each in asking:
        each.start()
    for _ in asking:
        assert begun.acquire(timeout=60)
    full = client.get("/v1/flows/top")
    assert (full.status_code, full.headers["Retry-After"]) == (503, "2")
    assert client.get("/v1/status").status_code == 200
    hangs.set()
    for each in asking:
        each.join()
    assert client.get("/v1/flows/top").status_code == 200


def test_without_an_archive_it_says_so(client: httpx.Client) -> None:
    answer = client.get("/v1/flows/top")
    assert answer.status_code == 404
    assert "No archive" in answer.json()["detail"]


def test_the_archive_s_own_door_lets_in_one_secret_and_nobody_else() -> None:
    running = start(create_archive_door(Archive(), "right", ApiSettings(port=0)), ApiSettings(port=0))
    try:
        with Client(running.url, "right") as keeper:
            assert keeper.flows.status().rows == 7
            assert "sekisho_http_requests_total" in keeper.metrics()
            with pytest.raises(NotFound):
                keeper.status()
        for wrong in ("", "righ", "wrong"):
            with Client(running.url, wrong) as stranger, pytest.raises(Unauthenticated):
                stranger.flows.status()
    finally:
        running.stop()


def test_no_secret_lets_nobody_in() -> None:
    from sekisho.model.access import Issuer

    assert OneToken("", dict).recognised("", Issuer.SEKISHO) is None
