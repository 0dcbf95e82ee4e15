"""What goes to the switch in OpenFlow's own words stands there just as ovs-ofctl would have written it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from sekisho.devices.vswitch import words
from sekisho.devices.vswitch.compile import CompileSettings, compile  # noqa: A004 - its name in that room
from sekisho.devices.vswitch.encode import Batch, Timed
from sekisho.devices.vswitch.ofctl import Ofctl, OfctlSettings
from sekisho.devices.vswitch.pipeline import Layout
from sekisho.devices.vswitch.program import Bound, Meter
from sekisho.devices.vswitch.wire import Wire
from sekisho.model.errors import Conflict, Refused, Unavailable
from sekisho.model.policy import Action, Direction, Drop, Police, Protocol
from support_ovs import bridge, switch
from support_vswitch import mac, subject

if TYPE_CHECKING:
    from pathlib import Path

    from sekisho.lab.ovs import PrivateSwitch

__all__ = ["bridge", "switch"]

pytestmark = [pytest.mark.ovs, pytest.mark.usefixtures("bridge")]

LAYOUT = Layout(60, 14)
RANGES = ((0, 0), (25, 25), (0, 1023), (1000, 1999))
ACTIONS: tuple[Action, ...] = (
    *(Drop(p, d, *r) for p in Protocol for d in Direction for r in RANGES if p is not Protocol.ICMP),
    *(Drop(Protocol.ICMP, d) for d in Direction),
    *(Police(rate * 1_000_000, d) for rate, d in enumerate(Direction, 3)),
)


@pytest.fixture
def wire(switch: PrivateSwitch) -> Wire:
    return Wire(f"{switch.folder}/br0.mgmt")


def test_every_kind_of_rule_and_meter_stands_as_ovs_ofctl_writes_it(
    switch: PrivateSwitch, wire: Wire
) -> None:
    # The first two share a MAC in two VLANs: rules that ask for the place too.
    subjects = subject(1, vlan=1), subject(2, mac=mac(1), vlan=2), subject(3)
    bounds = [Bound(f"r{s.id}", s.id, ACTIONS, 5000.0) for s in subjects]
    program = compile(subjects, bounds, (), (25,), CompileSettings(LAYOUT, exact_domain=0x8000_0077), 1000.0)
    numbers = {meter.key: 20_000 + n for n, meter in enumerate(program.meters)}
    rules = tuple(Timed(rule, words.cookie(rule, LAYOUT), 3600) for rule in program.rules)
    wire(Batch(LAYOUT, numbers, program.meters, (), rules))
    ofctl = Ofctl("br0", OfctlSettings(str(switch.folder)))
    lines = [
        f"{words.match_words(r, LAYOUT)},actions={words.action_words(r, LAYOUT, numbers)}"
        for r in program.rules
    ]
    wanted = dict(words.normal_forms(ofctl("parse-flows", "-", stdin="\n".join(lines) + "\n")))
    seen = [f for f in words.flows(ofctl("dump-flows", f"table={LAYOUT.table}")) if f.timeout == 3600]
    assert {f.place: f.actions for f in seen} == wanted
    assert {f.cookie for f in seen} == {timed.cookie for timed in rules}
    found = words.meters(ofctl("dump-meters"), "")
    assert {(m.number, m.rate, m.burst) for m in found.values() if m} == {
        (numbers[m.key], m.rate, m.burst) for m in program.meters
    }


def test_what_the_switch_refuses_is_told(wire: Wire) -> None:
    meter = Meter("k", 1000, 400)
    with pytest.raises(Conflict):
        wire(Batch(LAYOUT, {"k": 20_900}, (), (meter,)))
    program = compile(
        [subject(1)],
        [Bound("r1", "port-1", (Police(1_000_000, Direction.EGRESS),), 5000.0)],
        (),
        (),
        CompileSettings(LAYOUT),
        1000.0,
    )
    rules = tuple(Timed(rule, 1, 0) for rule in program.rules)
    with pytest.raises((Refused, Conflict)):
        wire(Batch(LAYOUT, {m.key: 20_901 for m in program.meters}, (), (), rules))


def test_a_bridge_that_speaks_other_versions_only_is_as_good_as_away(
    switch: PrivateSwitch, wire: Wire
) -> None:
    switch.vsctl("set", "Bridge", "br0", "protocols=OpenFlow15")
    try:
        with pytest.raises(Unavailable):
            wire(Batch(LAYOUT, {"k": 20_902}, (Meter("k", 1000, 400),)))
    finally:
        switch.vsctl("clear", "Bridge", "br0", "protocols")


def test_nobody_behind_the_socket_is_nobody_who_answers(tmp_path: Path) -> None:
    with pytest.raises(Unavailable):
        Wire(str(tmp_path / "br0.mgmt"))(Batch(LAYOUT, {}))
