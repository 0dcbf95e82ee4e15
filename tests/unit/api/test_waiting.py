"""Long polls: no news is lost, none waits longer than it asked, and a thousand of them cost little."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx
import pytest
from fastapi import FastAPI

import support_api
from sekisho.api.waiting import Waiting
from sekisho.model.access import Principal, Role
from sekisho.model.inventory import Host, HostReport
from sekisho.model.policy import PolicySet
from sekisho.testing.keeper import FakeKeeper
from support_api import bearer

AGENT = Principal("agent", Role.AGENT)
OPERATOR = Principal("operator", Role.OPERATOR)
Act = Callable[[FakeKeeper], Any]


def impose(keeper: FakeKeeper) -> object:
    return keeper.impose(OPERATOR, "port-web", (), "why", 60, "")


def reload(keeper: FakeKeeper) -> object:
    keeper.stage_policies(PolicySet())
    return keeper.reload_policies(OPERATOR)


def until_waiting(app: FastAPI, count: int = 1) -> None:
    """Give a request the time to begin to wait."""
    deadline = time.monotonic() + 10
    while app.state.waiting.count < count and time.monotonic() < deadline:
        time.sleep(0.002)
    assert app.state.waiting.count == count


async def counted(waiting: Waiting, count: int) -> None:
    while waiting.count < count:  # noqa: ASYNC110 - nothing tells when a poll begins to wait
        await asyncio.sleep(0.001)


CASES: list[tuple[str, Callable[[FakeKeeper], int], Act]] = [
    ("hosts/h1/program?revision", lambda k: k.program("h1").revision, impose),
    (
        "inventory?version",
        lambda k: k.inventory().version,
        lambda k: k.report_host(AGENT, HostReport(Host("h9"))),
    ),
    (
        "policies?version",
        lambda k: k.policies().policies.version,
        reload,
    ),
]


@pytest.mark.parametrize(("path", "known", "change"), CASES, ids=lambda c: c if isinstance(c, str) else "")
def test_news_comes_at_once_none_is_304(
    path: str,
    known: Callable[[FakeKeeper], int],
    change: Act,
    server: tuple[FastAPI, str],
    keeper: FakeKeeper,
) -> None:
    app, url = server
    with support_api.asking(url, Role.AGENT) as client, ThreadPoolExecutor(1) as pool:
        at_once = client.get(f"/v1/{path}=424242&wait=60")
        assert at_once.status_code == 200
        assert at_once.headers["ETag"] == f'"{known(keeper)}"'
        began = time.monotonic()
        nothing = client.get(f"/v1/{path}={known(keeper)}&wait=0.2")
        assert (nothing.status_code, nothing.content) == (304, b"")
        assert 0.2 <= time.monotonic() - began < 2
        assert client.get(f"/v1/{path}={known(keeper)}").status_code == 304
        waiting = pool.submit(client.get, f"/v1/{path}={known(keeper)}&wait=60")
        until_waiting(app)
        assert not waiting.done()
        change(keeper)
        assert waiting.result(10).status_code == 200, "it is woken, long before its 60 s are over"


def test_another_hosts_news_wakes_nobody(server: tuple[FastAPI, str], keeper: FakeKeeper) -> None:
    app, url = server
    with support_api.asking(url, Role.AGENT) as client, ThreadPoolExecutor(1) as pool:
        path = f"/v1/hosts/h2/program?revision={keeper.program('h2').revision}&wait=0.5"
        waiting = pool.submit(client.get, path)
        until_waiting(app)
        impose(keeper)
        assert waiting.result(10).status_code == 304


def test_an_unknown_host_is_told_so_at_once(client: httpx.Client) -> None:
    path = "/v1/hosts/nobody/program?revision=1&wait=60"
    assert client.get(path, headers=bearer(Role.AGENT)).status_code == 404


def test_a_change_between_look_and_wait_is_not_lost() -> None:
    """The change comes after the value was read and before anybody waits, a thousand times."""
    waiting, value, rounds = Waiting(), [0], 1000

    def read() -> int:
        seen = value[0]
        # As a keeper would, from its own thread: change first, then call back.
        value[0] += 1
        threading.Thread(target=waiting.nudge, args=("t",)).start()
        return seen

    async def follow() -> None:
        for _ in range(rounds):
            before = value[0]
            assert await waiting.news("t", read, lambda v, b=before: v > b, 5) is not None  # type: ignore[misc]

    asyncio.run(asyncio.wait_for(follow(), 30))


def test_nobody_waits_longer_than_the_settings_allow() -> None:
    assert asyncio.run(asyncio.wait_for(Waiting(0.05).news("t", lambda: 0, bool, 60), 5)) is None


def test_a_nudge_that_never_came_costs_a_wait_and_no_more() -> None:
    waiting, reads = Waiting(), [0]

    def read() -> int:
        reads[0] += 1
        return reads[0]

    assert asyncio.run(waiting.news("t", read, lambda v: v == 2, 0.05)) == 2
    assert waiting.count == 0


def test_a_thousand_wait_without_a_thread_each_and_all_wake() -> None:
    waiting, value = Waiting(), [0]

    def nudge_all() -> None:
        for i in range(1000):
            waiting.nudge(f"host:{i}")

    async def all_of_them() -> float:
        polls = [
            asyncio.create_task(waiting.news(f"host:{i}", lambda: value[0], lambda v: v == 1, 60))
            for i in range(1000)
        ]
        await counted(waiting, 1000)
        await asyncio.sleep(0.05)
        assert threading.active_count() < 100
        value[0] = 1
        began = time.monotonic()
        await asyncio.to_thread(nudge_all)
        assert await asyncio.gather(*polls) == [1] * 1000
        return time.monotonic() - began

    assert asyncio.run(all_of_them()) < 3
    assert waiting.count == 0


def test_closing_lets_everybody_go() -> None:
    waiting = Waiting()

    async def one() -> None:
        poll = asyncio.create_task(waiting.news("t", lambda: 0, bool, 60))
        await counted(waiting, 1)
        await asyncio.to_thread(waiting.close)
        assert await asyncio.wait_for(poll, 5) is None
        assert await asyncio.wait_for(waiting.news("t", lambda: 0, bool, 60), 5) is None

    asyncio.run(one())
    waiting.nudge("t")  # nobody listens any more, and no loop runs


def test_the_inventory_is_written_once_per_version(
    client: httpx.Client, keeper: FakeKeeper, server: tuple[FastAPI, str]
) -> None:
    first = client.get("/v1/inventory", headers=bearer(Role.AGENT))
    kept = server[0].state.inventory
    again = client.get("/v1/inventory", headers=bearer(Role.AGENT))
    assert again.content == first.content
    assert server[0].state.inventory is kept
    keeper.report_host(AGENT, HostReport(Host("h9")))
    assert b'"h9"' in client.get("/v1/inventory", headers=bearer(Role.AGENT)).content
