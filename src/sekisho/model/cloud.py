"""What the cloud's own services say of ports, projects and plans (Neutron, Keystone, Nova)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

# When a project came to be that was there before anybody counted: old by any measure.
OLD: Final = 1.0
# Ports of routers, DHCP servers and the like are no customer's.
INFRASTRUCTURE: Final = "network:"


@dataclass(frozen=True, slots=True)
class CloudPort:
    """One port as Neutron has it, whether or not it is on any host yet.

    `host` is where it is bound, `coming` where a live migration takes it. `qos` is the id of the QoS
    policy in effect on it, its own or else its network's. `flavor` may be left empty: the full list knows
    it by the server.
    """

    id: str
    project: str = ""
    network: str = ""
    server: str = ""
    mac: str = ""
    addresses: tuple[str, ...] = ()
    tags: tuple[str, ...] = ()
    qos: str = ""
    flavor: str = ""
    host: str = ""
    coming: str = ""


@dataclass(frozen=True, slots=True)
class Project:
    """One project; `created` in unix seconds, 0 where nobody says."""

    id: str
    name: str = ""
    created: float = 0.0


@dataclass(frozen=True, slots=True)
class Plan:
    """One QoS policy, which is how operators sell plans: it goes by its id, its name and its tags."""

    id: str
    name: str = ""
    tags: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Cloud:
    """A snapshot of it all; `flavors` has each server's. Replaced whole, never changed."""

    ports: tuple[CloudPort, ...] = ()
    projects: tuple[Project, ...] = ()
    plans: tuple[Plan, ...] = ()
    flavors: Mapping[str, str] = field(default_factory=dict)


def is_infrastructure(port: Mapping[str, Any]) -> bool:
    """Tell whether a port, as Neutron's API shows it, is the cloud's own."""
    return str(port.get("device_owner") or "").startswith(INFRASTRUCTURE)


def read_port(port: Mapping[str, Any], network_plan: str = "") -> CloudPort:
    """Read a port as Neutron's API shows it; `network_plan` is the QoS policy of its network."""
    return CloudPort(
        id=port["id"],
        project=port.get("project_id") or "",
        network=port.get("network_id") or "",
        server=port.get("device_id") or "",
        mac=(port.get("mac_address") or "").lower(),
        addresses=tuple(ip["ip_address"] for ip in port.get("fixed_ips") or () if ip.get("ip_address")),
        tags=tuple(port.get("tags") or ()),
        qos=port.get("qos_policy_id") or network_plan,
        host=port.get("binding:host_id") or "",
        # Nova says so before a live migration, and takes it back afterwards.
        coming=str((port.get("binding:profile") or {}).get("migrating_to") or ""),
    )
