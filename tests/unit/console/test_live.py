"""What open pages are told, and that nobody is held by them."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack

import httpx
import pytest

import support_console
from sekisho.api.console import live
from sekisho.api.console.live import Pulse
from sekisho.api.settings import ApiSettings
from sekisho.model.access import Role
from sekisho.model.errors import Unavailable
from sekisho.model.report import Status
from support_console import Browser, Cloud

Fresh = tuple[Cloud, str]


@pytest.fixture(autouse=True)
def fast(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(live, "BEAT", 0.05)


def beats(answer: httpx.Response) -> Iterator[dict[str, float]]:
    for line in answer.iter_lines():
        if line.startswith("data: "):
            yield json.loads(line.removeprefix("data: "))


def test_a_page_hears_at_once_that_something_was_decided(fresh: Fresh, olga: Browser) -> None:
    cloud = fresh[0]
    with olga.client.stream("GET", "/events") as answer:
        assert answer.headers["content-type"].startswith("text/event-stream")
        told = beats(answer)
        before = next(told)
        assert before["active"] == 2
        assert before["proposed"] == 1
        cloud.keeper.lift(support_console.OLGA, "r1", "x", "")
        cloud.passed += 1
        after = next(b for b in told if b["now"] > before["now"])
        assert after["active"] == 1
        assert after["revision"] > before["revision"]


def test_strangers_hear_nothing(stranger: httpx.Client) -> None:
    assert stranger.get("/events").status_code == 303


def test_only_so_many_listen_and_who_leaves_makes_room(fresh: Fresh, put: Callable[..., None]) -> None:
    put(fresh[0], watching=1)
    with support_console.browsing(*fresh, Role.VIEWER) as browser:
        with browser.client.stream("GET", "/events") as first:
            told = beats(first)  # kept: it would leave with what reads it
            next(told)
            assert browser.client.get("/events").status_code == 503
        deadline = time.monotonic() + 10
        while time.monotonic() < deadline:
            with browser.client.stream("GET", "/events") as again:
                if again.status_code == 200:
                    return
        pytest.fail("nobody made room")


def test_a_server_that_stops_waits_for_no_page(fresh: Fresh) -> None:
    heard = threading.Event()

    def listen(browser: Browser) -> None:
        with browser.client.stream("GET", "/events") as answer:
            for _ in beats(answer):
                heard.set()

    with ExitStack() as stack:
        with support_console.served(fresh[0]) as (_, url):
            browser = stack.enter_context(support_console.browsing(fresh[0], url, Role.VIEWER))
            listener = threading.Thread(target=listen, args=(browser,))
            listener.start()
            assert heard.wait(30)
            began = time.monotonic()
        listener.join(10)
        assert not listener.is_alive()
    assert time.monotonic() - began < ApiSettings().stop_timeout, "less than the grace that requests have"


def test_the_keeper_is_looked_at_once_for_everybody(fresh: Fresh, monkeypatch: pytest.MonkeyPatch) -> None:
    cloud, looks = fresh[0], list[int]()
    status = cloud.keeper.status

    def counted() -> Status:
        looks.append(1)
        return status()

    monkeypatch.setattr(cloud.keeper, "status", counted)
    pulse = Pulse(10)
    told = {pulse.read(cloud.keeper) for _ in range(50)}
    assert (len(told), len(looks)) == (1, 1)
    cloud.passed += 1
    assert pulse.read(cloud.keeper) not in told
    assert len(looks) == 2


def test_a_ledger_that_is_away_is_no_beat(fresh: Fresh, monkeypatch: pytest.MonkeyPatch) -> None:
    def away() -> None:
        raise Unavailable("away")

    monkeypatch.setattr(fresh[0].keeper, "status", away)
    assert Pulse(10).read(fresh[0].keeper) == ""
