"""What a stack is made of, before anything runs."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

# Sections and options of an oslo.config file.
Ini = dict[str, dict[str, object]]

# Networks of the benchmarking range (RFC 2544): nobody's, and never routed.
CONTROLLER: Final = "198.18.0.1"
KEEPER_PORT: Final = 8790
COLLECTOR_PORT: Final = 6343
PORTS: Final = {"identity": 5000, "network": 9696, "metric": 8041, "load-balancer": 9876}
PATHS: Final = {"identity": "/v3", "network": "/v2.0", "metric": "/v1", "load-balancer": "/v2"}
PHYSNET: Final = "physnet1"


@dataclass(frozen=True, slots=True)
class HostSettings:
    """One hypervisor: its name, its place in the stack's networks, and what its Neutron agent runs."""

    name: str
    number: int
    firewall: str = "openvswitch"
    extensions: tuple[str, ...] = ("qos",)
    added: Mapping[str, Mapping[str, object]] = field(default_factory=dict)

    @property
    def management(self) -> str:
        """Its address among the hosts and the controller."""
        return f"198.18.0.{10 + self.number}"

    @property
    def tunnel(self) -> str:
        """Where its VXLAN tunnels end."""
        return f"198.18.1.{10 + self.number}"


@dataclass(frozen=True, slots=True)
class User:
    """Somebody Keystone knows; the password is the name."""

    name: str
    project: str
    roles: tuple[str, ...]


USERS: Final = (
    User("neutron", "service", ("admin", "service")),
    User("gnocchi", "service", ("admin", "service")),
    User("sekisho", "service", ("admin", "service")),
    User("operator", "admin", ("reader", "sekisho_operator")),
    User("member", "demo", ("member",)),
    User("reader", "demo", ("reader",)),
    User("other", "other", ("member",)),
)
PROJECTS: Final = {"admin": "admin", **{user.name: user.project for user in USERS}}


@dataclass(frozen=True, slots=True)
class StackSettings:
    """What to start and where; `sekisho` puts our plugin, our extension and a keeper into it.

    `folder` is emptied when the stack starts. `openstack` and `gnocchi` are Python environments.
    """

    folder: Path
    openstack: Path
    gnocchi: Path
    hosts: tuple[HostSettings, ...] = (HostSettings("h1", 1), HostSettings("h2", 2))
    service_plugins: tuple[str, ...] = ("qos", "router", "trunk", "tag", "timestamp", "revisions")
    sekisho: bool = False
    metering: bool = True
    # more sections for a service's file, by the service's name: keystone, neutron, gnocchi
    added: Mapping[str, Mapping[str, Mapping[str, object]]] = field(default_factory=dict)
    # settings of the keeper, section by section
    keeper: Mapping[str, Mapping[str, object]] = field(default_factory=dict)
