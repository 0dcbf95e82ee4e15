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
_TOLD = re.compile(r"(duration|n_packets|n_bytes|idle_age|hard_age)=[^,]*,? ?|priority_tags")


def restrict(stack: Stack, vm: Vm, *actions: dict[str, Any], **more: Any) -> dict[str, Any]:
    body = {"port_id": vm.port, "actions": list(actions), "reason": "it sent spam", "duration": 600, **more}
    made: dict[str, Any] = stack.api("network", "POST", PATH, {"port_restriction": body})["port_restriction"]
    return made


def lift(stack: Stack, identifier: str) -> None:
    stack.api("network", "DELETE", f"{PATH}/{identifier}")


def in_force(stack: Stack, identifier: str) -> bool:
    shown = stack.api("network", "GET", f"{PATH}/{identifier}")["port_restriction"]
    return bool(shown["in_force_at"])


def theirs(host: Host) -> list[str]:
    """What stands on a host's bridge that is not ours: rules without counters, and meters."""
    ours = f"cookie={Layout().reserved:#x}"
    lines = host.switch.run("", ["ovs-ofctl", "-OOpenFlow14", "dump-flows", "br-int"]).stdout.splitlines()
    meters = host.switch.run("", ["ovs-ofctl", "-OOpenFlow14", "dump-meters", "br-int"]).stdout.splitlines()
    return sorted(_TOLD.sub("", line) for line in (*lines, *meters) if ours not in line)
