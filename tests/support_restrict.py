"""Restrictions asked of Neutron, as the administrator."""

from __future__ import annotations

from typing import Any

from sekisho.lab.openstack.stack import Stack
from sekisho.lab.openstack.vms import Vm

PATH = "/port-restrictions"
SMTP: dict[str, Any] = {
    "action": "drop",
    "direction": "egress",
    "protocol": "tcp",
    "port_range_min": 25,
    "port_range_max": 25,
}


def restrict(stack: Stack, vm: Vm, *actions: dict[str, Any], **more: Any) -> dict[str, Any]:
    body = {"port_id": vm.port, "actions": list(actions), "reason": "it sent spam", "duration": 600, **more}
    made: dict[str, Any] = stack.api("network", "POST", PATH, {"port_restriction": body})["port_restriction"]
    return made


def lift(stack: Stack, identifier: str) -> None:
    stack.api("network", "DELETE", f"{PATH}/{identifier}")


def in_force(stack: Stack, identifier: str) -> bool:
    shown = stack.api("network", "GET", f"{PATH}/{identifier}")["port_restriction"]
    return bool(shown["in_force_at"])
