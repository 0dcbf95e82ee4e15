"""Many switches asked side by side, by threads that hold nobody up when the keeper ends."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Sequence
from typing import TypeVar

A = TypeVar("A")
B = TypeVar("B")

# How often a thread without work looks whether to stop, in seconds.
TICK = 0.5


def side_by_side(ask: Callable[[A], B], items: Sequence[A], width: int) -> tuple[B, ...]:
    """Ask all, `width` at once; gives the answers in order, or raises the first error once all are done."""
    if len(items) < 2:
        return tuple(map(ask, items))
    waiting: queue.SimpleQueue[int] = queue.SimpleQueue()
    for i in range(len(items)):
        waiting.put(i)
    answers: dict[int, B] = {}
    errors: dict[int, Exception] = {}

    def drain() -> None:
        while True:
            try:
                i = waiting.get_nowait()
            except queue.Empty:
                return
            try:
                answers[i] = ask(items[i])
            except Exception as error:  # noqa: BLE001 - raised by whoever asked
                errors[i] = error

    threads = [_started(drain, f"sekisho-ask-{n}") for n in range(min(width, len(items)))]
    for thread in threads:
        thread.join()
    if errors:
        raise errors[min(errors)]
    return tuple(answers[i] for i in range(len(items)))


def workers(
    act: Callable[[A], None], waiting: queue.SimpleQueue[A], width: int, stop: threading.Event
) -> None:
    """Let `width` threads do what comes until told to stop."""

    def work() -> None:
        while not stop.is_set():
            try:
                item = waiting.get(timeout=TICK)
            except queue.Empty:
                continue
            act(item)

    for n in range(width):
        _started(work, f"sekisho-look-{n}")


def _started(act: Callable[[], None], name: str) -> threading.Thread:
    thread = threading.Thread(target=act, name=name, daemon=True)
    thread.start()
    return thread
