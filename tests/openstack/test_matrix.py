"""Firewall, network, Neutron's own QoS, IP version, direction, new and established: each in packets."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from functools import partial

import pytest

from sekisho.devices.vswitch.pipeline import Layout
from sekisho.lab.openstack.host import Host
from sekisho.lab.openstack.shell import wait
from sekisho.lab.openstack.stack import Stack
from sekisho.lab.openstack.vms import Vm
from support_restrict import SMTP, in_force, lift, restrict
from support_talk import Talker, Whom, talkers

pytestmark = [pytest.mark.ovs, pytest.mark.usefixtures("tidy"), pytest.mark.timeout(300)]

SUBMISSION = {**SMTP, "direction": "ingress", "protocol": "udp", "port_range_min": 587, "port_range_max": 587}
PORTS = (25, 587, 80)
# Sends datagrams of 1,000 bytes with their IP header at so many Mbit/s for so many seconds.
POUR = """
import socket, sys, time
out = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
began, period = time.monotonic(), 0.008 / float(sys.argv[2])
for n in range(int(float(sys.argv[3]) / period)):
    time.sleep(max(0.0, began + n * period - time.monotonic()))
    out.sendto(bytes(972), (sys.argv[1], 5151))
"""
COUNT = """
import socket
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
s.bind(("", 5151))
print("ready", flush=True)
s.settimeout(20.0)
n = 0
try:
    while s.recv(2000):
        n += 1
        s.settimeout(2.0)
except TimeoutError:
    print(n)
"""
DSCP = 26
_TOLD = re.compile(r"(duration|n_packets|n_bytes|idle_age|hard_age)=[^,]*,? ?|priority_tags")


@pytest.fixture(scope="module", params=["openvswitch", "noop"])
def firewall(request: pytest.FixtureRequest, stack: Stack) -> Iterator[str]:
    """Let both hosts have a firewall driver."""
    before = {name: host.settings.firewall for name, host in stack.hosts.items()}
    driver: str = request.param
    for name, host in stack.hosts.items():
        if before[name] != driver:
            host.restart_agent(firewall=driver)
    yield driver
    for name, host in stack.hosts.items():
        if before[name] != driver:
            host.restart_agent(firewall=before[name])


def both(vm: Vm, kind: str, port: int) -> set[Whom]:
    """A service of a VM by both IP versions."""
    return {(kind, address, port) for address in (vm.ipv4, vm.ipv6)}


def services(vm: Vm) -> set[Whom]:
    return {who for kind in ("tcp", "udp") for port in PORTS for who in both(vm, kind, port)}


def await_all(who: Talker, other: Talker) -> None:
    wait(partial(who.answers_all, services(other.vm)), f"{other.vm.ipv4} to answer in all")


def theirs(host: Host) -> list[str]:
    """What stands on a host's bridge that is not ours: rules without counters, and meters."""
    ours = f"cookie={Layout().reserved:#x}"
    lines = host.switch.run("", ["ovs-ofctl", "-OOpenFlow14", "dump-flows", "br-int"]).stdout.splitlines()
    meters = host.switch.run("", ["ovs-ofctl", "-OOpenFlow14", "dump-meters", "br-int"]).stdout.splitlines()
    return sorted(_TOLD.sub("", line) for line in (*lines, *meters) if ours not in line)


def plan(stack: Stack) -> dict[str, str]:
    """Neutron's own plan for a port: far above what is sent here, so that only its mark is seen."""
    policy = stack.make.qos_policy(
        bandwidth_limit={"max_kbps": 50_000, "direction": "egress"},
        packet_rate_limit={"max_kpps": 50, "direction": "egress"},
        dscp_marking={"dscp_mark": DSCP},
    )
    return {"qos_policy_id": policy}


@pytest.mark.parametrize("with_plan", [False, True], ids=["plain", "qos"])
@pytest.mark.parametrize("kind", ["vxlan", "vlan", "flat"])
def test_only_what_is_restricted_is_lost(stack: Stack, firewall: str, kind: str, *, with_plan: bool) -> None:
    del firewall
    network, group = stack.make.network(kind), [stack.make.open_group()]
    sold = plan(stack) if with_plan else {}
    first = stack.plug(stack.make.port(network, "h1", security_groups=group, **sold))
    second = stack.plug(stack.make.port(network, "h2", security_groups=group))
    with talkers(stack, first, second, ports=PORTS) as (bound, free):
        await_all(bound, free)
        await_all(free, bound)
        bound.hold(both(second, "tcp", 25))
        bound.hold(both(second, "tcp", 80))
        before = theirs(stack.hosts["h1"])

        made = restrict(stack, first, SMTP, SUBMISSION)
        wait(lambda: in_force(stack, made["id"]), "the restriction")
        assert bound.held() == [False, False, True, True], "established connections, 25 and 80"
        assert bound.answered(services(second)) == services(second) - both(second, "tcp", 25)
        assert free.answered(services(first)) == services(first) - both(first, "udp", 587)
        if with_plan:
            assert bound.mark(free) == {DSCP << 2}, "Neutron's own mark"

        lift(stack, made["id"])
        await_all(bound, free)
        await_all(free, bound)
        wait(lambda: theirs(stack.hosts["h1"]) == before, "all to be as it was", 10.0)
        if with_plan:
            assert bound.mark(free) == {DSCP << 2}


def pour(stack: Stack, sender: Vm, receiver: Vm, rate: float, seconds: float = 3.0) -> float:
    """Send UDP at a rate and give the rate that arrives, both in Mbit/s of IP packets."""
    counting = stack.popen(receiver, sys.executable, "-c", COUNT, stdout=subprocess.PIPE)
    try:
        assert counting.stdout is not None
        assert counting.stdout.readline() == b"ready\n"
        stack.run(sender, sys.executable, "-c", POUR, receiver.ipv4, str(rate), str(seconds))
        return int(counting.stdout.readline()) * 8000 / seconds / 1e6
    finally:
        counting.kill()
        counting.communicate()


@pytest.mark.parametrize("direction", ["egress", "ingress"])
def test_ours_only_tightens_what_neutron_limits(stack: Stack, direction: str) -> None:
    network, group = stack.make.network(), [stack.make.open_group()]
    rule = {"max_kbps": 4000, "max_burst_kbps": 400, "direction": direction}
    sold = stack.make.qos_policy(bandwidth_limit=rule)
    first = stack.plug(stack.make.port(network, "h1", security_groups=group, qos_policy_id=sold))
    second = stack.plug(stack.make.port(network, "h2", security_groups=group))
    ends = (first, second) if direction == "egress" else (second, first)
    assert stack.pings(*_addressed(ends))
    plain = pour(stack, *ends, 12.0)
    assert 3.0 < plain < 6.5, "Neutron's own limit"
    before = theirs(stack.hosts["h1"])
    for ours, least, most in ((1000, 0.6, 2.0), (9000, 3.0, 6.5)):
        made = restrict(stack, first, {"action": "limit", "direction": direction, "max_kbps": ours})
        wait(partial(in_force, stack, made["id"]), "the restriction")
        assert least < pour(stack, *ends, 12.0) < most, f"ours is {ours} kbit/s"
        lift(stack, made["id"])
        wait(lambda: theirs(stack.hosts["h1"]) == before, "all to be as it was", 15.0)
    assert 3.0 < pour(stack, *ends, 12.0) < 6.5, "Neutron's own limit again"


def _addressed(ends: tuple[Vm, Vm]) -> tuple[Vm, str]:
    return ends[0], ends[1].ipv4


def test_parent_and_subport_of_a_trunk_are_bound_apart(stack: Stack) -> None:
    make, group = stack.make, [stack.make.open_group()]
    outer, inner = make.network(), make.network()
    parent, child = (make.port(net, "", security_groups=group) for net in (outer, inner))
    make.trunk(parent["id"], {child["id"]: 42})
    vm = stack.plug(make.bind(parent["id"], "h1"))
    stack.plug_subport(vm, child, 42)
    near, far = (stack.plug(make.port(net, "h2", security_groups=group)) for net in (outer, inner))
    with talkers(stack, vm, near, far, ports=PORTS) as (bound, outside, inside):
        for other in (outside, inside):
            await_all(bound, other)
        for restricted, other, spared in (
            (parent["id"], outside, inside),
            (child["id"], inside, outside),
        ):
            made = restrict(stack, replace(vm, port=restricted), SMTP)
            wait(partial(in_force, stack, made["id"]), "the restriction")
            assert bound.answered(services(other.vm)) == services(other.vm) - both(other.vm, "tcp", 25)
            assert bound.answers_all(services(spared.vm))
            lift(stack, made["id"])
            await_all(bound, other)


def test_two_ports_of_one_mac_are_bound_apart(stack: Stack) -> None:
    """MAC addresses are unique within a network only."""
    make, group = stack.make, [stack.make.open_group()]
    talk = []
    for _ in range(2):
        network = make.network()
        twin = make.port(network, "h1", security_groups=group, mac_address="fa:16:3e:aa:aa:aa")
        talk += [stack.plug(twin), stack.plug(make.port(network, "h1", security_groups=group))]
    with talkers(stack, *talk, ports=PORTS) as (first, first_peer, second, second_peer):
        for one, other in ((first, first_peer), (second, second_peer)):
            await_all(one, other)
            await_all(other, one)
        made = restrict(stack, first.vm, SMTP, SUBMISSION)
        wait(partial(in_force, stack, made["id"]), "the restriction")
        assert first.answered(services(first_peer.vm)) == services(first_peer.vm) - both(
            first_peer.vm, "tcp", 25
        )
        assert first_peer.answered(services(first.vm)) == services(first.vm) - both(first.vm, "udp", 587)
        assert second.answers_all(services(second_peer.vm))
        assert second_peer.answers_all(services(second.vm))
