"""Real traffic over a real port: our counters, and the same pushed as Ceilometer does, tell the same day."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from sekisho.devices.vswitch.counters import read_counters
from sekisho.lab.openstack.shell import wait
from sekisho.metering.counters import Counters
from sekisho.metering.gnocchi import Gnocchi
from sekisho.metering.settings import CounterSettings, GnocchiSettings
from sekisho.model.errors import Unavailable
from sekisho.model.inventory import Subject
from sekisho.testing.meter import FakeGnocchi
from support_ovs import plug

if TYPE_CHECKING:
    from sekisho.lab.ovs import PrivateSwitch
    from sekisho.metering.meter import Meter
    from sekisho.model.report import PortCounter

pytestmark = pytest.mark.ovs

NOW = 20_000 * 86400.0 + 10


def told(switch: PrivateSwitch, who: Subject) -> PortCounter:
    (counter,) = read_counters(f"{switch.folder}/db.sock", [who])
    return counter


def reached(switch: PrivateSwitch, who: Subject, egress: int) -> bool:
    return told(switch, who).egress >= egress


def volume(meter: Meter, who: Subject, now: float) -> float:
    volumes = meter.volumes(86400.0, now)
    return float(volumes.estimate[0, volumes.subjects.index(who.id)])


def test_both_sources_agree_on_real_traffic(switch: PrivateSwitch, bridge: str, tmp_path: Path) -> None:
    first, second = plug(switch, 1), plug(switch, 2)
    who = Subject("port-1", "h1", server="s1", bridge=bridge, interface=_interface(switch, "port-1"))
    fake = FakeGnocchi()
    fake.add("r", f"tap{who.id}"[:14], "s1")
    counters, gnocchi = (
        Counters(CounterSettings(), tmp_path / "counters.db"),
        Gnocchi(GnocchiSettings(), fake),
    )
    before = told(switch, who)
    now = NOW
    for _ in range(2):
        counter = told(switch, who)
        counters.take("h1", [counter], now)
        counters.read([who], now)
        fake.push("r", {now: (float(counter.egress), float(counter.ingress))})
        switch.run(first.name, ["ping", "-q", "-f", "-c", "500", "-s", "1400", "10.0.0.2"])
        wait(partial(reached, switch, who, counter.egress + 500 * 1400), "the counters", 15.0)
        now += 300
    last = told(switch, who)
    counters.take("h1", [last], now)
    counters.read([who], now)
    fake.push("r", {now: (float(last.egress), float(last.ingress))})
    gnocchi.read([who], now)
    real = last.egress - before.egress
    assert real >= 500 * 1400
    assert volume(counters, who, now) == pytest.approx(real, rel=0.01)
    assert volume(gnocchi, who, now) == pytest.approx(real, rel=0.01)
    assert second.name


def test_whoever_has_no_interface_is_left_out(switch: PrivateSwitch, bridge: str) -> None:
    assert bridge
    assert read_counters(f"{switch.folder}/db.sock", [Subject("x", "h1", interface="nobody's")]) == ()


def test_a_switch_that_is_away_is_unavailable(tmp_path: Path) -> None:
    with pytest.raises(Unavailable):
        read_counters(str(tmp_path / "db.sock"), [], 1.0)


def _interface(switch: PrivateSwitch, port: str) -> str:
    return switch.vsctl(
        "--bare", "--columns=name", "find", "Interface", f"external_ids:iface-id={port}"
    ).strip()
