"""A canary goes first, failures end the rest, and whoever was not begun is left alone."""

from __future__ import annotations

import threading
from collections.abc import Callable

from sekisho.devices.switch.rollout import Rollout, Verdict, Wave

NAMES = tuple(f"leaf-{n}" for n in range(1, 9))


def roll(act: Callable[[str], Verdict], wave: Wave, names: tuple[str, ...] = NAMES) -> tuple[str, ...]:
    rolling: Rollout[str] = Rollout(names, act, wave)
    return rolling.run()


def test_all_are_changed_once() -> None:
    done: list[str] = []

    def act(name: str) -> Verdict:
        done.append(name)
        return Verdict.CHANGED

    assert roll(act, Wave(1, 4, 0)) == ()
    assert sorted(done) == sorted(NAMES)


def test_a_canary_that_fails_leaves_all_others_alone_whatever_the_budget() -> None:
    done: list[str] = []

    def act(name: str) -> Verdict:
        done.append(name)
        return Verdict.FAILED

    assert roll(act, Wave(1, 4, 5)) == NAMES[1:]
    assert done == ["leaf-1"]


def test_a_canary_with_nothing_to_do_proves_nothing() -> None:
    done: list[str] = []

    def act(name: str) -> Verdict:
        done.append(name)
        return {"leaf-1": Verdict.NOTHING, "leaf-2": Verdict.FAILED}.get(name, Verdict.CHANGED)

    assert roll(act, Wave(1, 4, 5)) == NAMES[2:]
    assert done == ["leaf-1", "leaf-2"]


def test_canaries_go_one_by_one_and_the_others_side_by_side_but_not_more_than_allowed() -> None:
    together, most, alone = 0, 0, []
    lock, two = threading.Lock(), threading.Barrier(2)

    def act(name: str) -> Verdict:
        nonlocal together, most
        with lock:
            together += 1
            most = max(most, together)
            alone.append((name, together))
        if name not in ("leaf-1", "leaf-2"):
            two.wait(10)  # never passes unless two are here at once
        with lock:
            together -= 1
        return Verdict.CHANGED

    assert roll(act, Wave(2, 2, 0)) == ()
    assert alone[:2] == [("leaf-1", 1), ("leaf-2", 1)]
    assert most == 2


def test_more_failures_than_the_budget_end_the_rest() -> None:
    done: list[str] = []

    def act(name: str) -> Verdict:
        done.append(name)
        return Verdict.CHANGED if name == "leaf-1" else Verdict.FAILED

    left = roll(act, Wave(1, 1, 2))
    assert done == ["leaf-1", "leaf-2", "leaf-3", "leaf-4"]
    assert left == NAMES[4:]


def test_a_failure_counts_before_its_rollback_is_proven() -> None:
    done: list[str] = []
    alarmed, begun = threading.Event(), threading.Event()

    def act(name: str) -> Verdict:
        with lock:
            done.append(name)
        if name == "leaf-2":
            begun.wait(10)
            rolling.alarm(name)
            alarmed.set()
            ended.wait(10)  # a switch that does not answer
            return Verdict.FAILED
        if name == "leaf-3":
            begun.set()
            alarmed.wait(10)
            ended.set()
        return Verdict.CHANGED

    lock, ended = threading.Lock(), threading.Event()
    rolling: Rollout[str] = Rollout(NAMES, act, Wave(1, 2, 0))
    assert rolling.run() == NAMES[3:]
    assert sorted(done) == ["leaf-1", "leaf-2", "leaf-3"]


def test_a_keeper_that_stops_begins_nothing_more() -> None:
    def act(name: str) -> Verdict:
        if name == "leaf-2":
            rolling.stop()
        return Verdict.CHANGED

    rolling: Rollout[str] = Rollout(NAMES, act, Wave(0, 1, 0))
    assert rolling.run() == NAMES[2:]
