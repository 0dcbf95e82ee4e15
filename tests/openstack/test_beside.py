"""Beside what is Neutron's own: its bandwidth limits, trunks, and MAC addresses that two networks have."""

from __future__ import annotations

from functools import partial

import pytest

from sekisho.lab.openstack.shell import wait
from sekisho.lab.openstack.stack import Stack
from support_restrict import SUBMISSION, in_force, lift, restrict, theirs
from support_stack import SMTP, trunked
from support_stream import pour
from support_talk import PORTS, await_all, both, services, talkers

pytestmark = [pytest.mark.ovs, pytest.mark.usefixtures("tidy"), pytest.mark.timeout(300)]


@pytest.mark.parametrize("direction", ["egress", "ingress"])
def test_ours_only_tightens_what_neutron_limits(stack: Stack, direction: str) -> None:
    network, group = stack.make.network(), [stack.make.open_group()]
    rule = {"max_kbps": 4000, "max_burst_kbps": 400, "direction": direction}
    sold = stack.make.qos_policy(bandwidth_limit=rule)
    first = stack.plug(stack.make.port(network, "h1", security_groups=group, qos_policy_id=sold))
    second = stack.plug(stack.make.port(network, "h2", security_groups=group))
    ends = (first, second) if direction == "egress" else (second, first)
    assert stack.pings(ends[0], ends[1].ipv4)

    def poured(least: float) -> float:
        """Pour up to three times: TCP on a busy machine falls short of what a limit lets through."""
        rates: list[float] = []
        while len(rates) < 3 and max(rates, default=0.0) <= least:
            rates.append(pour(stack, *ends, 12.0))
        return max(rates)

    assert 3.0 < poured(3.0) < 6.5, "Neutron's own limit"
    before = theirs(stack.hosts["h1"], first)
    for ours, least, most in ((1000, 0.6, 2.0), (9000, 3.0, 6.5)):
        made = restrict(stack, first.port, {"action": "limit", "direction": direction, "max_kbps": ours})
        wait(partial(in_force, stack, made["id"]), "the restriction")
        assert least < poured(least) < most, f"ours is {ours} kbit/s"
        lift(stack, made["id"])
        wait(lambda: theirs(stack.hosts["h1"], first) == before, "all to be as it was", 15.0)
    assert 3.0 < poured(3.0) < 6.5, "Neutron's own limit again"


def test_parent_and_subport_of_a_trunk_are_bound_apart(stack: Stack) -> None:
    trunk = trunked(stack)
    vm, parent, child, group = trunk.vm, trunk.vm.port, trunk.subport, [trunk.group]
    near, far = (
        stack.plug(stack.make.port(net, "h2", security_groups=group)) for net in (trunk.outer, trunk.inner)
    )
    with talkers(stack, vm, near, far, ports=PORTS) as (bound, outside, inside):
        for other in (outside, inside):
            await_all(bound, other)
        for restricted, other, spared in (
            (parent, outside, inside),
            (child, inside, outside),
        ):
            made = restrict(stack, restricted, SMTP)
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
        made = restrict(stack, first.vm.port, SMTP, SUBMISSION)
        wait(partial(in_force, stack, made["id"]), "the restriction")
        assert first.answered(services(first_peer.vm)) == services(first_peer.vm) - both(
            first_peer.vm, "tcp", 25
        )
        assert first_peer.answered(services(first.vm)) == services(first.vm) - both(first.vm, "udp", 587)
        assert second.answers_all(services(second_peer.vm))
        assert second_peer.answers_all(services(second.vm))
