"""Volumes from port counters: resets, ports plugged anew, moves between hosts, gaps, restarts."""

from __future__ import annotations

from pathlib import Path

import pytest

from sekisho.metering.counters import Counters
from sekisho.metering.settings import CounterSettings
from sekisho.model.errors import Unavailable
from sekisho.model.inventory import Subject
from sekisho.model.report import PortCounter

DAY = 86400.0
START = 20_000 * DAY
VM = Subject("vm", "h1")


class Told:
    """A meter and a clock, and hosts that tell counters every minute."""

    def __init__(self, path: Path) -> None:
        self.path = path / "counters.db"
        self.meter = Counters(CounterSettings(), self.path)
        self.now = START

    def tell(self, egress: int, ingress: int = 0, host: str = "h1", interface: str = "if1") -> None:
        self.meter.take(host, [PortCounter("vm", interface, egress, ingress)], self.now)
        self.meter.read([VM], self.now)

    def wait(self, seconds: float) -> None:
        self.now += seconds

    def restart(self) -> None:
        self.meter = Counters(CounterSettings(), self.path)

    def day(self, way: int = 0) -> float:
        volumes = self.meter.volumes(DAY, self.now)
        assert volumes.subjects == ("vm",)
        lower, estimate, upper = (float(c[way, 0]) for c in (volumes.lower, volumes.estimate, volumes.upper))
        assert lower <= estimate <= upper
        return upper


@pytest.fixture
def told(tmp_path: Path) -> Told:
    return Told(tmp_path)


def test_what_a_counter_grows_by_is_counted(told: Told) -> None:
    for minute in range(61):
        told.tell(10**12 + minute * 100, 5 * minute)
        told.wait(60)
    assert told.day() == 6000
    assert told.day(1) == 300


def test_a_counter_that_begins_anew_counts_what_it_shows(told: Told) -> None:
    for egress in (1000, 1500, 200, 300):
        told.tell(egress)
        told.wait(300)
    assert told.day() == 800


def test_a_reset_within_one_period_is_seen_too(told: Told) -> None:
    for egress in (1000, 1500, 200, 300, 400):
        told.tell(egress)
        told.wait(60)
    told.wait(300)
    told.tell(400)
    assert told.day() == 900


def test_a_port_plugged_anew_counts_from_nothing(told: Told) -> None:
    told.tell(1000)
    told.wait(300)
    told.tell(2000)
    told.wait(300)
    told.tell(5000, interface="if2")
    assert told.day() == 6000


def test_a_move_counts_on_both_hosts_once(told: Told) -> None:
    told.tell(1000)
    told.wait(300)
    told.tell(1700)
    told.tell(100, host="h2", interface="x")
    told.wait(300)
    told.tell(1800)
    told.tell(400, host="h2", interface="x")
    told.wait(300)
    told.tell(600, host="h2", interface="x")
    assert told.day() == 800 + 600


def test_a_counter_of_last_year_is_not_todays(told: Told) -> None:
    told.tell(1000)
    told.wait(7200)
    told.tell(10**15, host="h2", interface="x")
    told.wait(300)
    told.tell(10**15 + 50, host="h2", interface="x")
    assert told.day() == 50


def test_an_agent_that_was_away_loses_nothing(told: Told) -> None:
    told.tell(1000)
    told.wait(300)
    told.tell(1100)
    told.wait(6 * 3600)
    told.tell(9100)
    told.wait(300)
    told.tell(9100)
    assert told.day() == 8100


def test_whoever_is_not_told_lately_is_not_judged(told: Told) -> None:
    told.tell(1000)
    told.wait(3600)
    assert len(told.meter.volumes(DAY, told.now)) == 0
    assert told.meter.read([VM], told.now).failed == 1


def test_a_restart_forgets_nothing(told: Told) -> None:
    for egress in (0, 1000, 2000, 3000):
        told.tell(egress)
        told.wait(300)
    told.restart()
    told.tell(5000)
    told.wait(300)
    told.tell(5000)
    assert told.day() == 5000


@pytest.mark.parametrize("since", [10.0, 400.0])
def test_what_was_told_since_the_last_reading_is_kept_at_the_end(told: Told, since: float) -> None:
    told.tell(1000)
    told.wait(300)
    told.tell(1500)
    told.wait(since)
    told.meter.take("h1", [PortCounter("vm", "if1", 1700, 0)], told.now)
    assert told.meter.close(told.now) == ()
    told.restart()
    assert told.day() == 700
    told.wait(300)
    told.tell(1800)
    assert told.day() == 800


def test_a_disk_that_refuses_at_the_end_is_told(told: Told) -> None:
    told.tell(1000)
    told.path.unlink()
    told.path.mkdir()
    assert "counters.db" in told.meter.close(told.now)[0]


def test_a_day_later_nothing_is_left(told: Told) -> None:
    told.tell(0)
    told.wait(300)
    told.tell(10**9)
    for _ in range(25):
        told.wait(3600)
        told.tell(10**9)
    assert told.day() == 0


def test_a_disk_that_refuses_is_told_and_counting_goes_on(told: Told) -> None:
    told.tell(0)
    told.wait(300)
    told.path.unlink()
    told.path.with_name("counters.db-wal").unlink(missing_ok=True)
    told.path.mkdir()
    told.meter.take("h1", [PortCounter("vm", "if1", 70, 0)], told.now)
    assert told.meter.read([VM], told.now).problems
    told.wait(300)
    told.tell(70)
    assert told.day() == 70


def test_a_file_that_cannot_be_opened_is_unavailable(tmp_path: Path) -> None:
    with pytest.raises(Unavailable):
        Counters(CounterSettings(), tmp_path)
