"""What wakes the agent's loop, and when."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from sekisho.host import bell as bells
from sekisho.host.bell import Bell

LONG = 10.0


@pytest.fixture
def stop() -> threading.Event:
    return threading.Event()


def test_whoever_rests_long_enough_need_not_be_rung(stop: threading.Event) -> None:
    Bell().rest(0.01, stop)
    Bell().rest(-1.0, stop)


def test_what_rang_before_is_heard_once(stop: threading.Event) -> None:
    bell = Bell(settle=0.01)
    bell.ring(pressing=False)
    bell.rest(LONG, stop)
    with ThreadPoolExecutor(1) as pool:
        again = pool.submit(bell.rest, LONG, stop)
        assert not again.done()
        bell.ring()
        again.result(LONG)


def test_what_presses_is_not_kept_by_a_burst(stop: threading.Event) -> None:
    bell = Bell(settle=3600.0)
    bell.ring(pressing=False)
    with ThreadPoolExecutor(1) as pool:
        resting = pool.submit(bell.rest, LONG, stop)
        bell.ring()
        resting.result(LONG)


def test_without_a_time_to_settle_everything_presses(stop: threading.Event) -> None:
    bell = Bell()
    bell.ring(pressing=False)
    bell.rest(LONG, stop)


def test_a_burst_that_never_ends_is_heard_all_the_same(
    stop: threading.Event, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bells, "LONGEST_BURST", 0.05)
    bell, over = Bell(settle=0.01), threading.Event()

    def ring() -> None:
        while not over.is_set():
            bell.ring(pressing=False)

    with ThreadPoolExecutor(1) as pool:
        pool.submit(ring)
        bell.rest(LONG, stop)
        over.set()


def test_a_stop_ends_the_rest(stop: threading.Event) -> None:
    bell = Bell(settle=3600.0)
    stop.set()
    bell.ring()
    bell.rest(LONG, stop)
