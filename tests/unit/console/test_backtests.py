"""Policies played over the archive, from a page."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import httpx
import pytest
from fastapi import FastAPI

import support_console
from sekisho.api.console.backtests import curve
from sekisho.detect.detectors.catalogue import CATALOGUE
from sekisho.model import policy_file
from sekisho.model.access import Role
from sekisho.model.archived import Backtest, BacktestOrder, CurvePoint, PolicyBacktest, Series, Spell
from sekisho.model.errors import NotFound
from support_console import SMTP, Browser, Cloud

FILE = """
[policy.spam]
[[policy.spam.when]]
detector = "smtp-connections"
threshold = "60/min"
[[policy.spam.then]]
drop = "tcp/25"
direction = "egress"
for = "1h"
"""
POINTS = tuple(CurvePoint(10.0 * 2**i, 40 / 2**i, 64 >> i) for i in range(6))
FOUND = PolicyBacktest(
    "spam",
    "watch",
    "smtp-connections",
    "count",
    60,
    60,
    subjects=7,
    spells=(Spell("port-1", "spam", 1e9, 1e9 + 60, "imposed", 1, (SMTP,), overlaps=True),),
    curve=POINTS,
)


class Archive:
    """Answers one back-test."""

    def __init__(self) -> None:
        self.orders: list[BacktestOrder] = []
        self.state = "running"

    def backtest(self, order: BacktestOrder) -> Backtest:
        self.orders.append(order)
        return self.backtested("b1")

    def backtested(self, backtest: str) -> Backtest:
        if backtest != "b1":
            raise NotFound("There is no such back-test.")
        order, done = self.orders[0], self.state == "done"
        return Backtest(
            "b1", self.state, order.since, order.until, 1.0, 0.4, policies=(FOUND,) if done else ()
        )


@pytest.fixture
def archive(server: tuple[FastAPI, str], fresh: tuple[Cloud, str]) -> Iterator[Archive]:
    del fresh
    made = Archive()
    server[0].state.flows = made
    yield made
    server[0].state.flows = None


def test_a_file_is_played_and_its_curve_is_shown(archive: Archive, olga: Browser) -> None:
    answer = olga.send("/backtest", text=FILE, last="7d")
    assert answer.headers["location"] == "/backtests/b1"
    (order,) = archive.orders
    assert order.text == FILE
    assert (order.until, order.until - order.since) == (olga.cloud.now, 7 * 86400)
    assert "<progress" in olga.page("/backtests/b1")
    archive.state = "done"
    page = olga.page("/backtests/b1")
    assert "<progress" not in page
    assert "<polyline" in page
    assert "port-1" in page


def test_who_really_was_bound_is_not_told_in_the_words_of_a_host(archive: Archive, olga: Browser) -> None:
    olga.send("/backtest", text=FILE, last="7d")
    archive.state = "done"
    page = olga.client.get("/backtests/b1", headers={"accept-language": "ja"}).text
    assert "反映済み" not in page
    assert ">制限あり<" in page


def test_a_policy_in_force_is_played_from_its_page_or_changed_first(archive: Archive, olga: Browser) -> None:
    page = olga.page("/policies/outgoing-spam")
    assert 'action="/backtest"' in page
    assert 'href="/backtests?policy=outgoing-spam"' in page
    assert "[policy.outgoing-spam]" in olga.page("/backtests", policy="outgoing-spam")
    assert olga.send("/backtest", policy="outgoing-spam", last="1h").status_code == 303
    (order,) = archive.orders
    (played,), _ = policy_file.parse(order.text, CATALOGUE, "played")
    assert played == support_console.POLICIES[0]
    assert olga.send("/backtest", policy="no-such").status_code == 404


def test_mistakes_in_the_file_are_named_and_nothing_is_played(archive: Archive, olga: Browser) -> None:
    answer = olga.send("/backtest", text=FILE.replace("smtp-connections", "smtp-conections"))
    assert answer.status_code == 422
    assert "smtp-conections" in answer.text
    assert archive.orders == []
    assert olga.send("/backtest", text="").status_code == 422


def test_an_archive_that_hangs_holds_up_no_other_page(
    server: tuple[FastAPI, str], fresh: tuple[Cloud, str], olga: Browser
) -> None:
    hanging, let_go = threading.Semaphore(0), threading.Event()

    class Hanging:
        def series(self, subject: str, since: float, until: float, step: float) -> Series:
            hanging.release()
            let_go.wait(60)
            return Series(subject, since, until, step)

    server[0].state.traffic = Hanging()
    bearer = {"Authorization": f"Bearer {fresh[0].secrets[Role.VIEWER]}"}
    with httpx.Client(base_url=server[1], headers=bearer, trust_env=False, timeout=60) as client:
        asking = [threading.Thread(target=client.get, args=("/traffic",)) for _ in range(60)]
        for each in asking:
            each.start()
        for _ in range(8):
            assert hanging.acquire(timeout=30)
        assert olga.client.get("/restrictions").status_code == 200
        assert not hanging.acquire(blocking=False), "the others wait in line, without a thread"
        let_go.set()
        for each in asking:
            each.join(60)


def test_without_an_archive_that_is_said(olga: Browser) -> None:
    assert "There is no archive here" in olga.page("/backtests")
    assert olga.send("/backtest", text=FILE).status_code == 503
    assert olga.client.get("/backtests/b1").status_code == 503


def test_who_only_reads_plays_nothing(archive: Archive, fresh: tuple[Cloud, str]) -> None:
    with support_console.browsing(*fresh, Role.VIEWER) as browser:
        assert 'action="/backtest"' not in browser.page("/backtests")
        assert browser.send("/backtest", text=FILE).status_code == 403
    assert archive.orders == []


def test_a_curve_falls_as_the_line_rises() -> None:
    drawn = curve(FOUND)
    assert drawn is not None
    heights = [float(p.split(",")[1]) for p in drawn.most.split()]
    assert heights == sorted(heights), "downwards on the page"
    assert heights[0] == 0
    assert 0 < drawn.now < 600
    assert drawn.highest == 64
    # Words stand in boxes of one width, so that what they name is where they begin.
    assert [at for at, _ in drawn.ticks] == [0, 100, 200, 300, 400, 500]
    assert [text for _, text in drawn.ticks] == ["10", "18", "32", "57", "101", "180"]
    assert curve(PolicyBacktest("x", "watch", "d", "count", 1, 1, curve=POINTS[:1])) is None
