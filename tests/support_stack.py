"""What tests of the OpenStack bed share: what they ask Neutron for, what they look for on the machine."""

from __future__ import annotations

import json
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from sekisho.lab.openstack import keystone
from sekisho.lab.openstack.resources import Network
from sekisho.lab.openstack.settings import PROJECTS
from sekisho.lab.openstack.stack import Stack
from sekisho.lab.openstack.vms import Vm

PATH = "/port-restrictions"
SMTP = {
    "action": "drop",
    "direction": "egress",
    "protocol": "tcp",
    "port_range_min": 25,
    "port_range_max": 25,
}


def processes_in(folder: Path) -> list[str]:
    """List the commands of processes that name a folder."""
    found = []
    for each in Path("/proc").glob("[0-9]*/cmdline"):
        with suppress(OSError):
            command = each.read_bytes().replace(b"\0", b" ").decode(errors="replace").strip()
            if str(folder) in command:
                found.append(command)
    return found


def clouds_file(folder: Path, user: str = "sekisho") -> Path:
    """Write a clouds.yaml in which the cloud `stack` is the stack, as one of its users sees it."""
    cloud = {
        "auth": keystone.credentials(user, PROJECTS[user]),
        "region_name": keystone.REGION,
        "identity_api_version": "3",
    }
    file = folder / "clouds.yaml"
    file.write_text(json.dumps({"clouds": {"stack": cloud}}))  # JSON is YAML
    return file


@dataclass(frozen=True)
class Trunk:
    """A VM on h1 whose port, in the outer network, is the parent of a subport in the inner one."""

    vm: Vm
    subport: str
    outer: Network
    inner: Network
    group: str


def trunked(stack: Stack) -> Trunk:
    """Plug a VM that has a trunk; it lets everything in."""
    make, group = stack.make, stack.make.open_group()
    outer, inner = make.network(), make.network()
    parent, child = (make.port(net, "", security_groups=[group]) for net in (outer, inner))
    make.trunk(parent["id"], {child["id"]: 42})
    vm = stack.plug(make.bind(parent["id"], "h1"))
    stack.plug_subport(vm, child, 42)
    return Trunk(vm, child["id"], outer, inner, group)
