"""Rows become subjects: whose port it is, where it stands, and what is not known yet."""

from __future__ import annotations

from types import SimpleNamespace as Row
from typing import Any

from sekisho.devices.vswitch.ports import keep_ifindexes, read_subjects
from sekisho.model.inventory import Subject


def interface(name: str, *, ofport: int | None = 1, kind: str = "", **ids: str) -> Row:
    external = {key.replace("_", "-"): value for key, value in ids.items()}
    number = [] if ofport is None else [ofport]
    return Row(
        name=name,
        type=kind,
        ofport=number,
        ifindex=[],
        mac_in_use=["52:54:00:AA:00:01"],
        external_ids=external,
    )


def tables(*interfaces: Row, tag: int | None = None, bridge: str = "br-int") -> Any:
    ports = [
        Row(interfaces=[i], tag=[] if tag is None else [tag], other_config={"net_uuid": "net-9"})
        for i in interfaces
    ]
    root = Row(bridges=[Row(name=bridge, ports=ports)])
    return {"Open_vSwitch": Row(rows={0: root})}


def read(found: Any, *bare: str) -> tuple[Subject, ...]:
    return read_subjects(found, "host7", frozenset(bare))


def test_a_port_of_neutron_is_a_subject() -> None:
    row = interface("tap1", iface_id="port-1", attached_mac="FA:16:3E:00:00:01", vm_uuid="server-1")
    (subject,) = read(tables(row, tag=5))
    assert subject == Subject(
        "port-1",
        "host7",
        "",
        "server-1",
        "net-9",
        "fa:16:3e:00:00:01",
        interface="tap1",
        bridge="br-int",
        ofport=1,
        vlan=5,
    )


def test_what_the_switch_has_not_numbered_or_failed_to_is_0() -> None:
    assert [s.ofport for s in read(tables(interface("a", ofport=None, iface_id="p")))] == [0]
    assert [s.ofport for s in read(tables(interface("a", ofport=-1, iface_id="p")))] == [0]


def test_only_an_internal_port_wears_its_own_address() -> None:
    subjects = read(tables(interface("a", iface_id="a"), interface("b", kind="internal", iface_id="b")))
    assert [s.mac for s in subjects] == ["", "52:54:00:aa:00:01"]


def test_a_bare_bridge_gives_vms_but_no_tunnels_nor_uplinks() -> None:
    rows = tables(
        interface("v1"),
        interface("vxlan0", kind="vxlan"),
        interface("br", kind="internal"),
        interface("eth1", sekisho_uplink="true"),
    )
    assert read(rows) == ()
    assert [s.id for s in read(rows, "br-int")] == ["host7/v1"]


def test_of_two_that_claim_one_id_the_one_with_a_port_stands() -> None:
    old, new = interface("a", ofport=4, iface_id="p"), interface("b", ofport=None, iface_id="p")
    assert [s.interface for s in read(tables(old, new))] == ["a"]
    assert [s.interface for s in read(tables(new, old))] == ["a"]


def test_tags_and_addresses_are_words() -> None:
    (subject,) = read(
        tables(interface("a", iface_id="p", sekisho_tags="new, ,gold", sekisho_addresses="10.0.0.1"))
    )
    assert (subject.tags, subject.addresses) == (("new", "gold"), ("10.0.0.1",))


def test_an_ifindex_forgotten_is_kept_for_the_same_port_only() -> None:
    before = (Subject("p", "h", interface="a", ofport=3, ifindex=9),)
    same, moved = Subject("p", "h", interface="a", ofport=3), Subject("p", "h", interface="a", ofport=4)
    assert keep_ifindexes((same,), before) == before
    assert keep_ifindexes((moved,), before) == (moved,)
    assert keep_ifindexes((Subject("p", "h", interface="a", ofport=3, ifindex=11),), before)[0].ifindex == 11


def test_what_a_trunk_claims_on_its_own_bridge_does_not_count() -> None:
    inner = tables(interface("tpi", iface_id="parent", ofport=3))["Open_vSwitch"].rows[0].bridges
    outer = tables(interface("tpt", iface_id="parent"), bridge="tbr-1")["Open_vSwitch"].rows[0].bridges
    both = {"Open_vSwitch": Row(rows={0: Row(bridges=[*inner, *outer])})}
    (subject,) = read_subjects(both, "host7", frozenset(), frozenset({"br-int"}))
    assert (subject.interface, subject.bridge, subject.ofport) == ("tpi", "br-int", 3)
