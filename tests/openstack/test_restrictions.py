"""The whole way: from Neutron's API over the keeper to the rules on Neutron's own bridge, seen by packets."""

from __future__ import annotations

import json
import sys
import time
from typing import Any

import pytest

from sekisho.devices.vswitch.pipeline import Layout
from sekisho.lab.openstack.host import Host
from sekisho.lab.openstack.shell import wait
from sekisho.lab.openstack.stack import Stack
from sekisho.lab.openstack.vms import Vm
from sekisho.model.errors import Forbidden, Malformed, NotFound, SekishoError, Unavailable
from sekisho.model.policy import Direction, Drop, Protocol
from sekisho.model.restriction import State
from support_restrict import in_force, restrict
from support_stack import PATH, SMTP

pytestmark = [pytest.mark.ovs, pytest.mark.usefixtures("tidy"), pytest.mark.timeout(300)]

# Says which of two ports of a VM answer: refused is an answer.
ASK = """
import socket, sys
for port in sys.argv[2:]:
    try:
        socket.create_connection((sys.argv[1], int(port)), 1.0)
    except ConnectionRefusedError:
        print(port)
    except OSError:
        pass
"""


def answers(stack: Stack, vm: Vm, address: str, *ports: int) -> set[int]:
    """Which TCP ports of an address answer a VM."""
    done = stack.run(vm, sys.executable, "-c", ASK, address, *map(str, ports))
    return {int(line) for line in done.stdout.split()}


def await_answers(stack: Stack, vm: Vm, address: str) -> None:
    wait(lambda: answers(stack, vm, address, 25, 80) == {25, 80}, f"{address} to answer")


def pair(stack: Stack, kind: str = "vxlan", hosts: tuple[str, str] = ("h1", "h2")) -> tuple[Vm, Vm]:
    network, group = stack.make.network(kind), [stack.make.open_group()]
    first, second = (stack.plug(stack.make.port(network, h, security_groups=group)) for h in hosts)
    for address in (second.ipv4, second.ipv6):
        await_answers(stack, first, address)
    return first, second


def ours(host: Host) -> int:
    """How many rules of a host's bridge bear our cookie; Neutron's bridges speak no OpenFlow 1.5."""
    argv = ["ovs-ofctl", "-OOpenFlow14", "dump-flows", "br-int", f"cookie={Layout().reserved:#x}/-1"]
    done = host.switch.run("", argv)
    assert done.returncode == 0, done.stderr
    return done.stdout.count("cookie=")


@pytest.mark.parametrize("hosts", [("h1", "h2"), ("h1", "h1")])
@pytest.mark.parametrize("kind", ["vxlan", "vlan"])
def test_a_restricted_port_loses_25_and_nothing_else(stack: Stack, kind: str, hosts: tuple[str, str]) -> None:
    first, second = pair(stack, kind, hosts)
    made = restrict(stack, first.port, SMTP)
    wait(lambda: in_force(stack, made["id"]), "the restriction")
    for address in (second.ipv4, second.ipv6):
        assert answers(stack, first, address, 25, 80) == {80}
    stack.api("network", "DELETE", f"{PATH}/{made['id']}")
    wait(lambda: answers(stack, first, second.ipv4, 25, 80) == {25, 80}, "the port to be free")


def test_what_is_closed_to_a_port_does_not_reach_it(stack: Stack) -> None:
    first, second = pair(stack)
    made = restrict(stack, second.port, {**SMTP, "direction": "ingress"})
    wait(lambda: in_force(stack, made["id"]), "the restriction")
    for address in (second.ipv4, second.ipv6):
        assert answers(stack, first, address, 25, 80) == {80}
    assert answers(stack, second, first.ipv4, 25, 80) == {25, 80}


def test_an_agent_that_restarts_and_a_switch_that_restarts_bind_again(stack: Stack) -> None:
    first, second = pair(stack)
    made = restrict(stack, first.port, SMTP)
    wait(lambda: in_force(stack, made["id"]), "the restriction")
    stack.restart("agent-h1")
    assert answers(stack, first, second.ipv4, 25) == set()
    stack.hosts["h1"].restart_switch()
    wait(lambda: answers(stack, first, second.ipv4, 80) == {80}, "Neutron to wire the port again", 90.0)
    assert answers(stack, first, second.ipv4, 25) == set()


def test_without_the_extension_nothing_of_ours_is_left(stack: Stack) -> None:
    host = stack.hosts["h1"]
    first, second = pair(stack)
    made = restrict(stack, first.port, SMTP)
    wait(lambda: in_force(stack, made["id"]), "the restriction")
    assert ours(host) > 0
    with_ours = host.settings.extensions
    try:
        host.restart_agent(extensions=tuple(e for e in with_ours if e != "sekisho"))
        stack.plug(stack.make.port(stack.make.network(), "h1"))  # with the next port Neutron cleans up
        wait(lambda: ours(host) == 0, "Neutron's own clean-up")
        assert answers(stack, first, second.ipv4, 25) == {25}
    finally:
        host.restart_agent(extensions=with_ours)


def test_a_project_sees_its_own_and_decides_nothing(stack: Stack) -> None:
    first, _ = pair(stack)
    made = restrict(stack, first.port, SMTP)

    def listed(who: str) -> set[str]:
        found = stack.api("network", "GET", PATH, as_=who)["port_restrictions"]
        return {each["id"] for each in found}

    assert made["id"] in listed("admin") & listed("member") & listed("reader")
    assert made["id"] not in listed("other")
    shown = stack.api("network", "GET", f"{PATH}/{made['id']}", as_="member")["port_restriction"]
    assert shown["reason"] == "it sent spam"
    assert shown["actions"] == [SMTP]
    with pytest.raises(NotFound):
        stack.api("network", "GET", f"{PATH}/{made['id']}", as_="other")
    for who in ("member", "reader"):
        with pytest.raises(Forbidden):
            stack.api("network", "DELETE", f"{PATH}/{made['id']}", as_=who)
    for who in ("other",):
        with pytest.raises(SekishoError):
            stack.api("network", "DELETE", f"{PATH}/{made['id']}", as_=who)
    assert stack.ask("network", "GET", PATH).status == 401
    assert stack.keeper.restriction(made["id"]).state is State.ACTIVE


def test_a_port_shows_what_binds_it(stack: Stack) -> None:
    first, second = pair(stack)
    made = restrict(stack, first.port, SMTP)

    def shown(vm: Vm, who: str = "member") -> Any:
        return stack.api("network", "GET", f"/ports/{vm.port}", as_=who)["port"]["restrictions"]

    wait(lambda: [r["id"] for r in shown(first) or ()] == [made["id"]], "the port to show it")
    assert shown(second) == []


def test_lists_are_filtered_sorted_and_paged(stack: Stack) -> None:
    first, second = pair(stack)
    one, two = restrict(stack, first.port, SMTP), restrict(stack, second.port, SMTP, duration=60)

    def listed(query: str) -> list[str]:
        found = stack.api("network", "GET", f"{PATH}?{query}")["port_restrictions"]
        return [each["id"] for each in found]

    assert listed(f"port_id={first.port}") == [one["id"]]
    both = f"port_id={first.port}&port_id={second.port}"
    assert listed(f"{both}&sort_key=expires_at&sort_dir=asc&limit=1") == [two["id"]]
    stack.api("network", "DELETE", f"{PATH}/{two['id']}")
    assert two["id"] not in listed("")
    assert two["id"] in listed("state=lifted")
    found = stack.api("network", "GET", f"{PATH}?fields=id&fields=state")["port_restrictions"]
    assert {"id": one["id"], "state": "active"} in found


def test_it_is_made_longer_and_what_makes_no_sense_is_refused(stack: Stack) -> None:
    first, _ = pair(stack)
    made = restrict(stack, first.port, SMTP, duration=60)
    longer = {"port_restriction": {"duration": 3600, "reason": "again"}}
    changed = stack.api("network", "PUT", f"{PATH}/{made['id']}", longer)["port_restriction"]
    assert changed["expires_at"] > made["expires_at"]
    for wrong in ({"action": "drop"}, {**SMTP, "protocol": "icmp"}, {**SMTP, "colour": "red"}):
        with pytest.raises(Malformed):
            restrict(stack, first.port, wrong)
    with pytest.raises(NotFound):
        stack.api("network", "PUT", f"{PATH}/r999999", longer)


def test_ports_go_on_while_the_keeper_is_away(stack: Stack) -> None:
    first, second = pair(stack)
    made = restrict(stack, first.port, SMTP)
    wait(lambda: in_force(stack, made["id"]), "the restriction")
    stack.kill("keeper")
    try:
        with pytest.raises(Unavailable):
            stack.api("network", "GET", PATH)
        with pytest.raises(Unavailable):
            restrict(stack, second.port, SMTP)
        began = time.monotonic()
        port = stack.make.port(stack.make.network(), "h1")
        stack.plug(port)
        assert time.monotonic() - began < 60
        assert answers(stack, first, second.ipv4, 25, 80) == {80}
    finally:
        stack.restart_keeper({})


def test_a_plan_carries_its_port_block(stack: Stack) -> None:
    plan = stack.make.qos_policy()
    baseline = f'[baseline.plan]\ndrop = "tcp/25"\nscope = {{ qos = [{json.dumps(plan)}] }}\n'
    file = stack.folder / "keeper" / "policies" / "plan.toml"
    first, second = pair(stack)
    file.write_text(baseline)
    try:
        assert stack.keeper.reload_policies().problems == ()
        stack.api("network", "PUT", f"/ports/{first.port}", {"port": {"qos_policy_id": plan}})
        wait(lambda: answers(stack, first, second.ipv4, 25, 80) == {80}, "the plan's block")
        _sees_the_baseline(stack, first.port)
        stack.api("network", "PUT", f"/ports/{first.port}", {"port": {"qos_policy_id": None}})
        wait(lambda: answers(stack, first, second.ipv4, 25, 80) == {25, 80}, "the block to go with the plan")
    finally:
        file.unlink()
        stack.keeper.reload_policies()


def _sees_the_baseline(stack: Stack, port: str) -> None:
    """The owner of a port sees why it is closed, and cannot open it; nobody else sees it."""
    mine = stack.api("network", "GET", f"{PATH}?port_id={port}", as_="member")["port_restrictions"]
    assert [(r["state"], r["policy"], r["actions"]) for r in mine] == [("standing", "plan", [SMTP])]
    one = f"{PATH}/{mine[0]['id']}"
    assert stack.api("network", "GET", one, as_="member")["port_restriction"] == mine[0]
    assert stack.api("network", "GET", f"{PATH}?port_id={port}", as_="other")["port_restrictions"] == []
    assert stack.api("network", "GET", f"{PATH}?port_id={port}&state=active")["port_restrictions"] == []
    with pytest.raises(NotFound):
        stack.api("network", "GET", one, as_="other")
    with pytest.raises(Forbidden):
        stack.api("network", "DELETE", one)


def test_what_a_person_imposes_at_the_keeper_is_seen_in_neutron(stack: Stack) -> None:
    first, _ = pair(stack)
    drop = Drop(Protocol.TCP, Direction.EGRESS, 25, 25)
    made = stack.keeper.impose(first.port, (drop,), "by hand", 600)
    shown = stack.api("network", "GET", f"{PATH}/{made.id}", as_="member")["port_restriction"]
    assert shown["actions"] == [SMTP]
    assert shown["origin"] == "operator"
