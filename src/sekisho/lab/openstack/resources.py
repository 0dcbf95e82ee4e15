"""What a cloud's customers and operators make in Neutron, in few words."""

from __future__ import annotations

import itertools
import uuid
from contextlib import suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from sekisho.lab.openstack.settings import PHYSNET
from sekisho.model.errors import NotFound

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from sekisho.lab.openstack.rest import Rest


@dataclass(frozen=True, slots=True)
class Network:
    """A network with an IPv4 and an IPv6 subnet."""

    id: str
    kind: str
    project: str
    subnets: tuple[str, ...]


@dataclass(slots=True)
class Resources:
    """Makes resources as the administrator, for a project by name; `clear` takes them away, newest first."""

    rest: Rest
    made: list[str] = field(default_factory=list)
    _numbers: Iterator[int] = field(default_factory=lambda: itertools.count(1))
    _projects: dict[str, str] = field(default_factory=dict)

    def project(self, name: str) -> str:
        """Give a project's id."""
        if name not in self._projects:
            found: Any = self.rest.api("identity", "GET", f"/projects?name={name}")
            self._projects[name] = found["projects"][0]["id"]
        return self._projects[name]

    def make(self, kind: str, project: str = "", **attributes: Any) -> Any:
        """Make one resource of Neutron's (`port`, `qos_policy`, ...) and give what it became."""
        path = _path(kind)
        owner = {"project_id": self.project(project)} if project else {}
        answer: Any = self.rest.api("network", "POST", path, {kind: {**owner, **attributes}})
        self.made.append(f"{path}/{answer[kind]['id']}")
        return answer[kind]

    def forget(self, kind: str, identifier: str) -> None:
        """Delete one resource."""
        path = f"{_path(kind)}/{identifier}"
        self.rest.api("network", "DELETE", path)
        if path in self.made:
            self.made.remove(path)

    def clear(self) -> None:
        """Delete everything that was made, as far as it is still there."""
        while self.made:
            path = self.made.pop()
            with suppress(NotFound):
                if path.startswith("/trunks/"):
                    self._free(self.rest.api("network", "GET", path)["trunk"]["port_id"])
                self.rest.api("network", "DELETE", path)

    def _free(self, port: str) -> None:
        """Take a port off its host: Neutron lets go of no trunk whose parent is bound."""
        self.rest.api(
            "network", "PUT", f"/ports/{port}", {"port": {"binding:host_id": "", "device_owner": ""}}
        )

    def network(self, kind: str = "vxlan", project: str = "demo", **attributes: Any) -> Network:
        """Make a network (`vxlan`, `vlan` or `flat`; one flat at a time) with its two subnets."""
        provider = {"provider:network_type": kind}
        if kind in ("vlan", "flat"):
            provider["provider:physical_network"] = PHYSNET
        number = next(self._numbers)
        body = {"name": f"{kind}-{number}", **provider, **attributes}
        made = self.make("network", project, **body)
        ranges = ((4, f"10.77.{number}.0/24"), (6, f"fd77:{number:x}::/64"))
        subnets = [self._subnet(made["id"], project, version, cidr) for version, cidr in ranges]
        return Network(made["id"], kind, project, tuple(subnets))

    def _subnet(self, network: str, project: str, version: int, cidr: str) -> str:
        body = {"network_id": network, "ip_version": version, "cidr": cidr, "enable_dhcp": False}
        return str(self.make("subnet", project, **body)["id"])

    def port(self, network: Network, host: str, project: str = "", **attributes: Any) -> Any:
        """Make a port of a server that is bound to a host; host "" leaves it unbound (a trunk's subport)."""
        compute = {"device_owner": "compute:nova", "device_id": str(uuid.uuid4()), "binding:host_id": host}
        body = {"network_id": network.id, **(compute if host else {}), **attributes}
        return self.make("port", project or network.project, **body)

    def security_group(self, project: str = "demo", *rules: dict[str, Any]) -> str:
        """Make a security group that lets everything out, and in what the rules say."""
        name = f"group-{next(self._numbers)}"
        group: Any = self.make("security_group", project, name=name)
        for rule in rules:
            body = {"security_group_id": group["id"], "direction": "ingress", **rule}
            self.rest.api("network", "POST", "/security-group-rules", {"security_group_rule": body})
        return str(group["id"])

    def open_group(self, project: str = "demo") -> str:
        """Make a security group that lets everything in."""
        return self.security_group(project, {"ethertype": "IPv4"}, {"ethertype": "IPv6"})

    def bind(self, port: str, host: str) -> Any:
        """Bind a port to a host, as Nova does when a server is built there."""
        bound = {"device_owner": "compute:nova", "device_id": str(uuid.uuid4()), "binding:host_id": host}
        return self.rest.api("network", "PUT", f"/ports/{port}", {"port": bound})["port"]

    def trunk(self, parent: str, subports: Mapping[str, int], project: str = "demo") -> Any:
        """Make a trunk over a parent port that is not bound yet; subports are VLAN by port id."""
        listed = [
            {"port_id": port, "segmentation_type": "vlan", "segmentation_id": vlan}
            for port, vlan in subports.items()
        ]
        return self.make("trunk", project, port_id=parent, sub_ports=listed)

    def qos_policy(self, project: str = "demo", *, shared: bool = False, **rules: dict[str, Any]) -> str:
        """Make a QoS policy; rules by kind: bandwidth_limit, packet_rate_limit, dscp_marking."""
        name = f"plan-{next(self._numbers)}"
        policy: Any = self.make("policy", project, name=name, shared=shared)
        for kind, rule in rules.items():
            body = {f"{kind}_rule": rule}
            self.rest.api("network", "POST", f"/qos/policies/{policy['id']}/{kind}_rules", body)
        return str(policy["id"])


def _path(kind: str) -> str:
    folder = {"policy": "/qos/policies"}
    return folder.get(kind, f"/{kind.replace('_', '-')}s")
