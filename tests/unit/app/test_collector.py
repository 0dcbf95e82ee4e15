"""What a collector tells the keeper, and what it does when the keeper does not understand."""

from __future__ import annotations

import threading
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import pytest

from sekisho.app import collector as collector_module
from sekisho.app.collector import Collector, CollectorSettings, own_addresses
from sekisho.archive import spool
from sekisho.archive.settings import SpoolSettings, TapSettings
from sekisho.archive.spool import blocks
from sekisho.flows.receive import ReceiveSettings
from sekisho.host.clock import Clock
from sekisho.model.errors import Malformed
from sekisho.model.policy import Condition, Policy, PolicySet, Step, Threshold, Unit
from sekisho.model.report import Histogram, Outcome, Verdict
from sekisho.model.restriction import Evidence, Finding
from support_archive import inventory
from support_datagrams import burst_of, captured

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sekisho.model.inventory import Inventory
    from sekisho.tables import Burst


class Keeper:
    """Refuses whole requests in which anything is about `odd`."""

    def __init__(self) -> None:
        self.heard: list[str] = []

    def evidence(self, evidence: tuple[Evidence, ...]) -> tuple[Verdict, ...]:
        if any(e.subject == "odd" for e in evidence):
            raise Malformed("A number to be sent is not finite.")
        self.heard += [e.subject for e in evidence]
        return tuple(Verdict(e.subject, e.policy, Outcome.IMPOSED, "r1", "") for e in evidence)


@pytest.fixture
def keeper() -> Keeper:
    return Keeper()


@pytest.fixture
def collector(keeper: Keeper) -> Iterator[Collector]:
    settings = CollectorSettings("c", receive=ReceiveSettings(ports=(0,)))
    made = Collector(settings, cast("Any", keeper), Clock())
    yield made
    made.receiver.close()


def about(subject: str) -> Evidence:
    finding = Finding("egress-bytes", "bytes", 10.0, 2.0, float("nan"), 3.0, 1.0, 9)
    return Evidence(subject, "p", (finding,), 0.0, 10.0)


def test_evidence_that_cannot_be_read_holds_up_nobody_else_s(collector: Collector, keeper: Keeper) -> None:
    names = [f"vm{i}" for i in range(600)]
    collector._outbox.put([about(n) for n in (*names[:3], "odd", *names[3:])])
    collector._send_evidence()
    assert sorted(keeper.heard) == sorted(names)
    assert collector._outbox.pending == {}
    assert collector._counters()["evidence.refused"] == 1


def test_a_collector_that_listens_on_a_name_tells_its_addresses() -> None:
    assert own_addresses("192.0.2.7") == ("192.0.2.7",)
    assert "127.0.0.1" in own_addresses("localhost")


def test_a_collector_keeps_what_it_heard_and_what_it_was_told(keeper: Keeper, tmp_path: Path) -> None:
    kept = TapSettings(on=True, spool=SpoolSettings(str(tmp_path)))
    settings = CollectorSettings("c", receive=ReceiveSettings(ports=(0,)), archive=kept)
    collector = Collector(settings, cast("Any", keeper), Clock())
    collector._news["inventory"] = collector._make_ready(inventory())
    collector._replace()
    now = Clock().now()
    heard = burst_of(captured("ovs31-sflow.pcap"), time=now)
    collector._count(heard, now)
    collector._judge(Clock().now())
    assert [e.sampling for e in collector._report.exporters] == [8]
    collector._finish_tap()
    collector.receiver.close()
    held = {b.table: b.rows for b in blocks(tmp_path)}
    assert held == {"flows": held["flows"], "exporters": 1, "inventory": 5, "moments": 1}
    assert (
        0 < held["flows"] == collector._counters()["archive.written"] == collector._counters()["resolve.rows"]
    )


def test_totals_of_resolvers_add_up_over_inventories_and_gauges_do_not(collector: Collector) -> None:
    for _ in range(2):
        collector._resolver._counts.count("strangers", 3)
        collector._resolver._sources.shared = 2
        assert collector._counters()["resolve.shared_exporters"] == 2
        collector._news["inventory"] = collector._make_ready(inventory())
        collector._replace()
    told = collector._counters()
    assert (told["resolve.strangers"], told["resolve.shared_exporters"]) == (6, 0)


def test_an_inventory_that_changes_all_the_time_costs_a_part_of_a_core(
    collector: Collector, monkeypatch: pytest.MonkeyPatch
) -> None:
    spent, waited, told = [0.0], [], replace(inventory(), version=7)

    def read(_since: int, _wait: float) -> Inventory:
        spent[0] += 0.5  # what it costs to read
        return told

    def wait(seconds: float) -> bool:
        waited.append(seconds)
        collector._replace()
        return False

    monkeypatch.setattr(collector_module, "thread_time", lambda: spent[0])
    monkeypatch.setattr(collector._client, "inventory", read, raising=False)
    monkeypatch.setattr(collector._detection, "replace_inventory", lambda *_: spent.append(spent.pop() + 0.1))
    monkeypatch.setattr(collector.stop, "wait", wait)
    collector._follow_inventory()
    assert collector._inventory is told
    # Once for the loop to take it over; then five times as long as both have worked.
    assert waited[1:] == [pytest.approx(5 * (0.6 + 0.1))]


@pytest.mark.parametrize(("booked", "heard"), [(212_992, 4), (64 << 20, 1)])
def test_a_small_socket_is_emptied_before_datagrams_may_gather(
    collector: Collector, monkeypatch: pytest.MonkeyPatch, booked: int, heard: int
) -> None:
    """What such a socket holds is never a full burst; to wait beside a full socket is to lose."""
    bursts = [burst_of([b"x"] * 20, time=1.0) for _ in range(4)]
    taken: list[Burst] = []
    monkeypatch.setattr(type(collector.receiver), "buffer", booked)
    monkeypatch.setattr(collector.receiver, "receive", lambda _now: bursts.pop() if bursts else None)
    monkeypatch.setattr(collector, "_count", lambda burst, _now: taken.append(burst))
    collector._hear(collector._clock.now() + 60.0)
    assert len(taken) == heard


def test_a_collector_that_stops_writes_the_block_that_it_is_at(
    keeper: Keeper, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    kept = TapSettings(on=True, every=0.1, spool=SpoolSettings(str(tmp_path)))
    settings = CollectorSettings("c", receive=ReceiveSettings(ports=(0,)), archive=kept)
    collector = Collector(settings, cast("Any", keeper), Clock())
    writing, clean = threading.Event(), threading.Event()
    write, held = spool._write_through, []

    def slow(path: Path, pieces: Any, *how: int) -> None:
        if not writing.is_set():
            writing.set()
            held.append(clean.wait(0.5))
        write(path, pieces, *how)

    monkeypatch.setattr(spool, "_write_through", slow)
    assert collector.tap is not None
    monkeypatch.setattr(collector.tap.writer, "close", clean.set)
    now = Clock().now()
    collector._count(burst_of(captured("ovs31-sflow.pcap"), time=now), now)
    collector._judge(now + 1.0)
    collector._spawn_keeping()
    assert writing.wait(60.0)
    collector.stop.set()
    collector._finish_tap()
    collector.receiver.close()
    assert held == [False]
    assert clean.is_set()
    assert sum(b.rows for b in blocks(tmp_path) if b.table == "flows") > 0


def test_a_collector_that_can_keep_nothing_judges_all_the_same(keeper: Keeper, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    kept = TapSettings(on=True, spool=SpoolSettings(str(tmp_path / "file")))
    settings = CollectorSettings("c", receive=ReceiveSettings(ports=(0,)), archive=kept)
    collector = Collector(settings, cast("Any", keeper), Clock())
    assert collector.tap is None
    assert collector.troubles.present() == ("keeping flows for the archive",)
    collector._judge(Clock().now())
    collector.receiver.close()


def test_everybody_is_set_against_the_lines_once_for_each_report(collector: Collector) -> None:
    line = Threshold(1000, 10, Unit.BYTES)
    rule = Policy("heavy", (Condition("egress-bytes", line),), (Step((), 60.0),))
    collector._news |= {"policies": PolicySet(1, (rule,)), "inventory": collector._make_ready(inventory())}
    collector._replace()
    count = collector._detection.distributions
    asked: list[float] = []

    def distributions() -> tuple[Histogram, ...]:
        asked.append(second)
        return count()

    collector._detection.distributions = distributions  # type: ignore[method-assign]
    for second in (100.0, 100.95, 102.0, 103.0, 50.0):  # a clock set back asks too
        collector._judge(second)
        (told,) = collector._report.histograms
        assert (told.policy, told.line, told.subjects) == ("heavy", 1000, len(inventory().subjects))
    assert len(asked) == 3
