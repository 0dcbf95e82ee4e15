"""What a plan puts at risk, and what is refused for it."""

from __future__ import annotations

from dataclasses import replace

import pytest

from sekisho.devices.switch.intent import (
    Ace,
    Acl,
    Feature,
    Intent,
    Part,
    Port,
    PortMode,
    Svi,
    Vlan,
    Vpc,
    parts,
)
from sekisho.devices.switch.plan import pair_risks
from sekisho.devices.switch.risk import RiskKind, pair
from sekisho.testing.switch import ALL_KINDS
from sekisho.testing.switch_rules import whole
from support_switch_plans import planned, risks, state, trunk


@pytest.mark.parametrize(
    ("said", "expected"),
    [
        (Port("Ethernet1/49", allowed="10,20,30"), ("uplink", False)),
        (Port("Ethernet1/49", allowed="10"), ("uplink", True)),
        (Port("Ethernet1/49", enabled=False), ("uplink", True)),
        (Port("Ethernet1/50", enabled=False), ("uplink", True)),
        (Port("port-channel5", mtu=9216), ("uplink", True)),
        (Port("port-channel9", allowed="10"), ("peer-link", True)),
        (Port("port-channel9", description="x"), ("peer-link", False)),
        (Svi(10, addresses=("10.0.0.2/24",)), ("cut-off", True)),
        (Svi(10, description="x"), ("management", False)),
        (Port("Ethernet1/48", allowed="20"), ("cut-off", True)),
        (Port("Ethernet1/48", allowed="10"), ("management", True)),
        (Acl(4, "guard", ()), ("management", True)),
        (Vpc(11), ("pair", True)),
        (Vpc(10, priority=1), ("pair", False)),
        (Feature("vxlan", enabled=False), ("feature-off", True)),
        (Port("Ethernet1/1", mode=PortMode.ACCESS, access=99), ("vlan-missing", False)),
        (Port("Ethernet1/1", mtu=9216), ("interrupts", False)),
    ],
    ids=str,
)
def test_what_is_risked_is_named(said: Part, expected: tuple[str, bool]) -> None:
    found = planned(
        state(
            Vlan(10, "a", 0),
            Vlan(20, "b", 0),
            Vpc(10, "10.0.0.2", "10.0.0.1", "management", 100, False),
            trunk("Ethernet1/1", "20"),
            trunk("Ethernet1/48", "10,20", acl4_in="guard"),
            trunk("Ethernet1/49", "10,20"),
            trunk("Ethernet1/50", "10", channel="port-channel5"),
            trunk("port-channel5", "10", members=("Ethernet1/50",)),
            trunk("port-channel9", "10,20", peer_link=True),
            Acl(4, "guard", (Ace(10, permit=True, protocol="ip"),)),
            whole(Svi(10, addresses=("10.0.0.1/24",), enabled=True)),
        ),
        said,
        uplinks=frozenset({"Ethernet1/49", "port-channel5"}),
        management=frozenset({("svi", "10"), ("port", "Ethernet1/48")}),
    )
    assert expected in risks(found)
    assert bool(found.forbidden()) == expected[1]
    assert not found.forbidden({expected[0]})


@pytest.mark.parametrize(
    ("user", "risky"),
    [
        (replace(whole(Port("Ethernet1/1")), mode=PortMode.ACCESS, access=10), True),
        (trunk("Ethernet1/1", "10,20"), True),
        (trunk("Ethernet1/1", "1-4094"), False),
        (trunk("Ethernet1/1", "20"), False),
        (whole(Svi(10)), True),
    ],
    ids=["access", "trunk", "trunk of all", "another trunk", "svi"],
)
def test_a_vlan_that_is_used_is_not_removed_unless_allowed(user: Part, risky: bool) -> None:  # noqa: FBT001
    found = planned(state(Vlan(10, "a", 0), user), absent=frozenset({("vlan", "10")}))
    assert (("vlan-with-ports", True) in risks(found)) is risky


def test_a_vlan_on_the_way_to_the_switch_is_not_removed_unless_allowed() -> None:
    before = state(Vlan(10, "a", 0), whole(Svi(10)))
    gone = frozenset({("vlan", "10"), ("svi", "10")})
    found = planned(before, absent=gone, management=frozenset({("svi", "10")}))
    assert [r.key for r in found.forbidden() if r.kind is RiskKind.CUT_OFF] == [("svi", "10"), ("vlan", "10")]


def test_a_channel_on_the_way_to_the_switch_keeps_a_member_unless_allowed() -> None:
    before = state(
        trunk("port-channel1", "10", members=("Ethernet1/1", "Ethernet1/2")),
        trunk("Ethernet1/1", "10", channel="port-channel1"),
        trunk("Ethernet1/2", "10", channel="port-channel1"),
    )
    marks = {"management": frozenset({("port", "port-channel1")})}
    one = planned(before, Port("port-channel1", members=("Ethernet1/1",)), **marks)
    none = planned(before, Port("port-channel1", members=()), **marks)
    assert ("cut-off", True) not in risks(one)
    assert ("management", True) in risks(one)
    assert ("cut-off", True) in risks(none)


def test_both_of_a_pair_have_the_same_mtu() -> None:
    one = parts(trunk("port-channel1", "10", vpc=1), trunk("port-channel2", "10", peer_link=True), Vpc(10))
    other = parts(
        trunk("port-channel7", "10", vpc=1, mtu=9216), trunk("port-channel3", "20", peer_link=True), Vpc(11)
    )
    assert [(r.kind.value, r.forbidden, r.key) for r in pair(one, other)] == [
        ("pair", False, ("port", "port-channel2")),
        ("pair-mtu", True, ("port", "port-channel1")),
        ("pair", True, ("vpc",)),
    ]
    assert pair(one, one) == ()


def test_a_new_switch_of_a_pair_is_compared_by_what_is_usual() -> None:
    said = Port("port-channel7", mode=PortMode.TRUNK, vpc=1)
    there = parts(trunk("port-channel7", "1-4094", vpc=1))
    assert pair(parts(said), there) == ()
    jumbo = parts(trunk("port-channel7", "1-4094", vpc=1, mtu=9216))
    assert [r.sentence for r in pair(parts(said), jumbo)] == [
        "port port-channel7 (vPC 1): its MTU is 1500 here and 9216 on the other switch."
    ]
    assert [r.kind.value for r in pair(parts(replace(said, mode=None)), there)] == ["pair"]


def test_vlans_that_one_of_a_pair_would_have_alone_are_told_and_not_forbidden() -> None:
    link = trunk("port-channel1", "1-4094", peer_link=True)
    one, other = parts(Vlan(10), Vlan(20), Vlan(21), link), parts(Vlan(10), Vlan(30), link)
    assert [(r.kind.value, r.forbidden, r.sentence) for r in pair(one, other)] == [
        ("pair", False, "VLAN 20-21 would be on this switch alone: it is suspended on what the pair shares."),
        (
            "pair",
            False,
            "VLAN 30 would be on the other switch alone: it is suspended on what the pair shares.",
        ),
    ]
    narrow = trunk("port-channel1", "10", peer_link=True)
    assert pair(parts(Vlan(10), Vlan(20), narrow), parts(Vlan(10), narrow)) == ()
    assert pair(parts(Vlan(20)), parts()) == ()


def test_a_pair_is_compared_as_it_would_be_after_both_are_changed() -> None:
    one, other = state(trunk("port-channel1", "10", vpc=1)), state(trunk("port-channel7", "10", vpc=1))
    jumbo = [Intent("x", parts(Port(n, mtu=9216))) for n in ("port-channel1", "port-channel7")]
    alone = pair_risks((jumbo[0], one, ALL_KINDS), (Intent("other"), other, ALL_KINDS))
    assert [r.sentence for r in alone] == [
        "port port-channel1 (vPC 1): its MTU is 9216 here and 1500 on the other switch."
    ]
    assert pair_risks((jumbo[0], one, ALL_KINDS), (jumbo[1], other, ALL_KINDS)) == ()
