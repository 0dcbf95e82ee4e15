"""The driver's two threads: one that looks at the whole bridge, one that binds a port ahead of it."""

from __future__ import annotations

import threading
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from sekisho.devices.vswitch.bridge import Bridge
from sekisho.devices.vswitch.openflow import Overtaken
from sekisho.devices.vswitch.program import Bound
from sekisho.model.errors import Refused, Unavailable
from sekisho.model.policy import Direction, Drop, Police, Protocol
from sekisho.testing.packets import TCP
from sekisho.testing.vswitch import FakeSwitch
from support_vswitch import FakeRig, mac, subject

if TYPE_CHECKING:
    from collections.abc import Callable

    from sekisho.devices.vswitch.encode import Batch

EGRESS = Direction.EGRESS
MAIL, SLOW = Drop(Protocol.TCP, EGRESS, 25), Police(1_000_000, EGRESS)
R1 = Bound("r1", "port-1", (MAIL, SLOW), 5000.0)


def hasten(rig: FakeRig, agent: Bridge, *bounds: Bound) -> bool:
    return agent.hasten(rig.subjects[0], rig.subjects, bounds or (R1,), (), (), rig.now)


class Between(FakeSwitch):
    """Lets something happen just before a command, once."""

    def __init__(self) -> None:
        self.before: dict[str, Callable[[], object]] = {}
        super().__init__()

    def __call__(self, command: str, *arguments: str, stdin: str = "", bundle: bool = False) -> str:
        self.before.pop(command, lambda: None)()
        return super().__call__(command, *arguments, stdin=stdin, bundle=bundle)


@pytest.mark.parametrize("moment", ["dump-meters", "dump-flows"])
def test_a_look_that_a_port_overtakes_changes_nothing(moment: str) -> None:
    rig = FakeRig()
    rig.switch = switch = Between()
    agent = rig.agent()
    other = Bound("r2", "port-2", (MAIL, SLOW), 5000.0)
    agent.carry(rig.subjects, [other], (), (), rig.now)
    switch.before[moment] = lambda: hasten(rig, agent)
    with pytest.raises(Overtaken):
        # It knows of no restriction at all, and would take away the one that has just been laid.
        agent.carry(rig.subjects, [], (), (), rig.now)
    assert not rig.sends(1, 3, protocol=TCP, dst_port=25)
    assert not rig.sends(2, 3, protocol=TCP, dst_port=25)
    assert agent.carry(rig.subjects, [R1, other], (), (), rig.now).changes == 0


def test_a_port_waits_for_what_is_being_written_and_for_no_more() -> None:
    rig = FakeRig()
    rig.switch = switch = Between()
    agent = rig.agent()
    agent.carry(rig.subjects, [], (), (), rig.now)
    done = threading.Event()
    early: list[bool] = []

    def bind() -> None:
        hasten(rig, agent)
        done.set()

    ahead = threading.Thread(target=bind)

    def begin() -> None:
        ahead.start()
        early.append(done.wait(0.05))

    switch.before["add-flows"] = begin
    agent.carry(rig.subjects, [Bound("r2", "port-2", (MAIL,), 5000.0)], (), (), rig.now)
    ahead.join(10.0)
    assert early == [False]
    assert done.is_set()


def test_the_book_says_whose_the_meter_is() -> None:
    rig = FakeRig()
    agent = rig.agent()
    agent.carry(rig.subjects, [], (), (), rig.now)
    hasten(rig, agent)
    assert '"port-1/egress/0":[20000,1000,600]' in rig.switch.external_ids["sekisho-meters"]
    # Whoever starts after a crash takes it for its own.
    rig.agent().carry(rig.subjects, [], (), (), rig.now)
    assert rig.ofctl("dump-meters") == ""


@pytest.mark.parametrize(
    "others",
    [
        [subject(2, mac=mac(1))],
        [subject(2, mac=mac(1), vlan=2)],
        [subject(2), subject(3, mac=mac(2), vlan=2)],
        [subject(2, ofport=1)],
    ],
)
def test_a_port_whose_rules_are_not_its_own_alone_waits_for_all(others: list[Any]) -> None:
    rig = FakeRig()
    rig.subjects = (subject(1), *others)
    agent = rig.agent()
    agent.carry(rig.subjects, [], (), (), rig.now)
    before = rig.switch.table_hash
    assert not hasten(rig, agent)
    assert rig.switch.table_hash == before


def test_a_port_that_has_no_ofport_yet_waits_for_all() -> None:
    rig = FakeRig()
    rig.subjects = (replace(subject(1), ofport=0), subject(2))
    agent = rig.agent()
    agent.carry(rig.subjects, [], (), (), rig.now)
    assert not hasten(rig, agent)


@pytest.mark.parametrize("fault", [Unavailable("away"), Refused("no")])
def test_where_nothing_lays_at_once_ovs_ofctl_does(fault: Exception) -> None:
    rig = FakeRig()
    tried: list[Batch] = []

    def lays(batch: Batch) -> None:
        tried.append(batch)
        raise fault

    agent = Bridge("br0", "h1", rig.switch, rig.settings, ofctl=rig.switch, lays=lays)
    assert agent.carry(rig.subjects, [R1], (), (), rig.now).receipts[0].in_force
    assert tried
    assert not rig.sends(1, 3, protocol=TCP, dst_port=25)


def test_meters_are_laid_before_the_rules_that_need_them() -> None:
    rig = FakeRig()
    laid: list[tuple[int, int, int]] = []

    def lays(batch: Batch) -> None:
        laid.append((len(batch.made), len(batch.altered), len(batch.rules)))

    agent = Bridge("br0", "h1", rig.switch, rig.settings, ofctl=rig.switch, lays=lays)
    agent.carry(rig.subjects, [], (), (), rig.now)
    hasten(rig, agent)
    (made, altered, none), (no, nor, rules) = laid
    assert (made, altered, none, no, nor) == (1, 0, 0, 0, 0)
    assert rules > 1
