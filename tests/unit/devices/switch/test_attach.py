"""What the cloud wants of a switch's ports, beside what the operator wants."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from sekisho.devices.switch import vlans
from sekisho.devices.switch.attach import Demand, channels, cloud_only, outside, overlay, places, spared
from sekisho.devices.switch.document import Attach
from sekisho.devices.switch.driver import Neighbour
from sekisho.devices.switch.intent import Intent, Port, PortMode, Svi, Vlan, parts
from sekisho.model.attachment import HostVlan

OURS = "1000-1999"
NETWORK = "6f1a2b3c-0000-4000-8000-00000000000a"
ATTACH = Attach(OURS, {"compute-1": ("port-channel11",), "compute-2": ("Ethernet1/2",)})
BOTH = {"compute-1": ("port-channel11",), "compute-2": ("Ethernet1/2",)}


def wanted(*ids: int) -> tuple[HostVlan, ...]:
    return tuple(HostVlan(i, f"net {i}", NETWORK) for i in ids)


def carried(intent: Intent, name: str) -> tuple[str | None, str]:
    port = intent.parts["port", name]
    assert isinstance(port, Port)
    return port.allowed, port.within


def test_a_hosts_vlan_is_on_its_ports_and_on_no_others() -> None:
    made = overlay(Intent("leaf-1"), ATTACH, Demand({"compute-1": wanted(1001)}, BOTH))
    assert carried(made, "port-channel11") == ("1001", OURS)
    assert carried(made, "Ethernet1/2") == ("", OURS)
    assert made.parts["vlan", "1001"] == Vlan(1001, NETWORK.replace("-", ""))
    assert made.owned == OURS


def test_a_hosts_last_vlan_leaves_nothing() -> None:
    made = overlay(Intent("leaf-1"), ATTACH, Demand({"compute-1": ()}, BOTH))
    assert carried(made, "port-channel11") == ("", OURS)
    assert ("vlan", "1001") not in made.parts
    assert made.owned == OURS


def test_what_the_operator_wants_of_the_port_stays() -> None:
    written = parts(
        Port("port-channel11", "to compute-1", mode=PortMode.TRUNK, allowed="10,1500"),
        Port("Ethernet1/2", allowed="10", within="1-99"),
        Vlan(1001, "mine"),
        Vlan(10, "web"),
    )
    demand = Demand({"compute-1": wanted(1001), "compute-2": wanted(1002)}, BOTH)
    made = overlay(Intent("leaf-1", written), ATTACH, demand)
    # 1500 is the cloud's to say; whoever wrote it here gave it away.
    assert carried(made, "port-channel11") == ("10,1001", "")
    assert carried(made, "Ethernet1/2") == ("10,1002", "1-99,1000-1999")
    assert made.parts["vlan", "1001"] == Vlan(1001, "mine")
    assert made.parts["vlan", "10"] == Vlan(10, "web")
    port = made.parts["port", "port-channel11"]
    assert isinstance(port, Port)
    assert port.mode is PortMode.TRUNK
    assert port.description == "to compute-1"


def test_no_port_becomes_a_trunk_by_the_clouds_word() -> None:
    made = overlay(Intent("leaf-1"), ATTACH, Demand({"compute-1": wanted(1001)}, BOTH))
    port = made.parts["port", "port-channel11"]
    assert isinstance(port, Port)
    assert port.mode is None


def test_ids_that_are_not_the_clouds_are_not_carried() -> None:
    demand = Demand({"compute-1": wanted(10, 1001)}, BOTH)
    made = overlay(Intent("leaf-1"), ATTACH, demand)
    assert carried(made, "port-channel11") == ("1001", OURS)
    assert ("vlan", "10") not in made.parts
    assert outside(ATTACH, wanted(10, 1001)) == "10"


def test_a_vlan_that_must_not_be_there_is_not_made() -> None:
    intent = Intent("leaf-1", absent=frozenset({("vlan", "1001")}))
    made = overlay(intent, ATTACH, Demand({"compute-1": wanted(1001)}, BOTH))
    assert ("vlan", "1001") not in made.parts


def test_the_other_switch_of_a_pair_has_the_vlan_too() -> None:
    made = overlay(Intent("leaf-2"), Attach(OURS), Demand({"x": wanted(1001)}, {}, frozenset({"x"})))
    assert ("vlan", "1001") in made.parts
    assert not any(isinstance(p, Port) for p in made.parts.values())


def test_a_port_whose_host_has_moved_is_cleared() -> None:
    demand = Demand({"c": wanted(1001)}, {"c": ("Ethernet1/5",)}, former=frozenset({"Ethernet1/4"}))
    made = overlay(Intent("leaf-1"), Attach(OURS, lldp=True), demand)
    assert carried(made, "Ethernet1/4") == ("", OURS)
    assert carried(made, "Ethernet1/5") == ("1001", OURS)


def test_a_neighbour_that_is_no_host_of_the_clouds_is_left_alone() -> None:
    demand = Demand({"c": wanted(1001)}, {"c": ("Ethernet1/5",), "spine-1": ("Ethernet1/49",)})
    made = overlay(Intent("leaf-1"), Attach(OURS, lldp=True), demand)
    assert ("port", "Ethernet1/49") not in made.parts


def test_a_switch_that_gives_the_cloud_nothing_stays_as_it_is() -> None:
    intent = Intent("leaf-1", parts(Vlan(10)))
    assert overlay(intent, Attach(), Demand({"compute-1": wanted(1001)}, BOTH)) is intent


def test_two_hosts_behind_one_port_have_both_what_they_want() -> None:
    both = {"a": ("Ethernet1/1",), "b": ("Ethernet1/1",)}
    made = overlay(Intent("l"), Attach(OURS, both), Demand({"a": wanted(1001), "b": wanted(1002)}, both))
    assert carried(made, "Ethernet1/1") == ("1001-1002", OURS)


# --- where hosts are ---------------------------------------------------------------------------------

HEARD = (
    Neighbour("Ethernet1/1", "compute-1.example.org", "eth0"),
    Neighbour("Ethernet1/2", "compute-1.example.org", "eth1"),
    Neighbour("Ethernet1/3", "compute-2", "eth0"),
    Neighbour("Ethernet1/4", "", "eth0"),
)


def test_hosts_are_where_they_are_heard() -> None:
    within = channels([Port("port-channel11", members=("Ethernet1/1", "Ethernet1/2"))])
    assert places(Attach(OURS, lldp=True), HEARD, within) == {
        "compute-1": ("port-channel11",),
        "compute-1.example.org": ("port-channel11",),
        "compute-2": ("Ethernet1/3",),
    }
    assert channels([Port("Ethernet1/1", channel="port-channel11")]) == {"Ethernet1/1": "port-channel11"}


def test_what_the_file_says_counts_before_what_is_heard() -> None:
    attach = Attach(OURS, {"compute-2": ("port-channel7",)}, lldp=True)
    assert places(attach, HEARD, {})["compute-2"] == ("port-channel7",)
    assert places(Attach(OURS), HEARD, {}) == {}


# --- what the cloud does by itself -------------------------------------------------------------------


def test_the_cloud_by_itself_changes_nothing_of_the_operators() -> None:
    written = parts(
        Port("port-channel11", "new text", mode=PortMode.TRUNK, allowed="10,20"), Vlan(10, "new name")
    )
    intent = Intent("leaf-1", written, exclusive=frozenset({"vlan"}), uplinks=frozenset({"Ethernet1/49"}))
    made = cloud_only(intent, ATTACH, Demand({"compute-1": wanted(1001)}, BOTH))
    assert made.parts["port", "port-channel11"] == Port("port-channel11", allowed="1001", within=OURS)
    assert set(made.parts) == {("port", "port-channel11"), ("port", "Ethernet1/2"), ("vlan", "1001")}
    assert made.exclusive == frozenset()
    assert made.owned == OURS
    assert made.uplinks == intent.uplinks


def test_a_vlan_of_the_operators_among_ours_is_not_taken_away() -> None:
    intent = Intent("leaf-1", parts(Vlan(1500, "storage")))
    demand = Demand({"compute-1": wanted(1001)}, BOTH)
    assert overlay(intent, ATTACH, demand).parts["vlan", "1500"] == Vlan(1500, "storage")
    assert cloud_only(intent, ATTACH, demand).owned == "1000-1499,1501-1999"


def test_a_vlan_that_somebody_is_in_by_himself_is_spared() -> None:
    standing = (
        Svi(1500),
        Port("Ethernet1/1", mode=PortMode.ACCESS, access=1501, channel=""),
        Port("Ethernet1/2", mode=PortMode.ACCESS, access=1502, channel="port-channel1"),
        Port("Ethernet1/3", mode=PortMode.TRUNK, allowed="1000-1999"),
    )
    assert spared(Intent("l", owned="1400-1600"), standing).owned == "1400-1499,1502-1600"


ids = st.lists(st.integers(1, 4094), max_size=8).map(vlans.of)


@given(ids, ids, st.lists(st.integers(1, 4094), max_size=8))
def test_others_ids_are_never_touched(ours: str, theirs: str, told: list[int]) -> None:
    host = {"h": ("Ethernet1/1",)}
    intent = Intent("l", parts(Port("Ethernet1/1", allowed=theirs)))
    demand = Demand({"h": wanted(*told)}, host)
    made = overlay(intent, Attach(ours, host), demand)
    allowed = carried(made, "Ethernet1/1")[0] or ""
    assert vlans.without(allowed, ours) == vlans.without(theirs, ours)
    if ours:
        assert vlans.common(allowed, ours) == vlans.common(vlans.of(told), ours)
