"""What the keeper hears of hosts' VLANs from a real Neutron, as ports are bound, moved and deleted."""

from __future__ import annotations

import pytest

from sekisho.lab.openstack.shell import wait
from sekisho.lab.openstack.stack import Stack

pytestmark = [pytest.mark.ovs, pytest.mark.usefixtures("tidy"), pytest.mark.timeout(600)]


def wanted(stack: Stack, host: str) -> dict[int, str]:
    """Give what the keeper knows a host wants: network by VLAN."""
    found = {a.host: a.vlans for a in stack.keeper.attachments()}
    return {v.id: v.network for v in found.get(host, ())}


def vlan(stack: Stack, network: str) -> int:
    return int(stack.api("network", "GET", f"/networks/{network}")["network"]["provider:segmentation_id"])


def test_a_vlan_comes_with_the_first_port_and_goes_with_the_last(stack: Stack) -> None:
    network = stack.make.network("vlan")
    there = {vlan(stack, network.id): network.id}
    first, second = (stack.make.port(network, "h1") for _ in range(2))
    wait(lambda: wanted(stack, "h1") == there, "the VLAN of the first port")
    assert wanted(stack, "h2") == {}
    stack.make.forget("port", first["id"])
    third = stack.make.port(network, "h2")
    wait(lambda: wanted(stack, "h2") == there, "the VLAN on the other host")
    assert wanted(stack, "h1") == there
    for port in (second, third):
        stack.make.forget("port", port["id"])
    wait(lambda: not wanted(stack, "h1") and not wanted(stack, "h2"), "nothing to be wanted any more")


def test_tunnels_ask_nothing_of_switches(stack: Stack) -> None:
    tunnel, network = stack.make.network(), stack.make.network("vlan")
    stack.make.port(tunnel, "h1")
    # Heard after the other one: by then that one has been heard as well.
    stack.make.port(network, "h1")
    wait(lambda: wanted(stack, "h1") == {vlan(stack, network.id): network.id}, "the VLAN, and it alone")


def test_a_server_that_moves_takes_its_vlan_along_ahead(stack: Stack) -> None:
    network = stack.make.network("vlan")
    there = {vlan(stack, network.id): network.id}
    port = stack.make.port(network, "h1")
    wait(lambda: wanted(stack, "h1") == there, "the VLAN where the server is")
    # As Nova does: the new host is bound beside the old one, and becomes the one in force at the end.
    path = f"/ports/{port['id']}/bindings"
    binding = {"binding": {"host": "h2", "vnic_type": "normal"}}
    stack.api("network", "POST", path, binding, as_="neutron")
    wait(lambda: wanted(stack, "h2") == there, "the VLAN where the server will be")
    assert wanted(stack, "h1") == there
    stack.api("network", "PUT", f"{path}/h2/activate", as_="neutron")
    stack.api("network", "DELETE", f"{path}/h1", as_="neutron")
    wait(lambda: not wanted(stack, "h1"), "nothing to be wanted where the server was")
    assert wanted(stack, "h2") == there
    stack.make.forget("port", port["id"])
    wait(lambda: not wanted(stack, "h2"), "nothing to be wanted there any more")


def test_a_subport_of_a_trunk_is_in_its_vlan_too(stack: Stack) -> None:
    outer, inner = stack.make.network("vlan"), stack.make.network("vlan")
    parent, child = (stack.make.port(each, "") for each in (outer, inner))
    stack.make.trunk(parent["id"], {child["id"]: 42})
    stack.make.bind(parent["id"], "h1")
    stack.make.bind(child["id"], "h1")
    both = {vlan(stack, each.id): each.id for each in (outer, inner)}
    wait(lambda: wanted(stack, "h1") == both, "both VLANs of the trunk")


def test_a_keeper_that_was_away_hears_what_it_missed(stack: Stack) -> None:
    network = stack.make.network("vlan")
    assert wanted(stack, "h1") == {}
    keeper = stack.place.services["keeper"]
    keeper.stop()
    # Neutron does not wait for it.
    stack.make.port(network, "h1")
    keeper.start()
    wait(lambda: wanted(stack, "h1") == {vlan(stack, network.id): network.id}, "what it missed")
