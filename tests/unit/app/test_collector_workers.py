"""A collector of several processes: what one is told of all, and what happens when one dies."""

from __future__ import annotations

import json
import os
import socket
import sys
import threading
from dataclasses import replace
from typing import TYPE_CHECKING, cast

import pytest

from sekisho.app.collector import CollectorSettings, Keeper
from sekisho.app.collector_workers import ToldByWorker, Workers, joined, settings_of_worker
from sekisho.flows.receive import ReceiveSettings
from sekisho.host.clock import Clock
from sekisho.model.errors import Malformed
from sekisho.model.plain import from_plain, to_plain
from sekisho.model.policy import Unit
from sekisho.model.report import CollectorReport, ExporterReport, Histogram, Talker
from support_ring import has_ring

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from sekisho.flows.ring import Descriptors

# A worker that only counts datagrams by who sent them, and reports after each of them.
WORKER = """
import json, os, socket, sys
number, report, *fds = map(int, sys.argv[1:])
sock = socket.socket(fileno=fds[0])
sock.setblocking(True)
heard = {}
while True:
    told = {f"from.{address}": count for address, count in heard.items()}
    told |= {"pid": os.getpid() if number == 0 else 0, f"heard.{number}": sum(heard.values())}
    line = json.dumps({"name": f"c.{number}", "time": 1.0, "counters": told, "started": 1.0 + number})
    os.write(report, ("\\n" + line + "\\n").encode())
    address = sock.recvfrom(2048)[1][0]
    heard[address] = heard.get(address, 0) + 1
"""


# The same by its ring, without who sent them.
RING_WORKER = """
import json, os, socket, sys
from sekisho.flows.receive import Receiver, ReceiveSettings
from sekisho.flows.ring import Descriptors, Ring
number, report, sock, *ring = map(int, sys.argv[1:])
rings = [Ring(2048, taken=Descriptors(*ring))]
receiver = Receiver(ReceiveSettings(), [socket.socket(fileno=sock)], rings)
heard = 0
while True:
    told = {"pid": os.getpid() if number == 0 else 0, f"heard.{number}": heard}
    line = json.dumps({"name": f"c.{number}", "time": 1.0, "counters": told, "started": 1.0 + number})
    os.write(report, ("\\n" + line + "\\n").encode())
    receiver.wait(60.0)
    while burst := receiver.receive(0.0):
        heard += burst.count
"""


class Told:
    """A keeper that wakes up whoever waits for a report."""

    def __init__(self) -> None:
        self._told = threading.Condition()
        self.report = CollectorReport("", 0.0)

    def report_collector(self, report: CollectorReport) -> None:
        with self._told:
            self.report = report
            self._told.notify_all()

    def wait(self, fits: Callable[[CollectorReport], bool]) -> CollectorReport:
        with self._told:
            assert self._told.wait_for(lambda: fits(self.report), 60.0), self.report
            return self.report


@pytest.fixture
def keeper() -> Told:
    return Told()


@pytest.fixture
def workers(keeper: Told) -> Iterator[Workers]:
    def line(number: int, sockets: Sequence[int], rings: Sequence[object], report: int) -> list[str]:
        assert not rings
        return [sys.executable, "-c", WORKER, str(number), str(report), *map(str, sockets)]

    settings = CollectorSettings(
        "c",
        workers=2,
        report_every=0.01,
        receive=ReceiveSettings(ports=(0,), buffer=1 << 16, method="recvmmsg"),
    )
    made = Workers(settings, cast("Keeper", keeper), Clock(), line)
    thread = threading.Thread(target=made.run)
    thread.start()
    yield made
    made.stop.set()
    thread.join()


def send(workers: Workers, numbers: Sequence[int]) -> None:
    for number in numbers:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
            sender.bind((f"127.0.0.{number}", 0))
            sender.sendto(b"flow", workers.addresses[0])


def heard(report: CollectorReport) -> float:
    return sum(count for name, count in report.counters.items() if name.startswith("from."))


def test_all_workers_are_told_of_as_one(workers: Workers, keeper: Told) -> None:
    numbers = range(1, 41)
    send(workers, numbers)
    report = keeper.wait(lambda report: heard(report) == len(numbers))
    assert report.name == "c"
    assert report.started == 2.0  # the newest: hosts send it their templates again
    assert report.counters["workers"] == 2
    assert min(report.counters["heard.0"], report.counters["heard.1"]) >= 10


def test_a_worker_that_dies_comes_back_to_the_same_exporters(workers: Workers, keeper: Told) -> None:
    numbers = range(1, 21)
    send(workers, numbers)
    before = keeper.wait(lambda report: heard(report) == len(numbers))
    os.kill(int(before.counters["pid"]), 9)
    send(workers, numbers)  # the kernel keeps its share of them until it is back
    whole = before.counters["heard.0"] + 2 * before.counters["heard.1"]

    def all_heard(report: CollectorReport) -> bool:
        told = report.counters
        return told["workers.restarted"] == 1 and told["heard.0"] + told["heard.1"] == whole

    after = keeper.wait(all_heard)
    assert after.counters["heard.0"] == before.counters["heard.0"]
    assert after.counters["heard.1"] == 2 * before.counters["heard.1"]


@pytest.mark.skipif(not has_ring(), reason="the kernel shares no ring with whoever runs this")
def test_a_worker_that_dies_finds_in_its_ring_what_came_meanwhile(keeper: Told) -> None:
    def line(number: int, sockets: Sequence[int], rings: Sequence[Descriptors], report: int) -> list[str]:
        fds = [*sockets, *(fd for ring in rings for fd in ring)]
        return [sys.executable, "-c", RING_WORKER, str(number), str(report), *map(str, fds)]

    receive = ReceiveSettings(ports=(0,), buffer=1 << 20, method="ring")
    settings = CollectorSettings("c", workers=2, report_every=0.01, receive=receive)
    made = Workers(settings, cast("Keeper", keeper), Clock(), line)
    thread = threading.Thread(target=made.run)
    thread.start()
    try:
        numbers = range(1, 21)
        send(made, numbers)

        def both(report: CollectorReport) -> float:
            return report.counters.get("heard.0", 0) + report.counters.get("heard.1", 0)

        before = keeper.wait(lambda report: both(report) == len(numbers)).counters
        assert min(before["heard.0"], before["heard.1"]) >= 1
        os.kill(int(before["pid"]), 9)
        send(made, numbers)
        # Who came in its place counts from 0, and is given what the other one would have been.
        whole = before["heard.0"] + 2 * before["heard.1"]
        keeper.wait(lambda report: report.counters["workers.restarted"] == 1 and both(report) == whole)
    finally:
        made.stop.set()
        thread.join()


def test_a_silent_worker_is_counted(workers: Workers, keeper: Told) -> None:
    keeper.wait(lambda report: "workers" in report.counters)
    # Nobody sends anything, so that neither reports again.
    report = keeper.wait(lambda report: report.counters["workers.silent"] == 2)
    assert report.counters["workers"] == 2
    send(workers, range(1, 41))
    keeper.wait(lambda report: report.counters["workers.silent"] < 2)


class Set:
    """A clock that stands where it was set."""

    at = 1000.0

    def now(self) -> float:
        return self.at


def test_what_a_silent_worker_said_last_of_somebody_is_not_the_present(keeper: Told) -> None:
    clock = Set()
    settings = CollectorSettings("c", workers=2, receive=ReceiveSettings(ports=(0,), buffer=1 << 16))
    workers = Workers(settings, cast("Keeper", keeper), cast("Clock", clock), lambda *_: [])

    def hear(number: int) -> None:
        told = CollectorReport(f"c.{number}", clock.at, (), (Talker(f"vm{number}", 5.0),), (), {"rows": 7.0})
        workers._hear(number, json.dumps(to_plain(told)))

    def report() -> CollectorReport:
        found = workers.report()
        assert found is not None
        return found

    try:
        hear(0)
        hear(1)
        assert {talker.subject for talker in report().talkers} == {"vm0", "vm1"}
        clock.at += 60.0
        hear(1)
        assert {talker.subject for talker in report().talkers} == {"vm1"}
        assert report().counters["rows"] == 14.0  # totals stay
        hear(0)
        assert {talker.subject for talker in report().talkers} == {"vm0", "vm1"}
    finally:
        workers.close()
        for reading, _ in workers._pipes:
            os.close(reading)


def test_counters_are_added_up_but_for_what_all_have_in_common() -> None:
    one = CollectorReport(
        "c.0",
        5.0,
        (ExporterReport("192.0.2.1", "sflow"),),
        (Talker("a", 1.0, 2.0, 3.0, 4.0, 5.0), Talker("b", 7.0)),
        (25,),
        {
            "detect.rows": 3.0,
            "detect.subjects": 10.0,
            "engine.compiled": 1.0,
            "resolve.shared_exporters": 1.0,
        },
        1.0,
        ("192.0.2.9",),
        (Histogram("p", "scan-ports", Unit.COUNT, 60.0, 100.0, 5, 1, (0, 2, 1)),),
    )
    other = replace(
        one,
        exporters=(ExporterReport("192.0.2.2", "ipfix"),),
        talkers=(Talker("c", 9.0), Talker("a", 1.0, 1.0, 1.0, 1.0, 1.0)),
        exact_ports=(25, 587),
        counters={
            "detect.rows": 4.0,
            "detect.subjects": 10.0,
            "engine.compiled": 0.0,
            "resolve.shared_exporters": 2.0,
        },
    )
    report = joined("c", [one, other], 2, {"workers": 2.0})
    assert [each.address for each in report.exporters] == ["192.0.2.1", "192.0.2.2"]
    assert report.talkers == (Talker("a", 2.0, 3.0, 4.0, 5.0, 6.0), Talker("c", 9.0))
    assert report.exact_ports == (25, 587)
    assert report.addresses == ("192.0.2.9",)
    assert report.histograms == (Histogram("p", "scan-ports", Unit.COUNT, 60.0, 100.0, 5, 2, (0, 4, 2), 2),)
    assert report.counters == {
        "detect.rows": 7.0,
        "detect.subjects": 10.0,
        "engine.compiled": 0.0,
        "resolve.shared_exporters": 3.0,  # each exporter is one worker's
        "workers": 2.0,
    }


def test_a_worker_reports_in_lines_and_stops_when_left_behind(keeper: Told) -> None:
    reading, writing = os.pipe()
    stop = threading.Event()
    worker = ToldByWorker(cast("Keeper", keeper), writing, stop.set)
    report = CollectorReport("c.1", 3.0, (ExporterReport("192.0.2.1", "sflow"),), (Talker("a", 1.0),))
    for _ in range(2):
        worker.report_collector(report)
    empty, *lines = os.read(reading, 1 << 16).decode().splitlines()
    assert empty == ""
    assert [from_plain(CollectorReport, json.loads(line)) for line in lines] == [report, report]
    assert not stop.is_set()
    os.close(reading)
    worker.report_collector(report)
    assert stop.is_set()
    os.close(writing)


def test_a_worker_writes_for_the_archive_under_a_name_of_its_own() -> None:
    given = settings_of_worker(CollectorSettings("c", workers=3), 2)
    assert (given.name, given.workers) == ("c.2", 1)


@pytest.mark.parametrize("workers", [0, -1, 1000])
def test_a_number_of_workers_that_makes_no_sense_is_refused(workers: int) -> None:
    with pytest.raises(Malformed, match="workers"):
        CollectorSettings(workers=workers)


def test_exporters_are_shared_with_others_or_among_workers() -> None:
    with pytest.raises(Malformed, match=r"receive\.workers"):
        CollectorSettings(workers=2, receive=ReceiveSettings(workers=2))
