"""A heavy VM is warned, limited and freed by what a meter tells, over a real ledger, with time passed in."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import pytest

from sekisho.app.keeper import Keeper
from sekisho.app.keeper_process import metered
from sekisho.app.metering import Metering
from sekisho.app.settings import KeeperSettings
from sekisho.host.clock import Clock
from sekisho.ledger.ledger import Ledger
from sekisho.metering.counters import Counters
from sekisho.metering.meter import Meter, Round
from sekisho.metering.readings import Volumes
from sekisho.metering.settings import CounterSettings, MeteringSettings
from sekisho.model.access import Principal, Role
from sekisho.model.inventory import Host, HostReport, Subject
from sekisho.model.policy import (
    Condition,
    Direction,
    Mode,
    Police,
    Policy,
    Scope,
    Step,
    Threshold,
    Unit,
)
from sekisho.model.report import PortCounter
from sekisho.model.restriction import Restriction, State

AGENT = Principal("agent", Role.AGENT)
GB = 10**9
DAY = 86400.0
LIMIT = tuple(Police(20_000_000, d) for d in Direction)


def policy(name: str, gigabytes: float, *, warn: bool = False, lasts: float = 3600.0) -> Policy:
    line = Threshold(gigabytes * GB, DAY, Unit.BYTES)
    return Policy(
        name,
        (Condition("metered-bytes", line, gigabytes * 0.9 * GB),),
        (Step(() if warn else LIMIT, DAY if warn else lasts),),
        Mode.ENFORCE,
        Scope(flavors=("small",)),
        memory=DAY,
        backoff=1.0,
    )


POLICIES = (policy("at-80", 40, warn=True), policy("at-90", 45, warn=True), policy("full", 50))


@dataclass
class Told:
    """A meter that says what a test wants it to."""

    volumes_of: dict[str, float] = field(default_factory=dict)
    round: Round = field(default_factory=Round)

    def read(self, _subjects: Sequence[Subject], _now: float) -> Round:
        return self.round

    def volumes(self, window: float, now: float) -> Volumes:
        names = tuple(self.volumes_of)
        half = np.tile(np.array([v / 2 for v in self.volumes_of.values()]), (2, 1))
        times = np.full(len(names), now)
        count = np.full(len(names), 288)
        return Volumes(names, now - window, now, half, half * 0.99, half * 1.01, times, times, count)


class Office:
    """A keeper over a real ledger and a meter, and time in the test's hands."""

    def __init__(
        self, folder: Path, policies: tuple[Policy, ...] = POLICIES, meter: Meter | None = None
    ) -> None:
        self.up = 1000.0
        self.ledger = Ledger(folder / "ledger.db")
        clock = Clock(lambda: 1e9 + self.up, lambda: self.up, "boot")
        self.keeper = Keeper(KeeperSettings(), self.ledger, clock, lambda: (policies, ()))
        self.meter = Told()
        self.metering = Metering(MeteringSettings("counters"), self.keeper, meter or self.meter)
        self.report()

    def report(self) -> None:
        here = (Subject("vm", "h1", flavor="small"), Subject("other", "h1", flavor="large"))
        self.keeper.report_host(AGENT, HostReport(Host("h1"), here))

    @property
    def now(self) -> float:
        return 1e9 + self.up

    def go(self, seconds: float, **gigabytes: float) -> None:
        """Let time pass, with a round every minute, of a long while every ten."""
        self.meter.volumes_of = {k: v * GB for k, v in gigabytes.items()}
        step = 60 if seconds <= 7200 else 600
        for _ in range(int(seconds // step)):
            self.up += step
            self.keeper.tick()
            self.metering.round(self.now)

    def entries(self, name: str) -> tuple[Restriction, ...]:
        return self.keeper.restrictions("", name, (), 50, "").items

    def active(self, name: str) -> bool:
        return any(r.state is State.ACTIVE for r in self.entries(name))


@pytest.fixture
def office(tmp_path: Path) -> Iterator[Office]:
    made = Office(tmp_path)
    yield made
    made.ledger.close()


def test_warned_at_80_and_90_limited_at_100_freed_when_the_window_has_cooled(office: Office) -> None:
    office.go(3600, vm=39)
    assert not office.active("at-80")
    office.go(3600, vm=42)
    assert [r.actions for r in office.entries("at-80")] == [()]
    assert not office.active("at-90")
    office.go(3600, vm=47)
    assert office.active("at-90")
    assert not office.active("full")
    office.go(60, vm=52)
    (full,) = office.entries("full")
    assert full.actions == LIMIT
    assert "metered-bytes 52 GB" in full.reason
    office.go(6 * 3600, vm=48)
    assert office.active("full"), "not clear of the line yet"
    office.go(3600 + 120, vm=30)
    assert not office.active("full")


def test_a_warning_is_told_once_in_its_window(office: Office) -> None:
    office.go(12 * 3600, vm=42)
    assert len(office.entries("at-80")) == 1
    (warned,) = office.entries("at-80")
    told = [e.verb for e in office.keeper.journal(warned.id, "", 100, "").items]
    assert told == ["impose"]


def test_freed_at_a_fixed_time_where_the_policy_says_so(tmp_path: Path) -> None:
    fixed = replace(policy("full", 50, lasts=DAY), extend=False)
    office = Office(tmp_path, (fixed,))
    office.go(60, vm=60)
    (full,) = office.entries("full")
    office.go(DAY - 600, vm=60)
    assert office.entries("full")[0].until == full.until
    assert office.active("full")
    office.go(660, vm=10)
    assert not office.active("full")
    office.ledger.close()


def test_whoever_is_out_of_scope_is_left_alone(office: Office) -> None:
    office.go(600, other=900)
    assert not office.entries("full")


def test_only_what_is_surely_over_the_line_counts(office: Office) -> None:
    office.go(600, vm=50.2)
    assert not office.entries("full"), "the lower bound is 49.7 GB"


def test_whoever_has_no_numbers_is_neither_bound_nor_freed(office: Office) -> None:
    office.go(60, vm=60)
    office.meter.round = Round(0, 1, 3, ("Gnocchi: 503",))
    office.go(1800)
    assert office.active("full")
    (sentence,) = [s for s in office.keeper.status().degraded if "metering" in s]
    assert "1 ports could not be read: Gnocchi: 503" in sentence
    assert office.keeper.totals["metering_failed_total"] == 30
    office.go(120, vm=60)
    assert len(office.entries("full")) == 1


def test_without_a_policy_nothing_is_read(tmp_path: Path) -> None:
    office = Office(tmp_path, ())
    office.go(60)
    assert "metering_rounds_total" not in office.keeper.totals
    office.ledger.close()


@pytest.mark.parametrize(("mode", "said"), [(Mode.WATCH, 0), (Mode.PROPOSE, 1), (Mode.ENFORCE, 1)])
def test_a_policy_that_is_to_act_by_volumes_nobody_measures_needs_a_person(
    tmp_path: Path, mode: Mode, said: int
) -> None:
    office = Office(tmp_path, (replace(policy("full", 50), mode=mode),))
    assert metered(KeeperSettings(), office.keeper) is None
    found = [s for s in office.keeper.status().degraded if "keeper.metering.source" in s]
    assert len(found) == said
    assert all("policy full" in sentence for sentence in found)
    office.ledger.close()


def test_counters_of_hosts_bind_a_heavy_vm_and_its_day_passes(tmp_path: Path) -> None:
    meter = Counters(CounterSettings(), tmp_path / "counters.db")
    office = Office(tmp_path, (policy("full", 50),), meter)
    office.keeper.counters = meter
    sent = 0
    for minute in range(200):
        sent += GB if 10 <= minute < 70 else 0
        office.keeper.report_counters(AGENT, "h1", (PortCounter("vm", "if1", sent, 0),))
        office.go(60)
    (full,) = office.entries("full")
    assert full.state is State.ACTIVE
    assert full.created - 1e9 < 1000 + 72 * 60
    for _ in range(24 * 12):
        office.keeper.report_counters(AGENT, "h1", (PortCounter("vm", "if1", sent, 0),))
        office.go(240)
        office.report()
        office.up += 60
    assert not office.active("full")
    assert len(office.entries("full")) == 1
    office.ledger.close()
