"""Who is believed of those whom a switch hears."""

from __future__ import annotations

from sekisho.devices.switch.belief import Beside, believed, vpcs
from sekisho.devices.switch.intent import Port, Vlan


def test_whom_a_file_names_is_neither_found_nor_contested() -> None:
    heard = {"c1": ("Ethernet1/9",), "c2": ("Ethernet1/1", "Ethernet1/2")}
    assert believed(heard, Beside(named={"c1", "c2"}, wanted={"c1", "c2"})) == ({}, frozenset())


def test_a_port_that_a_file_gives_away_is_nobody_elses() -> None:
    assert believed({"c1": ("Ethernet1/9",)}, Beside(given={"Ethernet1/9"})) == ({}, frozenset())


def test_only_port_channels_of_a_pair_are_vpcs() -> None:
    parts = (Vlan(10), Port("port-channel1", peer_link=True), Port("port-channel11", vpc=11), Port("x"))
    assert vpcs(parts) == {"port-channel11": 11}
