"""The test bed itself: it is a cloud, it can be broken and mended, and it leaves nothing behind."""

from __future__ import annotations

import datetime as dt
import json
from pathlib import Path

import pytest

from sekisho.lab.openstack.host import lay_wires
from sekisho.lab.openstack.resources import Network
from sekisho.lab.openstack.settings import StackSettings
from sekisho.lab.openstack.shell import namespaces, wait
from sekisho.lab.openstack.stack import Stack, remove_leftovers
from sekisho.lab.openstack.vms import Vm
from sekisho.model.errors import Conflict, Forbidden, Unauthenticated, Unavailable
from support_stack import processes_in, trunked

pytestmark = [pytest.mark.ovs, pytest.mark.usefixtures("tidy"), pytest.mark.timeout(300)]


def pair(stack: Stack, network: Network) -> tuple[Vm, Vm]:
    """Two VMs of one network, one on each host, that let everything in."""
    group = [stack.make.open_group()]
    first, second = (stack.plug(stack.make.port(network, h, security_groups=group)) for h in stack.hosts)
    return first, second


@pytest.mark.parametrize("kind", ["vxlan", "vlan", "flat"])
def test_two_vms_of_a_network_on_two_hosts_reach_each_other(stack: Stack, kind: str) -> None:
    first, second = pair(stack, stack.make.network(kind))
    assert first.host != second.host
    assert stack.pings(first, second.ipv4)
    assert stack.pings(first, second.ipv6)


def test_a_port_is_active_once_it_is_plugged_and_not_before(stack: Stack) -> None:
    port = stack.make.port(stack.make.network(), "h1")
    assert port["status"] == "DOWN"
    assert port["binding:vif_type"] == "ovs"
    stack.plug(port)
    assert stack.api("network", "GET", f"/ports/{port['id']}")["port"]["status"] == "ACTIVE"


def test_a_security_group_keeps_out_what_it_does_not_name(stack: Stack) -> None:
    network = stack.make.network()
    only_v6 = stack.make.security_group("demo", {"ethertype": "IPv6"})
    inside = stack.plug(stack.make.port(network, "h1", security_groups=[only_v6]))
    asker = stack.plug(stack.make.port(network, "h2"))
    assert stack.pings(asker, inside.ipv6)
    assert not stack.pings(asker, inside.ipv4, within=3.0)


def test_without_a_firewall_nothing_is_kept_out(stack: Stack) -> None:
    host = stack.hosts["h1"]
    try:
        host.restart_agent(firewall="noop")
        network = stack.make.network()
        closed = stack.plug(stack.make.port(network, "h1", security_groups=[stack.make.security_group()]))
        asker = stack.plug(stack.make.port(network, "h2"))
        assert stack.pings(asker, closed.ipv4)
    finally:
        host.restart_agent(firewall="openvswitch")


def test_a_vm_moves_to_the_other_host_and_goes_on(stack: Stack) -> None:
    first, second = pair(stack, stack.make.network())
    assert stack.pings(first, second.ipv4)
    moved = stack.migrate(first, "h2")
    assert stack.pings(moved, second.ipv4)
    assert stack.api("network", "GET", f"/ports/{moved.port}")["port"]["binding:host_id"] == "h2"


def test_a_subport_of_a_trunk_reaches_its_network(stack: Stack) -> None:
    trunk = trunked(stack)
    vm = trunk.vm
    other = stack.plug(stack.make.port(trunk.inner, "h2", security_groups=[trunk.group]))
    assert stack.pings(vm, other.ipv4)
    assert stack.pings(vm, other.ipv6)


def test_keystone_knows_who_asks(stack: Stack) -> None:
    with pytest.raises(Unauthenticated):
        stack.place.rest.sign_in("member", "wrong", "demo")
    with pytest.raises(Unauthenticated):
        stack.api("network", "GET", "/networks", token="made-up")
    with pytest.raises(Forbidden):
        stack.api("network", "POST", "/networks", {"network": {"name": "n"}}, as_="reader")
    assert stack.ask("network", "GET", "/networks").status == 401


def test_a_project_sees_its_own_with_the_ordinary_client(stack: Stack) -> None:
    port = stack.make.port(stack.make.network(), "h1")
    seen = {}
    for who in ("member", "other"):
        done = stack.openstack("port list -f json", as_=who)
        assert done.returncode == 0, done.stderr
        seen[who] = {each["ID"] for each in json.loads(done.stdout)}
    assert port["id"] in seen["member"]
    assert port["id"] not in seen["other"]


def test_gnocchi_takes_measures_and_gives_them_back(stack: Stack) -> None:
    metric = stack.api("metric", "POST", "/metric", {"archive_policy_name": "low"})["id"]
    stamp = dt.datetime(2026, 1, 1, 12, tzinfo=dt.UTC).isoformat()
    stack.api("metric", "POST", f"/metric/{metric}/measures", [{"timestamp": stamp, "value": 42.0}])

    def measures() -> list[list[object]]:
        found: list[list[object]] = stack.api("metric", "GET", f"/metric/{metric}/measures?aggregation=mean")
        return found

    wait(lambda: bool(measures()), "the measure to be aggregated")
    assert measures()[-1][2] == 42.0
    with pytest.raises(Forbidden):
        stack.api("metric", "GET", f"/metric/{metric}/measures", as_="other")


@pytest.mark.parametrize("name", ["agent-h1", "neutron-api", "neutron-rpc", "keystone", "gnocchi-api"])
def test_a_service_that_was_killed_comes_back(stack: Stack, name: str) -> None:
    before = stack.service(name).pid
    stack.kill(name)
    assert stack.service(name).pid == 0
    stack.restart(name)
    assert stack.service(name).pid not in (0, before)


def test_a_service_that_is_away_says_nothing(stack: Stack) -> None:
    stack.service("gnocchi-api").stop()
    try:
        with pytest.raises(Unavailable):
            stack.ask("metric", "GET", "/")
    finally:
        stack.restart("gnocchi-api")


def test_traffic_flows_again_after_the_switch_was_restarted(stack: Stack) -> None:
    first, second = pair(stack, stack.make.network())
    stack.hosts["h1"].restart_switch()
    assert stack.pings(first, second.ipv4, within=60.0)


def test_a_keeper_stands_beside_the_stack_and_comes_back(stack: Stack) -> None:
    assert stack.keeper.status().enforcing
    stack.kill("keeper")
    stack.restart("keeper")
    assert stack.keeper.status().enforcing
    stack.start_collector()
    assert stack.keeper.status().collectors


def test_what_a_crashed_run_left_is_removed(tmp_path: Path) -> None:
    crashed = Stack(StackSettings(tmp_path / "s", tmp_path, tmp_path))
    crashed.place.logs.mkdir(parents=True)
    lay_wires(crashed.place)
    host = crashed.hosts["h1"]
    host.start_switch()
    sleeper = crashed.place.service("sleeper", ["sleep", "600"], lambda: True, host.namespace)
    sleeper.start()
    assert len(namespaces(crashed.place.prefix)) == 2

    remove_leftovers(tmp_path, "s", lambda folder: Stack(StackSettings(folder, tmp_path, tmp_path)))
    assert namespaces(crashed.place.prefix) == []
    assert sleeper.process is not None
    assert sleeper.process.wait(10) != 0, "it was ended, and did not come to its end"
    assert processes_in(tmp_path) == []
    assert not crashed.folder.exists()


def test_a_stack_that_runs_is_not_removed(stack: Stack) -> None:
    remove_leftovers(stack.folder.parent, stack.folder.name, lambda _: stack)
    assert stack.ask("identity", "GET", "/").status == 200
    with pytest.raises(Conflict):
        Stack(stack.settings).start()
