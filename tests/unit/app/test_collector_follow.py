"""What a collector does about a new inventory: all that can be done beside the loop is done there."""

from __future__ import annotations

import gc
import os
import sys
import threading
import weakref
from dataclasses import replace
from typing import TYPE_CHECKING, Any, cast

import pytest

from sekisho.app.collector import Collector, CollectorSettings, Following
from sekisho.archive.settings import SpoolSettings, TapSettings
from sekisho.archive.spool import blocks
from sekisho.flows.receive import ReceiveSettings
from sekisho.host.clock import Clock
from sekisho.model.policy import Condition, Policy, PolicySet, Scope, Step, Threshold, Unit
from support_archive import inventory
from support_datagrams import burst_of, captured

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from sekisho.model.inventory import Inventory

HEAVY = Condition("egress-bytes", Threshold(1000, 10, Unit.BYTES))
POLICIES = tuple(
    Policy(name, (HEAVY,), (Step((), 60.0),), scope=scope)
    for name, scope in (
        ("all", Scope()),
        ("some", Scope(hosts=("h1",))),
        ("one", Scope(subjects=("port-3",))),
    )
)


class Keeper:
    """Has one inventory to give, and another one once that is taken."""

    def __init__(self) -> None:
        self.given: list[Inventory] = []

    def inventory(self, _since: int, _wait: float) -> Inventory | None:
        return self.given.pop(0) if self.given else None


@pytest.fixture
def keeper() -> Keeper:
    return Keeper()


@pytest.fixture
def collector(keeper: Keeper, tmp_path: Path) -> Iterator[Collector]:
    kept = TapSettings(on=True, spool=SpoolSettings(str(tmp_path)))
    settings = CollectorSettings("c", receive=ReceiveSettings(ports=(0,)), archive=kept)
    made = Collector(settings, cast("Any", keeper), Clock())
    made._news["policies"] = PolicySet(1, POLICIES)
    yield made
    made.receiver.close()


def take_over(collector: Collector, new: Inventory) -> int:
    """Have the loop take over an inventory; tell how many functions that called."""
    collector._news["inventory"] = collector._make_ready(new)
    called = 0

    def count(_frame: object, event: str, _more: object) -> None:
        nonlocal called
        called += event in ("call", "c_call")

    sys.setprofile(count)
    try:
        collector._replace()
    finally:
        sys.setprofile(None)
    return called


def test_how_many_there_are_is_nothing_to_the_loop_that_takes_them_over(collector: Collector) -> None:
    take_over(collector, inventory(400, 1))  # room is made
    called = [take_over(collector, inventory(count, version)) for version, count in ((2, 300), (3, 500))]
    assert called[0] == called[1]
    assert collector._counters()["detect.subjects"] == 500


def test_a_project_is_as_old_as_it_is_before_the_first_second_is_closed(collector: Collector) -> None:
    """Inventory and policies come within the first second, and may stay the same for days."""
    heard = inventory(2, 1)
    now = collector._clock.now()
    ages = (now - 5000.0, now - 10.0)
    subjects = [replace(s, project_created=age) for s, age in zip(heard.subjects, ages, strict=True)]
    collector._news["policies"] = PolicySet(2, (replace(POLICIES[0], scope=Scope(younger=3600.0)),))
    collector._replace()
    take_over(collector, replace(heard, subjects=tuple(subjects)))
    assert collector._detection.judges[0].scope[:2].tolist() == [False, True]


def test_what_is_heard_while_an_inventory_is_made_is_of_the_one_before(
    collector: Collector, tmp_path: Path
) -> None:
    take_over(collector, inventory(5, 1))
    made = collector._make_ready(inventory(7, 2))
    now = collector._clock.now()
    heard = burst_of(captured("ovs31-sflow.pcap"), time=now)
    collector._count(heard, now)  # its exporter is met only now
    before = collector._counters()["resolve.rows"]
    collector._news["inventory"] = made
    collector._replace()
    collector._count(burst_of(captured("ovs31-sflow.pcap"), time=now), now)
    assert collector._counters()["resolve.rows"] == 2 * before > 0
    collector._judge(now + 1.0)
    collector._finish_tap()
    assert sum(b.rows for b in blocks(tmp_path) if b.table == "flows") == 2 * before


def test_what_was_there_before_is_let_go_of_by_who_follows(
    collector: Collector, keeper: Keeper, monkeypatch: pytest.MonkeyPatch
) -> None:
    collector.tap = None
    there: list[bool] = []

    def wait(_seconds: float) -> bool:
        if collector._news:
            collector._replace()
            there.append(before() is not None)
        return False

    monkeypatch.setattr(collector.stop, "wait", wait)
    for version in (1, 2):
        before = weakref.ref(collector._resolver)
        keeper.given = [inventory(5, version)]
        collector._follow_inventory()
        assert collector._inventory.version == version
        assert before() is None
    assert there == [True, True]


def test_cycles_are_looked_for_by_who_follows_where_nobody_else_does(collector: Collector) -> None:
    class Odd:
        me: Odd

    odd = Odd()
    odd.me = odd
    gone = weakref.ref(odd)
    was = gc.isenabled()
    gc.disable()
    try:
        del odd
        assert gone() is not None
        collector._follow_inventory()
        assert gone() is None
    finally:
        if was:
            gc.enable()


@pytest.mark.skipif(sys.platform != "linux", reason="a niceness for each thread")
def test_who_follows_gives_way_to_the_loop(
    collector: Collector, keeper: Keeper, monkeypatch: pytest.MonkeyPatch
) -> None:
    before, found = os.getpriority(os.PRIO_PROCESS, 0), []
    look = lambda *_: found.append(os.getpriority(os.PRIO_PROCESS, threading.get_native_id()))  # noqa: E731
    monkeypatch.setattr(keeper, "inventory", look)

    def follow() -> None:
        collector._follow_behind()
        collector._follow_behind()

    thread = threading.Thread(target=follow)
    thread.start()
    thread.join()
    assert found == [min(before + 5, 19)] * 2
    assert os.getpriority(os.PRIO_PROCESS, 0) == before


@pytest.mark.skipif(sys.platform != "linux", reason="a niceness for each thread")
def test_who_is_nicer_already_is_left_so(
    collector: Collector, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def refuse(*_: object) -> None:
        raise PermissionError

    monkeypatch.setattr(os, "getpriority", lambda *_: 19)
    monkeypatch.setattr(os, "setpriority", refuse)
    collector._follow_behind()
    assert not caplog.records


def test_what_was_there_before_is_in_hand_once_the_new_one_is_in_place(collector: Collector) -> None:
    """Who follows the inventory lets go of it, and not the loop, however soon he looks."""
    made = collector._make_ready(inventory(5, 2))
    found = []

    class Watched(Following):
        def __setattr__(self, name: str, value: object) -> None:
            if name == "inventory":
                found.append(collector._inventory.version)
            super().__setattr__(name, value)

    watched = Watched(made.inventory, made.resolver, made.ready, made.subjects)
    found.clear()
    collector._take_over(watched)
    assert (found, watched.inventory.version, collector._inventory.version) == ([0], 0, 2)


@pytest.mark.skipif(sys.platform != "linux", reason="a niceness for each thread")
def test_who_may_not_give_way_follows_all_the_same(
    collector: Collector,
    keeper: Keeper,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    def refuse(*_: object) -> None:
        raise PermissionError("refused")

    monkeypatch.setattr(os, "setpriority", refuse)
    monkeypatch.setattr(collector.stop, "wait", lambda _: collector._replace())
    keeper.given = [inventory(5, 3)]
    for _ in range(2):
        collector._follow_behind()
    assert collector._inventory.version == 3
    assert [record.message for record in caplog.records] == [
        "following the inventory: it cannot give way to the loop: setpriority: refused"
    ]
