"""Volumes from a real Gnocchi, measures pushed to it as Ceilometer does.

With SEKISHO_GNOCCHI a Gnocchi with ``auth_mode = basic`` at that address is asked instead of the stack's.
"""

from __future__ import annotations

import os
import uuid
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from sekisho.devices.vswitch.counters import read_counters
from sekisho.lab.openstack.shell import wait
from sekisho.lab.openstack.stack import Stack
from sekisho.metering.counters import Counters
from sekisho.metering.door import Basic, Door
from sekisho.metering.gnocchi import Gnocchi
from sekisho.metering.readings import Volumes
from sekisho.metering.settings import CounterSettings, GnocchiSettings
from sekisho.model.errors import SekishoError
from sekisho.model.inventory import Subject
from sekisho.testing import contract_meter
from sekisho.testing.contract_meter import DAY, STEP, Rig, near, one, steady, subject
from support_ceilometer import Ceilometer, OverStack
from support_stream import pour

pytestmark = [pytest.mark.ovs, pytest.mark.timeout(300)]

NOW = 20_000 * DAY + 10.0


class OverGnocchi:
    """The contract's rig over the real thing."""

    now = NOW

    def __init__(self, ceilometer: Ceilometer, **settings: Any) -> None:
        self.ceilometer = ceilometer
        # In each round, for here no time passes between two of them.
        self.meter = Gnocchi(GnocchiSettings(refresh=0.0, **settings), ceilometer.door)

    def play(self, polled: Mapping[Subject, Mapping[float, tuple[int, int]]]) -> None:
        for who, measures in polled.items():
            self.ceilometer.push(who, measures)
        self.read(*polled)

    def read(self, *subjects: Subject) -> None:
        self.ceilometer.settle()
        told = self.meter.read(subjects, self.now)
        assert (told.failed, told.problems) == (0, ())

    def volumes(self, window: float) -> Volumes:
        return self.meter.volumes(window, self.now)


@pytest.fixture(scope="session")
def door(request: pytest.FixtureRequest) -> Door:
    url = os.environ.get("SEKISHO_GNOCCHI")
    return Basic(url, "admin", 30.0) if url else OverStack(request.getfixturevalue("stack"))


@pytest.fixture
def ceilometer(door: Door) -> Iterator[Ceilometer]:
    made = Ceilometer(door)
    made.prepare()
    yield made
    made.clear()


@pytest.fixture
def rig(ceilometer: Ceilometer) -> OverGnocchi:
    return OverGnocchi(ceilometer)


@pytest.mark.parametrize("check", contract_meter.CHECKS, ids=lambda c: c.__name__)
def test_meter(rig: OverGnocchi, check: Callable[[Rig], None]) -> None:
    check(rig)


@pytest.mark.parametrize("policy", ["ceilometer-low", "ceilometer-low-rate", "two-granularities"])
def test_whatever_the_archive_policy(rig: OverGnocchi, policy: str) -> None:
    who = subject(1)
    rig.ceilometer.push(who, steady(rig, 10_000, 30_000), policy)
    rig.read(who)
    assert near(one(rig, who, 0), 288 * 10_000)
    assert near(one(rig, who, 1), 288 * 30_000)


@pytest.mark.parametrize("samples", [2, 5])
def test_several_samples_in_a_period(rig: OverGnocchi, samples: int) -> None:
    who = subject(1)
    step = STEP / samples
    told = {NOW - DAY - STEP + i * step: (i * 1000, 0) for i in range(int((DAY + STEP) / step) + 1)}
    rig.ceilometer.push(who, told)
    rig.read(who)
    assert near(one(rig, who, 0), 288 * samples * 1000)


def test_measures_that_come_late(rig: OverGnocchi) -> None:
    who = subject(1)
    told = steady(rig, 10_000, 0)
    late = {m: told.pop(m) for m in sorted(told)[-4:-1]}
    rig.play({who: told})
    before = one(rig, who, 0)
    rig.ceilometer.push(who, late)
    rig.read(who)
    assert near(one(rig, who, 0), before)
    assert near(before, 288 * 10_000)


def test_an_interface_that_moved_to_another_server(rig: OverGnocchi) -> None:
    who = subject(1)
    told = steady(rig, 10_000, 0)
    moments = sorted(told)
    rig.ceilometer.push(who, {m: told[m] for m in moments[:200]}, server=uuid.uuid4().hex)
    rig.ceilometer.push(who, {m: (told[m][0] - told[moments[199]][0], 0) for m in moments[199:]})
    rig.read(who)
    assert near(one(rig, who, 0), 288 * 10_000)


def test_several_ports_of_one_server(rig: OverGnocchi) -> None:
    server = uuid.uuid4().hex
    first, second = (Subject(subject(n).id, "h1", server=server) for n in (1, 2))
    rig.play({first: steady(rig, 1000, 0), second: steady(rig, 5000, 0)})
    assert near(one(rig, first, 0), 288 * 1000)
    assert near(one(rig, second, 0), 288 * 5000)


def test_a_granularity_that_one_port_has_not_costs_only_that_port(rig: OverGnocchi) -> None:
    good, odd = subject(1), subject(2)
    rig.ceilometer.push(good, steady(rig, 1000, 0))
    rig.ceilometer.push(odd, steady(rig, 1000, 0), "by-the-hour")
    rig.ceilometer.settle()
    told = rig.meter.read((good, odd), NOW)
    assert (told.read, told.failed) == (1, 1)
    assert rig.volumes(DAY).subjects == (good.id,)


def test_many_pages_and_chunks(ceilometer: Ceilometer) -> None:
    rig = OverGnocchi(ceilometer, page=3, chunk=2)
    subjects = [subject(n) for n in range(1, 8)]
    rig.play({s: steady(rig, 1000 * n, 0) for n, s in enumerate(subjects, 1)})
    for n, each in enumerate(subjects, 1):
        assert near(one(rig, each, 0), 288 * 1000 * n)


def test_a_gnocchi_that_is_away_is_said_and_nobody_is_judged() -> None:
    meter = Gnocchi(GnocchiSettings(), Basic("http://127.0.0.1:9", "admin", 2.0))
    told = meter.read((subject(1),), NOW)
    assert "127.0.0.1:9" in told.problems[0]
    assert len(meter.volumes(DAY, NOW)) == 0


def test_a_refusal_is_of_our_tree(door: Door) -> None:
    with pytest.raises(SekishoError):
        door.ask("POST", "/v1/aggregates", {}, {"operations": "(nonsense"})


@pytest.mark.usefixtures("tidy")
def test_both_sources_tell_the_same_of_a_port_of_neutrons(
    stack: Stack, ceilometer: Ceilometer, tmp_path: Path
) -> None:
    network, groups = stack.make.network(), [stack.make.open_group()]
    vm, sink = (stack.plug(stack.make.port(network, h, security_groups=groups)) for h in ("h1", "h2"))
    assert stack.pings(vm, sink.ipv4)
    who = Subject(vm.port, vm.host, server=vm.server, interface=vm.interface)
    counters = Counters(CounterSettings(), tmp_path / "counters.db")
    rig = OverGnocchi(ceilometer)
    database = f"{stack.hosts['h1'].switch.folder}/db.sock"
    (first,) = (last,) = read_counters(database, [who])

    def counted(least: int) -> bool:
        nonlocal last
        (last,) = read_counters(database, [who])
        return last.egress >= least

    for moment in (NOW - 2 * STEP, NOW - STEP, NOW):
        counters.take("h1", [last], moment)
        counters.read([who], moment)
        ceilometer.push(who, {moment: (last.egress, last.ingress)})
        if moment < NOW:
            pour(stack, vm, sink, 8.0, 1.0)
            wait(partial(counted, last.egress + 900_000), "the switch to count", 30.0)
    rig.read(who)
    real = last.egress - first.egress
    assert real > 1_800_000
    told = counters.volumes(DAY, NOW)
    assert float(told.estimate[0, told.subjects.index(who.id)]) == pytest.approx(real, rel=0.01)
    assert one(rig, who, 0) == pytest.approx(real, rel=0.01)
