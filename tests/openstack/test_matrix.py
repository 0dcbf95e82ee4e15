"""Firewall, network, Neutron's own QoS, IP version, direction, new and established: each in packets."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from sekisho.lab.openstack.shell import wait
from sekisho.lab.openstack.stack import Stack
from support_restrict import SUBMISSION, in_force, lift, restrict, theirs
from support_stack import SMTP
from support_talk import PORTS, await_all, both, services, talkers

pytestmark = [pytest.mark.ovs, pytest.mark.usefixtures("tidy"), pytest.mark.timeout(300)]

DSCP = 26


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
        before = theirs(stack.hosts["h1"], first)

        made = restrict(stack, first.port, SMTP, SUBMISSION)
        wait(lambda: in_force(stack, made["id"]), "the restriction")
        assert bound.held() == [False, False, True, True], "established connections, 25 and 80"
        assert bound.answered(services(second)) == services(second) - both(second, "tcp", 25)
        assert free.answered(services(first)) == services(first) - both(first, "udp", 587)
        if with_plan:
            assert bound.mark(free) == {DSCP << 2}, "Neutron's own mark"

        lift(stack, made["id"])
        await_all(bound, free)
        await_all(free, bound)
        wait(lambda: theirs(stack.hosts["h1"], first) == before, "all to be as it was", 10.0)
        if with_plan:
            assert bound.mark(free) == {DSCP << 2}
