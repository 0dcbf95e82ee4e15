"""What a plan says: what is left alone, in which order, what it risks, and what it refuses."""

from __future__ import annotations

import time
from dataclasses import replace

import pytest

from sekisho.devices.switch import words
from sekisho.devices.switch.attach import Demand, cloud_only
from sekisho.devices.switch.document import Attach
from sekisho.devices.switch.driver import Abilities, Step
from sekisho.devices.switch.intent import (
    Ace,
    Acl,
    Community,
    Feature,
    Intent,
    Key,
    Lacp,
    Part,
    Port,
    PortMode,
    Route,
    State,
    Storm,
    Svi,
    Trap,
    User,
    Vlan,
    Vrf,
    parts,
)
from sekisho.devices.switch.plan import Plan, check, plan
from sekisho.model.attachment import HostVlan
from sekisho.model.errors import Malformed
from sekisho.testing.switch import ALL_KINDS
from sekisho.testing.switch_rules import whole
from support_switch_plans import FACTS, planned, risks, sentences, state, trunk

# What is left alone


def test_only_what_is_mentioned_changes() -> None:
    before = state(Vlan(10, "web", 10010), Vlan(20, "db", 0), trunk("Ethernet1/1", "10"))
    found = planned(before, Vlan(10, "front"))
    assert found.stages == ((Step(Vlan(10, "web", 10010), Vlan(10, "front", 10010)),),)


def test_owned_vlans_go_when_they_are_not_mentioned_and_others_stay() -> None:
    before = state(Vlan(10, "a", 0), Vlan(1000, "b", 0), Vlan(1001, "c", 0))
    assert sentences(planned(before, Vlan(1001), owned="1000-1999")) == [["VLAN 1000: removed"]]


def test_a_trunk_that_was_none_allows_of_other_vlans_what_is_said_and_no_default() -> None:
    before = state(replace(trunk("Ethernet1/1", "1-4094"), mode=PortMode.ACCESS), Vlan(1000, "x", 0))
    found = planned(before, Port("Ethernet1/1", mode=PortMode.TRUNK, allowed="1000", within="1000-1999"))
    assert getattr(found.steps[-1].after, "allowed", None) == "1000"


def test_single_storm_levels_leave_the_others_alone() -> None:
    before = state(trunk("Ethernet1/1", "1", storm=Storm(500, 600, 10000)))
    found = planned(before, Port("Ethernet1/1", storm=Storm(broadcast=150)))
    assert getattr(found.steps[0].after, "storm", None) == Storm(150, 600, 10000)


def test_lists_whose_order_says_nothing_are_the_same_in_another_order() -> None:
    before = state(
        trunk("port-channel1", "1", members=("Ethernet1/1", "Ethernet1/2")),
        trunk("Ethernet1/1", "1", channel="port-channel1"),
        trunk("Ethernet1/2", "1", channel="port-channel1"),
        Route("default", "0.0.0.0/0", ("10.0.0.2", "10.0.0.1"), 1),
    )
    assert not planned(
        before,
        Port("port-channel1", members=("Ethernet1/2", "Ethernet1/1")),
        Route("default", "0.0.0.0/0", ("10.0.0.1", "10.0.0.2")),
    )


def test_a_member_that_another_channel_claims_leaves_its_own() -> None:
    before = state(
        trunk("port-channel1", "1", members=("Ethernet1/1",)),
        trunk("port-channel2", "1"),
        trunk("Ethernet1/1", "1", channel="port-channel1"),
    )
    assert sentences(planned(before, Port("port-channel2", members=("Ethernet1/1",)))) == [
        ["port Ethernet1/1: leaves port-channel1", "port port-channel1: members -Ethernet1/1"],
        ["port Ethernet1/1: joins port-channel2", "port port-channel2: members +Ethernet1/1"],
    ]


# The order


def test_a_vlan_is_made_then_gained_then_lost_then_removed() -> None:
    before = state(
        Vlan(10, "a", 0), trunk("Ethernet1/1", "10"), trunk("Ethernet1/2", "10,30"), Vlan(30, "c", 0)
    )
    found = planned(
        before,
        Vlan(20, "b"),
        Port("Ethernet1/1", allowed="20"),
        Port("Ethernet1/2", allowed="30"),
        absent=frozenset({("vlan", "10")}),
    )
    assert sentences(found) == [
        ["VLAN 20: new, name b"],
        ["port Ethernet1/1: allowed +20"],
        ["port Ethernet1/1: allowed -10", "port Ethernet1/2: allowed -10"],
        ["VLAN 10: removed"],
    ]


def test_an_access_list_is_made_before_it_is_bound_and_unbound_before_it_goes() -> None:
    before = state(trunk("Ethernet1/1", "1", acl4_in="old"), Acl(4, "old", ()))
    found = planned(
        before,
        Acl(4, "new", (Ace(10, permit=True, protocol="ip"),)),
        Port("Ethernet1/1", acl4_in="new"),
        absent=frozenset({("acl", "4", "old")}),
    )
    assert sentences(found) == [
        ["access list new (IPv4): new, entries (10 permit ip any any)"],
        ["port Ethernet1/1: acl4 in old -> new"],
        ["access list old (IPv4): removed"],
    ]


def test_names_that_two_vlans_swap_are_given_up_first() -> None:
    before = state(Vlan(10, "a", 0), Vlan(20, "b", 0))
    assert sentences(planned(before, Vlan(10, "b"), Vlan(20, "a"))) == [
        ["VLAN 10: name a -> VLAN0010", "VLAN 20: name b -> VLAN0020"],
        ["VLAN 10: name VLAN0010 -> b", "VLAN 20: name VLAN0020 -> a"],
    ]


def test_an_svi_that_changes_its_vrf_is_without_addresses_for_a_stage() -> None:
    before = state(
        whole(Svi(10, vrf="red", addresses=("10.0.0.1/24", "10.0.1.1/24"))),
        whole(Svi(20, vrf="red")),
        Vrf("red", ""),
    )
    found = planned(
        before, Svi(10, vrf="default", addresses=("10.0.1.1/24",)), Svi(20, addresses=("10.0.0.1/24",))
    )
    assert sentences(found) == [
        ["interface of VLAN 10: vrf red -> default, addresses -10.0.0.1/24, 10.0.1.1/24"],
        ["interface of VLAN 10: addresses +10.0.1.1/24", "interface of VLAN 20: addresses +10.0.0.1/24"],
    ]


def test_an_empty_channel_has_the_lacp_mode_that_it_has() -> None:
    before = state(trunk("port-channel1", "1", lacp=Lacp.ON), trunk("Ethernet1/1", "1"))
    assert not planned(before, Port("port-channel1", lacp=Lacp.ACTIVE))
    found = planned(before, Port("port-channel1", lacp=Lacp.ACTIVE, members=("Ethernet1/1",)))
    assert sentences(found)[0] == ["port port-channel1: lacp on -> active"]


def test_next_hops_overlap_while_they_change() -> None:
    before = state(Route("default", "0.0.0.0/0", ("10.0.0.1",), 1))
    assert sentences(planned(before, Route("default", "0.0.0.0/0", ("10.0.0.2",)))) == [
        ["route 0.0.0.0/0 (VRF default): via +10.0.0.2"],
        ["route 0.0.0.0/0 (VRF default): via -10.0.0.1"],
    ]


def test_features_that_are_needed_are_turned_on_first() -> None:
    before = State(FACTS, parts(Feature("svi", enabled=False), Vlan(10, "a", 0)))
    assert sentences(planned(before, Vlan(10, vni=5), Svi(10))) == [
        ["feature svi: on", "feature vxlan: on"],
        ["VLAN 10: vni 0 -> 5"],
        ["interface of VLAN 10: new"],
    ]


def test_lacp_begins_only_while_the_channel_is_empty() -> None:
    before = state(
        trunk("port-channel1", "1", members=("Ethernet1/1",), lacp=Lacp.ON),
        trunk("Ethernet1/1", "1", channel="port-channel1"),
    )
    found = planned(before, Port("port-channel1", lacp=Lacp.ACTIVE))
    assert [stage[-1] for stage in sentences(found)] == [
        "port port-channel1: members -Ethernet1/1",
        "port port-channel1: lacp on -> active",
        "port port-channel1: members +Ethernet1/1",
    ]
    assert ("interrupts", False) in risks(found)


# What cannot be


@pytest.mark.parametrize(
    ("said", "marks", "problem"),
    [
        (Port("Ethernet1/99"), {}, "port Ethernet1/99: the switch has no such interface."),
        (Port("port-channel1", members=("Ethernet1/99",)), {}, "port port-channel1: its member Ethernet1/99"),
        (Feature("lapc", enabled=True), {}, "feature lapc: the switch has none of that name; did you mean"),
        (Vlan(4000), {}, "VLAN 4000: is one of 3968-4094"),
        (Port("Ethernet1/1", acl4_in="no"), {}, "port Ethernet1/1: needs access list no (IPv4)"),
        (Svi(10, vrf="no"), {}, "interface of VLAN 10: needs VRF no"),
        (Vlan(30, name="taken"), {}, "VLAN 20 and VLAN 30: both have the name taken"),
        (Port("Ethernet1/2", allowed="20"), {}, "port Ethernet1/2: is in port-channel2, whose settings hold"),
        (
            Port("port-channel2", peer_link=True, edge=True),
            {},
            "port port-channel2: is the peer link, behind",
        ),
        (Vlan(20), {"absent": frozenset({("vlan", "1")})}, "VLAN 1: cannot be removed"),
        (
            Vlan(20),
            {"absent": frozenset({("port", "Ethernet1/1")})},
            "port Ethernet1/1: an interface of the hard",
        ),
        (Vlan(20), {"absent": frozenset({("vrf", "red")})}, "route 10.0.0.0/8 (VRF red): needs VRF red"),
        (Svi(10), {"absent": frozenset({("feature", "svi")})}, "interface of VLAN 10: needs the feature svi"),
        (Vlan(20), {"uplinks": frozenset({"Ethernet1/99"})}, "port Ethernet1/99: is named under [protect]"),
        (
            Vlan(20),
            {"management": frozenset({("svi", "10")})},
            "interface of VLAN 10: is named under [protect]",
        ),
    ],
    ids=str,
)
def test_what_cannot_be_is_told_and_not_planned(said: Part, marks: dict[str, object], problem: str) -> None:
    before = state(
        Vlan(20, "taken", 0),
        Vrf("red", ""),
        Route("red", "10.0.0.0/8", ("discard",), 1),
        trunk("Ethernet1/1", "20"),
        trunk("Ethernet1/2", "10", channel="port-channel2"),
        trunk("port-channel2", "10", members=("Ethernet1/2",)),
    )
    with pytest.raises(Malformed) as told:
        planned(before, said, **marks)
    assert [p for p in told.value.problems if p.startswith(problem)]
    intent = replace(Intent("leaf-1", parts(said)), **marks)  # type: ignore[arg-type]
    assert check(intent, before, ALL_KINDS) == told.value.problems


def test_what_is_protected_may_be_to_come_to_go_or_be_told_by_others() -> None:
    before = state(Vlan(20, "db", 0), Svi(20))
    marks = {
        "uplinks": frozenset({"port-channel1"}),
        "management": frozenset({("svi", "20"), ("user", "central"), ("route", "default", "0.0.0.0/0")}),
    }
    gone = {"absent": frozenset({("svi", "20")})}
    assert planned(before, Port("port-channel1", description="new"), **marks)
    assert planned(before, Port("port-channel1", description="new"), **marks, **gone)
    after = state(Vlan(20, "db", 0), trunk("port-channel1", "1", description="new"))
    assert not planned(after, Port("port-channel1", description="new"), **marks, **gone)


def test_who_speaks_beside_a_file_does_not_wait_for_what_the_file_protects() -> None:
    before = state(trunk("Ethernet1/1", "1"))
    file = Intent(
        "leaf-1", parts(Port("port-channel9", description="up")), uplinks=frozenset({"port-channel9"})
    )
    cloud = cloud_only(
        file, Attach("10-19"), Demand({"a": (HostVlan(10, "net", "n"),)}, {"a": ("Ethernet1/1",)})
    )
    assert plan(cloud, before, ALL_KINDS)
    assert plan(file, before, ALL_KINDS)


def test_a_kind_that_the_switch_does_not_have_is_told() -> None:
    intent = Intent("r", parts(Vlan(10)))
    assert check(intent, State(FACTS), Abilities(frozenset({"route"}))) == (
        "vlan: this kind of switch has none that we can set.",
    )


def test_a_vlan_of_the_switch_s_own_range_that_is_there_may_be_named() -> None:
    assert not planned(state(Vlan(4000, "x", 0)), Vlan(4000))


# Plans that go stale, and secrets


def test_a_plan_is_the_same_as_long_as_what_it_rests_on_is() -> None:
    before = state(Vlan(10, "a", 0), trunk("Ethernet1/1", "10"))
    first = planned(before, Vlan(10, "b"))
    elsewhere = state(Vlan(10, "a", 0), trunk("Ethernet1/1", "10", description="moved"))
    there = state(Vlan(10, "c", 0), trunk("Ethernet1/1", "10"))
    assert planned(elsewhere, Vlan(10, "b")).fingerprint == first.fingerprint
    assert planned(there, Vlan(10, "b")).fingerprint != first.fingerprint
    assert planned(before, Vlan(10, "d")).fingerprint != first.fingerprint
    assert planned(before, Vlan(10, "b"), uplinks=frozenset({"Ethernet1/1"})).fingerprint != first.fingerprint
    assert replace(first, switch="other") != first


def with_secret(secret: str, key: bytes = b"") -> Plan:
    before = state(User("eve", "network-admin", "old"), Trap("10.0.0.1", "2c", "old", "default"))
    said = (Community(secret), User("eve", password=secret), Trap("10.0.0.1", community=secret))
    marks = frozenset({("community", secret), ("user", "eve")})
    return plan(Intent("leaf-1", parts(*said), management=marks), before, ALL_KINDS, key)


def test_secrets_are_neither_shown_nor_hashed_without_a_key() -> None:
    found = with_secret("s3cret")
    assert found.fingerprint == with_secret("0ther").fingerprint
    shown = str(sentences(found)) + str([r.sentence for r in found.risks])
    assert "s3cret" not in shown
    assert "old" not in shown
    assert "SNMP community: new" in shown
    assert "user eve: password changes" in shown


@pytest.mark.parametrize("kind", ["user", "trap", "community"])
def test_under_a_key_a_plan_with_another_secret_is_another_plan(kind: str) -> None:
    def made(secret: str, key: bytes = b"k") -> str:
        before = state(User("eve", "network-admin", "old"), Trap("10.0.0.1", "2c", "old", "default"))
        every = (User("eve", password=secret), Trap("10.0.0.1", community=secret), Community(secret))
        said = [p for p in every if p.kind == kind]
        return plan(Intent("leaf-1", parts(*said)), before, ALL_KINDS, key).fingerprint

    assert made("one") == made("one")
    assert made("one") != made("two")
    assert made("one") != made("one", b"another")


def test_parts_have_their_names_in_words() -> None:
    named: dict[Key, str] = {
        ("vlan", "10"): "VLAN 10",
        ("port", "Ethernet1/1"): "port Ethernet1/1",
        ("community", "s3cret"): "SNMP community",
        ("vpc",): "vPC domain",
        ("system",): "system",
        ("dns", "red", "10.0.0.1"): "name server 10.0.0.1 (VRF red)",
    }
    assert {key: words.name(key) for key in named} == named


def test_four_thousand_vlans_on_forty_eight_ports_take_no_square_of_the_time() -> None:
    many = [Vlan(n, f"n{n}", 0) for n in range(2, 3968)]
    ports = [trunk(f"Ethernet1/{n}", "1,2,3967") for n in range(1, 49)]
    full, bare = state(*many, *ports), state(*ports)
    began = time.process_time()
    assert len(planned(bare, *many).steps) == len(many)
    assert len(planned(full, exclusive=frozenset({"vlan"})).steps) == len(many)
    assert not planned(full, *many, *ports)
    assert time.process_time() - began < 2  # some 100 ms where nothing else runs


def test_a_port_that_is_spoken_of_beside_others_alone_is_there_or_a_mistake() -> None:
    with pytest.raises(Malformed) as raised:
        planned(state(), Port("port-channel11", allowed="1001", within="1000-1999"))
    assert raised.value.problems == ("port port-channel11: the switch has no such interface.",)
