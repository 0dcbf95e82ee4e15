"""Many are asked side by side, none waits for the slowest, and an error is raised once all are done."""

from __future__ import annotations

import queue
import threading

import pytest

from sekisho.app.switches_threads import side_by_side, workers
from sekisho.model.errors import Unavailable


def test_answers_come_in_the_order_of_the_questions() -> None:
    first, second = threading.Event(), threading.Event()

    def ask(n: int) -> int:
        if n == 0:
            assert second.wait(10), "the second is asked while the first is not answered"
            first.set()
        if n == 1:
            second.set()
        return n * 10

    assert side_by_side(ask, range(5), 2) == (0, 10, 20, 30, 40)
    assert first.is_set()


def test_the_first_error_is_raised_once_all_are_asked() -> None:
    asked: list[int] = []

    def ask(n: int) -> int:
        asked.append(n)
        if n in (1, 3):
            raise Unavailable(str(n))
        return n

    with pytest.raises(Unavailable, match="1"):
        side_by_side(ask, range(5), 3)
    assert sorted(asked) == [0, 1, 2, 3, 4]


def test_workers_do_what_comes_until_they_are_stopped() -> None:
    done, stop = threading.Event(), threading.Event()
    waiting: queue.SimpleQueue[int] = queue.SimpleQueue()
    seen: list[int] = []

    def act(n: int) -> None:
        seen.append(n)
        if len(seen) == 3:
            done.set()

    workers(act, waiting, 2, stop)
    for n in range(3):
        waiting.put(n)
    assert done.wait(10)
    stop.set()
    assert sorted(seen) == [0, 1, 2]
