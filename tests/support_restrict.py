"""Restrictions asked of Neutron, as the administrator."""

from __future__ import annotations

import re
from typing import Any

from sekisho.devices.vswitch.pipeline import Layout
from sekisho.lab.openstack.host import Host
from sekisho.lab.openstack.stack import Stack
from sekisho.lab.openstack.vms import Vm
from support_stack import PATH, SMTP

SUBMISSION = {**SMTP, "direction": "ingress", "protocol": "udp", "port_range_min": 587, "port_range_max": 587}
_COUNTERS = re.compile(r"(duration|n_packets|n_bytes|idle_age|hard_age)=[^,]*,? ?|priority_tags")


def restrict(stack: Stack, port: str, *actions: dict[str, Any], **more: Any) -> dict[str, Any]:
    body = {"port_id": port, "actions": list(actions), "reason": "it sent spam", "duration": 600, **more}
    made: dict[str, Any] = stack.api("network", "POST", PATH, {"port_restriction": body})["port_restriction"]
    return made


def lift(stack: Stack, identifier: str) -> None:
    stack.api("network", "DELETE", f"{PATH}/{identifier}")


def in_force(stack: Stack, identifier: str) -> bool:
    shown = stack.api("network", "GET", f"{PATH}/{identifier}")["port_restriction"]
    return bool(shown["in_force_at"])


def theirs(host: Host, vm: Vm) -> list[str]:
    """List what Neutron has on a host's bridge for a VM's port: rules without counters, and their meters.

    Other ports come and go meanwhile, and their rules with them.
    """
    number = host.switch.vsctl("get", "Interface", vm.interface, "ofport").strip()
    of_port = re.compile(
        rf"in_port={number}\b|reg5=0x{int(number):x}\b|output:{number}\b|{vm.mac}|{vm.interface}"
    )
    ours = f"cookie={Layout().reserved:#x}"
    rules = [x for x in _told(host, "dump-flows") if ours not in x and of_port.search(x)]
    used = {f"meter={meter}" for rule in rules for meter in re.findall(r"meter:(\d+)", rule)}
    meters = [x for x in _told(host, "dump-meters") if used & set(x.split())]
    assert len(meters) == len(used)
    return sorted(rules + meters)


def _told(host: Host, command: str) -> list[str]:
    done = host.switch.run("", ["ovs-ofctl", "-OOpenFlow14", command, "br-int"])
    assert done.returncode == 0, done.stderr
    return [_COUNTERS.sub("", line) for line in done.stdout.splitlines()]
