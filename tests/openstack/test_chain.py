"""The whole chain: a spammer among Neutron's ports is seen in the flows, bound at 25, told why, and freed."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from functools import partial
from itertools import islice
from pathlib import Path

import pytest

from sekisho.lab.openstack.shell import call, enter, wait
from sekisho.lab.openstack.stack import Stack
from sekisho.lab.openstack.vms import Vm
from sekisho.model.restriction import Restriction, State
from support_talk import talkers

pytestmark = [pytest.mark.ovs, pytest.mark.usefixtures("tidy"), pytest.mark.timeout(300)]

POLICY = """
[policy.outgoing-spam]
description = "Many new SMTP connections to many servers"
mode = "enforce"
memory = "1s"
destinations = "any"
[[policy.outgoing-spam.when]]
detector = "smtp-connections"
threshold = "30/5s"
[[policy.outgoing-spam.when]]
detector = "smtp-destinations"
threshold = "8/5s"
[[policy.outgoing-spam.then]]
drop = "tcp/25"
direction = "egress"
for = "15s"
"""
# Begins connections to port 25 of one address after the other, so many a second, until it is killed.
SPAM = """
import socket, sys, time
addresses = sys.argv[2:]
while True:
    for address in addresses:
        with socket.socket() as out:
            out.setblocking(False)
            out.connect_ex((address, 25))
            time.sleep(1 / float(sys.argv[1]))
"""


@pytest.fixture
def watched(stack: Stack) -> Iterator[Stack]:
    """The stack with a policy against spam, a host that exports its flows, and a collector that hears it."""
    host = stack.hosts["h1"]
    before = host.settings.added
    host.restart_agent(added={"sekisho": {"telemetry_protocol": "ipfix"}})
    host.await_settled()
    file: Path = stack.folder / "keeper" / "policies" / "spam.toml"
    file.write_text(POLICY)
    assert stack.keeper.reload_policies().problems == ()
    if "collector" not in stack.place.services:
        stack.start_collector()
    yield stack
    file.unlink()
    stack.keeper.reload_policies()
    host.restart_agent(added=before)


def servers(vm: Vm, count: int, *others: Vm) -> list[str]:
    """Give a VM more addresses, each a mail server's; Neutron gave the others any of the network's."""
    head = vm.ipv4.rpartition(".")[0]
    taken = {each.ipv4 for each in (vm, *others)}
    free = (address for n in range(200, 250) if (address := f"{head}.{n}") not in taken)
    added = list(islice(free, count))
    for address in added:
        call(*enter(vm.namespace), "ip", "addr", "add", f"{address}/24", "dev", "eth0")
    return [vm.ipv4, *added]


def test_a_spammer_is_bound_its_owner_sees_why_and_it_is_freed(watched: Stack) -> None:
    stack, make = watched, watched.make
    network, group = make.network(), [make.open_group()]
    pairs = [{"ip_address": "10.77.0.0/16"}]
    spammer, mail = (stack.plug(make.port(network, "h1", security_groups=group)) for _ in range(2))
    port = make.port(network, "h2", security_groups=group, allowed_address_pairs=pairs)
    receiver = stack.plug(port)
    addresses = servers(receiver, 20, spammer, mail)
    with talkers(stack, mail, receiver, spammer, ports=(25, 80)) as (honest, _, bound):
        services = {("tcp", receiver.ipv4, port) for port in (25, 80)}
        for each in (honest, bound):
            wait(partial(each.answers_all, services), "the mail server to answer")
        spam = stack.popen(spammer, sys.executable, "-c", SPAM, "40", *addresses)
        try:
            made = await_bound(stack, spammer)
            wait(lambda: bound.answered(services) == {("tcp", receiver.ipv4, 80)}, "25 to be closed", 20.0)
            assert honest.answered(services) == services, "who sends little mail is not bound"
        finally:
            spam.kill()
            spam.communicate()
        assert not list(stack.keeper.restrictions(subject=mail.port))
        (told,) = owners_view(stack, "member", spammer)
        assert told["ID"] == made.id
        assert "smtp" in told["Reason"].lower() or "SMTP" in told["Reason"]
        assert owners_view(stack, "other", spammer) == []
        wait(lambda: bound.answered(services) == services, "the spammer to be free again", 60.0)
        wait(lambda: stack.keeper.restriction(made.id).state is not State.ACTIVE, "the ledger to say so")


def await_bound(stack: Stack, vm: Vm) -> Restriction:
    def found() -> list[Restriction]:
        return [r for r in stack.keeper.restrictions(subject=vm.port) if r.state is State.ACTIVE]

    wait(lambda: bool(found()), "the keeper to decide", 60.0)
    (made,) = found()
    assert made.policy == "outgoing-spam"
    return made


def owners_view(stack: Stack, who: str, vm: Vm) -> list[dict[str, str]]:
    done = stack.openstack(["port", "restriction", "list", "--port", vm.port, "-f", "json"], as_=who)
    assert done.returncode == 0, done.stderr
    found: list[dict[str, str]] = json.loads(done.stdout)
    return found
