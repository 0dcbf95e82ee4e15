"""What hosts want of switches is kept, told and found again."""

from __future__ import annotations

from collections.abc import Iterable

import pytest

from sekisho.app.attachments import Attachments
from sekisho.devices.switch.document import Attach, Connection, Switch
from sekisho.devices.switch.driver import Neighbour
from sekisho.devices.switch.intent import Intent, Port
from sekisho.model.access import Principal, Role
from sekisho.model.attachment import Attachment, HostVlan, HostVlans, Place
from sekisho.model.errors import Malformed

NEUTRON = Principal("neutron", Role.CLOUD)
OURS = "1000-1999"


class Memory(dict[str, str]):
    def remember(self, name: str, value: str) -> None:
        self[name] = value

    def recall(self, name: str) -> str:
        return self.get(name, "")


def switch(name: str, attach: Attach, peer: str = "") -> Switch:
    return Switch(name, Connection("memory", name), Intent(name), peer, attach)


LEAVES = {
    "leaf-1": switch("leaf-1", Attach(OURS, {"c1": ("port-channel11",)}), "leaf-2"),
    "leaf-2": switch("leaf-2", Attach(OURS), "leaf-1"),
    "leaf-3": switch("leaf-3", Attach(OURS, lldp=True)),
    "other": switch("other", Attach("", {"c1": ("Ethernet1/1",)})),
}


class Told:
    def __init__(self, memory: Memory | None = None) -> None:
        self.memory = memory if memory is not None else Memory()
        self.words: list[list[str]] = []
        self.room = Attachments(self.memory, lambda: LEAVES)
        self.room.changed = self._hear

    def _hear(self, switches: Iterable[str]) -> None:
        self.words.append(list(switches))

    def put(self, host: str, *ids: int) -> None:
        self.room.put(NEUTRON, host, HostVlans(tuple(HostVlan(i) for i in ids)))


def test_the_switches_that_may_have_a_host_hear_of_it_once() -> None:
    told = Told()
    told.put("c1", 1002, 1001)
    told.put("c1", 1001, 1002)
    assert told.words == [["leaf-1", "leaf-2", "leaf-3"]]
    told.put("c9", 1001)
    assert told.words[1:] == [["leaf-3"]]


def test_a_restarted_keeper_knows_what_was_told() -> None:
    told = Told()
    told.put("c1", 1001)
    told.put("c2", 1002)
    told.put("c2")
    again = Told(told.memory)
    assert [a.host for a in again.room.attachments()] == ["c1"]
    assert again.room.demand(LEAVES["leaf-1"]) == told.room.demand(LEAVES["leaf-1"])
    again.put("c1", 1001)
    assert not again.words


def test_one_host_costs_one_small_row() -> None:
    told = Told()
    for number in range(20):
        told.put(f"c{number}", 1001)
    before = dict(told.memory)
    told.put("c7", 1001, 1002)
    assert [n for n in told.memory if told.memory[n] != before[n]] == ["vlans:c7"]


@pytest.mark.parametrize("ids", [(0,), (4095,), (10, 10)])
def test_what_no_vlan_can_be_is_refused(ids: tuple[int, ...]) -> None:
    with pytest.raises(Malformed) as caught:
        Told().put("c1", *ids)
    assert len(caught.value.problems) == 1


def test_the_other_of_a_pair_makes_the_vlan_too() -> None:
    told = Told()
    told.put("c1", 1001)
    assert told.room.demand(LEAVES["leaf-2"]).beside == {"c1"}
    assert told.room.demand(LEAVES["other"]).places == {}


def test_a_host_is_told_with_its_places_and_what_is_wrong_there() -> None:
    told = Told()
    told.room.fares = lambda name: (name == "leaf-1", "" if name == "leaf-1" else "It does not answer.")
    told.put("c1", 1001)
    assert told.room.attachment("c1") == Attachment(
        "c1",
        (HostVlan(1001),),
        (
            Place("leaf-1", ("port-channel11",), carried=True),
            Place("leaf-2", (), carried=False, problem="It does not answer."),
        ),
    )
    told.put("c1", 10)
    here = told.room.attachment("c1").places[0]
    assert not here.carried
    assert "VLANs 10" in here.problem
    assert told.room.attachment("nobody") == Attachment("nobody")


# --- LLDP ---------------------------------------------------------------------------------------------


def hear(told: Told, **hosts: str) -> None:
    neighbours = [Neighbour(port, host, "eth0") for host, port in hosts.items()]
    told.room.learn(LEAVES["leaf-3"], neighbours, [Port("Ethernet1/9", channel="port-channel9")])


def test_a_host_is_where_it_was_heard_even_when_it_is_silent() -> None:
    told = Told()
    told.put("c5", 1001)
    assert told.room.lost() == ("c5",)
    hear(told, c5="Ethernet1/9", stranger="Ethernet1/2")
    assert told.room.demand(LEAVES["leaf-3"]).places == {"c5": ("port-channel9",)}
    hear(told)
    again = Told(told.memory)
    assert again.room.demand(LEAVES["leaf-3"]).places == {"c5": ("port-channel9",)}
    assert again.room.lost() == ()


def test_a_port_that_a_host_has_left_is_cleared_and_then_forgotten() -> None:
    told = Told()
    told.put("c5", 1001)
    hear(told, c5="Ethernet1/1")
    hear(told, c5="Ethernet1/2")
    demand = told.room.demand(LEAVES["leaf-3"])
    assert demand.places == {"c5": ("Ethernet1/2",)}
    assert demand.former == {"Ethernet1/1"}
    told.room.cleared(LEAVES["leaf-3"], demand)
    assert told.room.demand(LEAVES["leaf-3"]).former == frozenset()


def test_who_takes_a_hosts_port_has_moved_it_away() -> None:
    told = Told()
    told.put("c5", 1001)
    told.put("c6", 1002)
    hear(told, c5="Ethernet1/1")
    hear(told, c6="Ethernet1/1")
    assert told.room.demand(LEAVES["leaf-3"]).places == {"c6": ("Ethernet1/1",)}


def test_a_hosts_last_vlan_leaves_its_port_to_be_cleared() -> None:
    told = Told()
    told.put("c5", 1001)
    hear(told, c5="Ethernet1/1")
    told.put("c5")
    demand = told.room.demand(LEAVES["leaf-3"])
    assert demand.places == {}
    assert demand.former == {"Ethernet1/1"}


def test_who_takes_a_name_that_is_heard_elsewhere_gets_nothing() -> None:
    leaves = {n: switch(n, Attach(OURS, lldp=True)) for n in ("leaf-1", "leaf-2")}
    room = Attachments(Memory(), lambda: leaves)
    room.put(NEUTRON, "c7", HostVlans((HostVlan(1001),)))
    room.learn(leaves["leaf-1"], [Neighbour("Ethernet1/7", "c7", "eth0")], ())
    liar = Neighbour("Ethernet1/9", "c7", "eth0")
    room.learn(leaves["leaf-2"], [liar], ())
    room.learn(leaves["leaf-1"], [Neighbour("Ethernet1/7", "c7", "eth0"), liar], ())
    assert room.demand(leaves["leaf-1"]).places == {"c7": ("Ethernet1/7",)}
    assert room.demand(leaves["leaf-2"]).places == {}
    assert room.contested() == {"leaf-1": ("c7",), "leaf-2": ("c7",)}


def test_whom_a_file_names_is_heard_nowhere_and_a_port_of_his_is_nobody_elses() -> None:
    leaves = {
        "leaf-1": switch("leaf-1", Attach(OURS, {"c1": ("Ethernet1/1",)}, lldp=True)),
        "leaf-2": switch("leaf-2", Attach(OURS, lldp=True)),
    }
    room = Attachments(Memory(), lambda: leaves)
    for host in ("c1", "c7"):
        room.put(NEUTRON, host, HostVlans((HostVlan(1001),)))
    room.learn(leaves["leaf-2"], [Neighbour("Ethernet1/9", "c1", "eth0")], ())
    room.learn(leaves["leaf-1"], [Neighbour("Ethernet1/1", "c7", "eth0")], ())
    assert room.demand(leaves["leaf-2"]).places == {}
    assert room.demand(leaves["leaf-1"]).places == {"c1": ("Ethernet1/1",)}


class Pair:
    """Two switches of a pair that hear their neighbours, and one that is none of it."""

    def __init__(self, hosts: dict[str, tuple[str, ...]] | None = None) -> None:
        self.leaves = {
            "leaf-1": switch("leaf-1", Attach(OURS, hosts or {}, lldp=True), "leaf-2"),
            "leaf-2": switch("leaf-2", Attach(OURS, lldp=True), "leaf-1"),
            "leaf-3": switch("leaf-3", Attach(OURS, lldp=True)),
        }
        self.room = Attachments(Memory(), lambda: self.leaves)

    def want(self, *hosts: str) -> None:
        for host in hosts:
            self.room.put(NEUTRON, host, HostVlans((HostVlan(1001),)))

    def hear(self, name: str, *heard: tuple[str, str]) -> None:
        parts = [Port(f"port-channel{n}", vpc=n) for n in (11, 12)]
        neighbours = [Neighbour(port, host, "eth0") for port, host in heard]
        self.room.learn(self.leaves[name], neighbours, parts)

    def places(self, name: str) -> dict[str, tuple[str, ...]]:
        return dict(self.room.demand(self.leaves[name]).places)


def test_the_two_of_a_pair_have_a_host_on_the_same_vpc_only() -> None:
    pair = Pair()
    pair.want("c1")
    pair.hear("leaf-1", ("port-channel11", "c1"))
    for liar in ("port-channel12", "Ethernet1/9"):
        pair.hear("leaf-2", (liar, "c1"))
        assert pair.places("leaf-2") == {}
        assert pair.room.contested() == {"leaf-2": ("c1",)}
    pair.hear("leaf-2", ("port-channel11", "c1"))
    assert pair.places("leaf-2") == pair.places("leaf-1") == {"c1": ("port-channel11",)}
    assert pair.room.contested() == {}


def test_a_port_that_the_pair_s_other_file_gives_away_learns_nobody() -> None:
    pair = Pair({"c1": ("port-channel11",)})
    pair.want("c1", "c7")
    pair.hear("leaf-1")
    pair.hear("leaf-2", ("port-channel11", "c7"))
    assert pair.places("leaf-2") == {}
    pair.hear("leaf-2", ("port-channel12", "c7"))
    assert pair.places("leaf-2") == {"c7": ("port-channel12",)}


def test_a_new_name_on_several_ports_of_one_switch_is_believed_on_none() -> None:
    pair = Pair()
    pair.want("c7")
    pair.hear("leaf-3", ("Ethernet1/7", "c7"), ("Ethernet1/9", "c7"))
    assert pair.places("leaf-3") == {}
    assert pair.room.contested() == {"leaf-3": ("c7",)}
    pair.hear("leaf-3", ("Ethernet1/7", "c7"))
    assert pair.places("leaf-3") == {"c7": ("Ethernet1/7",)}


def test_a_port_on_which_more_than_one_host_is_heard_is_whose_it_was() -> None:
    pair = Pair()
    pair.want("c7", "c8")
    pair.hear("leaf-3", ("Ethernet1/7", "c7"), ("Ethernet1/7", "c8"))
    assert pair.places("leaf-3") == {}
    pair.hear("leaf-3", ("Ethernet1/7", "c7"), ("Ethernet1/7", "firmware of a card"))
    pair.hear("leaf-3", ("Ethernet1/7", "c7"), ("Ethernet1/7", "c8"))
    assert pair.places("leaf-3") == {"c7": ("Ethernet1/7",)}
    assert pair.room.contested() == {"leaf-3": ("c8",)}


def test_whom_a_file_names_is_no_more_where_he_was_heard_before() -> None:
    pair = Pair()
    pair.want("c1")
    pair.hear("leaf-3", ("Ethernet1/9", "c1"))
    pair.leaves["leaf-1"] = switch("leaf-1", Attach(OURS, {"c1": ("Ethernet1/1",)}), "leaf-2")
    assert pair.places("leaf-3") == {}
    assert pair.room.demand(pair.leaves["leaf-3"]).former == {"Ethernet1/9"}
    pair.hear("leaf-3", ("Ethernet1/9", "c1"))
    assert pair.places("leaf-3") == {}
