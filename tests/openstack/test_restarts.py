"""Everything is killed and started again while traffic flows: a bound port stays bound, a free one free."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator

import pytest

from sekisho.lab.openstack.shell import wait
from sekisho.lab.openstack.stack import Stack
from sekisho.lab.openstack.vms import Vm
from support_restrict import in_force, lift, restrict
from support_stack import SMTP
from support_stream import CLOSED, Stream

pytestmark = [pytest.mark.ovs, pytest.mark.timeout(300)]

SHUT = {**SMTP, "protocol": "udp", "port_range_min": CLOSED, "port_range_max": CLOSED}
# What a bound port may get through with around a restart, and how long others may be stopped, in seconds.
LEAK = 0.2
# For what does not forward: a busy machine may hold the stream itself back for a moment.
STILL = 1.0
SERVICES = (
    "rabbitmq",
    "mariadb",
    "keystone",
    "gnocchi-api",
    "neutron-api",
    "neutron-rpc",
    "keeper",
    "agent-h1",
)


@pytest.fixture(scope="module")
def pair(stack: Stack) -> Iterator[tuple[Vm, Vm]]:
    network, group = stack.make.network(), [stack.make.open_group()]
    first, second = (stack.plug(stack.make.port(network, h, security_groups=group)) for h in stack.hosts)
    assert stack.pings(first, second.ipv4)
    yield first, second
    for vm in (first, second):
        stack.unplug(vm)
    stack.make.clear()


@pytest.fixture
def stream(stack: Stack, pair: tuple[Vm, Vm]) -> Iterator[Stream]:
    """A stream from a bound port to a free one."""
    made = restrict(stack, pair[0].port, SHUT)
    wait(lambda: in_force(stack, made["id"]), "the restriction")
    with Stream(stack, *pair) as flowing:
        flowing.await_through(time.monotonic())
        yield flowing
    lift(stack, made["id"])


@pytest.mark.parametrize("name", SERVICES)
def test_a_service_is_killed_and_comes_back(
    stack: Stack, stream: Stream, name: str, record_property: Callable[[str, object], None]
) -> None:
    began = time.monotonic()
    stack.kill(name)
    stream.await_through(time.monotonic())
    stack.restart(name)
    if name.startswith("agent-"):
        stack.hosts["h1"].await_settled()
    stream.await_through(time.monotonic())
    seen = stream.passage(began)
    record_property("leak, gap", (seen.leak, seen.gap))
    assert seen.closed == []
    assert seen.gap < STILL


@pytest.mark.parametrize("with_agent", [False, True], ids=["switch", "switch and agent"])
def test_the_switch_restarts(
    stack: Stack, stream: Stream, *, with_agent: bool, record_property: Callable[[str, object], None]
) -> None:
    began = time.monotonic()
    host = stack.hosts["h1"]
    if with_agent:
        host.agent.kill()
    host.restart_switch()
    if with_agent:
        host.start_agent()
        host.await_settled()
    stream.await_through(time.monotonic())
    seen = stream.passage(began)
    record_property("leak, gap", (seen.leak, seen.gap))
    assert seen.leak < LEAK


def test_who_is_freed_while_nobody_is_there_is_free_on_time(stack: Stack, pair: tuple[Vm, Vm]) -> None:
    made = restrict(stack, pair[0].port, SHUT, duration=8)
    wait(lambda: in_force(stack, made["id"]), "the restriction")
    began = time.monotonic()
    with Stream(stack, *pair) as stream:
        stack.kill("keeper")
        stack.kill("agent-h1")
        try:
            wait(lambda: bool(stream.passage(began).closed), "the switch to let go", 20.0)
            freed = stream.passage(began).closed[0] - began
            assert 4.0 < freed < 10.0
        finally:
            stack.restart_keeper({})
            stack.restart("agent-h1")
