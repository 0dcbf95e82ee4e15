"""The switch in memory keeps the rules of real ones, and fails as it is told to."""

from __future__ import annotations

from dataclasses import replace

import pytest

from sekisho.devices.switch.driver import Abilities, Account, Step
from sekisho.devices.switch.intent import (
    KINDS,
    Acl,
    Facts,
    Feature,
    Key,
    Lacp,
    Part,
    Port,
    State,
    Svi,
    Vlan,
    Vrf,
    parts,
)
from sekisho.model.errors import NotFound, Refused, Unavailable, Unsupported
from sekisho.testing.switch import ALL_KINDS, Fault, MemorySwitch
from sekisho.testing.switch_rules import whole

FACTS = Facts("leaf-1", "memory", "1", "1")
MAKE = Step(None, Vlan(10, "web", 0))
NAME = Step(Vlan(10, "web", 0), Vlan(10, "front", 0))


def switch(*given: Part, faults: tuple[Fault, ...] = (), timer: bool = False) -> MemorySwitch:
    standing = parts(Vlan(1, "default", 0), whole(Port("Ethernet1/1")), whole(Port("Ethernet1/2")), *given)
    return MemorySwitch(State(FACTS, standing), Abilities(frozenset(KINDS), timer=timer), faults)


def has(device: MemorySwitch, key: Key) -> bool:
    return key in device.state.parts


def test_what_is_not_told_is_as_usual() -> None:
    device = switch()
    device.apply((Step(None, Vlan(10)), Step(None, Port("port-channel1"))))
    assert device.read().parts["vlan", "10"] == Vlan(10, "VLAN0010", 0)
    made = device.read().parts["port", "port-channel1"]
    assert isinstance(made, Port)
    assert (made.allowed, made.lacp, made.members, made.channel) == ("1-4094", Lacp.ON, (), None)


def test_members_have_what_their_channel_has() -> None:
    device = switch(whole(Port("port-channel1", allowed="10")))
    device.apply((Step(Port("port-channel1", members=()), Port("port-channel1", members=("Ethernet1/1",))),))
    device.apply((Step(Port("port-channel1", allowed="10"), Port("port-channel1", allowed="20")),))
    now = device.state.parts["port", "Ethernet1/1"]
    assert isinstance(now, Port)
    assert (now.allowed, now.channel) == ("20", "port-channel1")
    device.apply((Step(now, replace(now, channel="")),))
    assert getattr(device.state.parts["port", "port-channel1"], "members", None) == ()


@pytest.mark.parametrize(
    "step",
    [
        Step(None, Vlan(4000)),
        Step(Vlan(99, "x"), Vlan(99, "y")),
        Step(Vlan(1), None),
        Step(None, Vlan(11, "default")),
        Step(None, Port("Ethernet1/9")),
        Step(Port("Ethernet1/1"), None),
        Step(Port("Ethernet1/1", acl4_in=""), Port("Ethernet1/1", acl4_in="no")),
        Step(None, Svi(1)),
        Step(Acl(4, "bound"), None),
        Step(Vrf("red"), None),
        Step(Port("port-channel2", lacp=Lacp.ON), Port("port-channel2", lacp=Lacp.PASSIVE)),
        Step(Port("Ethernet1/2", channel="port-channel2"), Port("Ethernet1/2", channel="port-channel3")),
        Step(None, Port("port-channel4", members=("Ethernet1/9",))),
    ],
    ids=str,
)
def test_it_refuses_what_real_switches_refuse(step: Step) -> None:
    device = switch(
        Feature("svi", enabled=False),
        Feature("lacp", enabled=True),
        Acl(4, "bound", ()),
        Vrf("red", ""),
        whole(Port("port-channel2", members=("Ethernet1/2",))),
        whole(Port("port-channel3", acl4_in="bound")),
        whole(Port("Ethernet1/2", channel="port-channel2")),
        whole(Svi(5, vrf="red")),
    )
    before = device.state
    with pytest.raises(Refused):
        device.apply((step,))
    assert device.state.parts == before.parts


def test_a_feature_that_is_turned_off_takes_what_it_brought_along() -> None:
    device = switch(Feature("svi", enabled=True), whole(Svi(1)))
    device.apply((Step(Feature("svi", enabled=True), Feature("svi", enabled=False)),))
    assert not has(device, ("svi", "1"))


def test_a_refused_stage_is_half_done() -> None:
    device = switch()
    with pytest.raises(Refused):
        device.apply((MAKE, Step(None, Vlan(4000))))
    assert has(device, ("vlan", "10"))


@pytest.mark.parametrize(
    ("fault", "done"),
    [
        (Fault("apply", Unavailable("x")), False),
        (Fault("apply", Unavailable("x"), done=1), True),
        (Fault("apply", Unavailable("x"), after=True), True),
        (Fault("apply", Refused("x"), number=2), True),
    ],
    ids=str,
)
def test_a_fault_comes_when_and_as_it_is_told(fault: Fault, done: bool) -> None:  # noqa: FBT001
    device = switch(faults=(fault,))
    if fault.number == 2:
        device.apply((MAKE,))
    with pytest.raises(type(fault.error)):
        device.apply(() if has(device, ("vlan", "10")) else (MAKE,))
    assert has(device, ("vlan", "10")) is done


def test_a_switch_that_is_gone_answers_nothing_until_it_comes_back() -> None:
    device = switch(faults=(Fault("read", Unavailable("x"), gone=True),))
    for _ in range(2):
        with pytest.raises(Unavailable):
            device.read()
    device.come_back()
    assert device.read().facts == FACTS
    assert device.calls == ["read"] * 3


def test_it_goes_back_to_a_checkpoint_and_to_a_text() -> None:
    device = switch(faults=(Fault("rollback", Unavailable("x"), number=2, after=True),))
    before, text = device.state, device.running()
    device.checkpoint("here")
    device.apply((MAKE,))
    device.rollback("here")
    assert device.state == before
    device.apply((MAKE,))
    with pytest.raises(Unavailable):
        device.rollback("here")
    assert device.state == before
    device.apply((MAKE, NAME))
    device.restore(text)
    assert device.state == before
    assert device.checkpoints() == ("here",)
    device.forget("here")
    device.forget("here")
    with pytest.raises(NotFound):
        device.rollback("here")


def test_a_reboot_forgets_what_was_not_saved() -> None:
    device = switch()
    device.apply((MAKE,))
    device.save()
    device.apply((NAME,))
    device.checkpoint("here")
    device.reboot()
    assert device.state.parts["vlan", "10"] == Vlan(10, "web", 0)
    assert device.checkpoints() == ()


def test_it_goes_back_by_itself_unless_it_is_told_to_stay() -> None:
    device = switch(timer=True)
    device.arm(30)
    device.apply((MAKE,))
    device.expire()
    assert not has(device, ("vlan", "10"))
    device.arm(30)
    device.apply((MAKE,))
    device.disarm()
    device.expire()
    assert has(device, ("vlan", "10"))
    with pytest.raises(Unsupported):
        switch().arm(30)


def test_what_somebody_does_by_hand_stands_in_its_book() -> None:
    device = switch()
    by = Account(100.0, "eve", "10.0.0.9", "vlan 10")
    device.by_hand(by, MAKE)
    assert has(device, ("vlan", "10"))
    assert (device.accounts(100.0), device.accounts(100.1)) == ((by,), ())


def test_what_is_sent_is_shown_without_secrets() -> None:
    (sent,) = MemorySwitch(can=ALL_KINDS).render((MAKE,))
    assert (sent.how, sent.shown) == ("memory", "VLAN 10: new, name web")
