"""What Ansible is asked for: a module of cisco.nxos and its arguments, each building on those before."""

from __future__ import annotations

import sys
from typing import Any

Case = tuple[str, str, dict[str, Any]]


def case(module: str, state: str, config: Any) -> Case:
    """Give a case of a resource module."""
    return (
        f"{module} {state}",
        f"cisco.nxos.nxos_{module}",
        {"state": state, **({"config": config} if config else {})},
    )


def acls(*rules: dict[str, Any]) -> list[dict[str, Any]]:
    """Give two access lists, one with these rules."""
    six = {"sequence": 10, "grant": "permit", "protocol": "tcp", "source": {"any": True}}
    six["destination"] = {"prefix": "2001:db8::/32", "port_protocol": {"eq": "443"}}
    return [
        {"afi": "ipv4", "acls": [{"name": "web", "aces": list(rules)}]},
        {"afi": "ipv6", "acls": [{"name": "six", "aces": [six]}]},
    ]


ANY: dict[str, Any] = {"source": {"any": True}, "destination": {"any": True}}
DENY = {"sequence": 20, "grant": "deny", "protocol": "ip", "log": True, **ANY}
PORTS = {"range": {"start": "8080", "end": "8090"}}
PERMIT = {"sequence": 10, "grant": "permit", "protocol": "tcp", "source": {"any": True}}
PERMIT["destination"] = {"prefix": "10.0.0.0/24", "port_protocol": PORTS}


def routes(hop: str, **more: int) -> list[dict[str, Any]]:
    """Give a static route."""
    route = {"dest": "192.0.2.0/24", "next_hops": [{"forward_router_address": hop, **more}]}
    return [{"address_families": [{"afi": "ipv4", "routes": [route]}]}]


def trunk(native: int, allowed: str) -> list[dict[str, Any]]:
    """Give a trunk."""
    return [
        {"name": "Ethernet1/3", "mode": "trunk", "trunk": {"native_vlan": native, "allowed_vlans": allowed}}
    ]


DEFAULT = {"vlan_id": 1, "name": "default"}
BOTH = [{"member": "Ethernet1/10", "mode": "active"}, {"member": "Ethernet1/11", "mode": "active"}]
BOUND = {"afi": "ipv4", "acls": [{"name": "web", "direction": "in", "port": True}]}
NTP = {"server": "192.0.2.2", "vrf": "default"}

CASES: list[Case] = [
    ("lacp on", "cisco.nxos.nxos_feature", {"feature": "lacp", "state": "enabled"}),
    ("svi on", "cisco.nxos.nxos_feature", {"feature": "interface-vlan", "state": "enabled"}),
    case("vlans", "merged", [{"vlan_id": 10, "name": "web"}, {"vlan_id": 20, "name": "db"}]),
    case("vlans", "replaced", [{"vlan_id": 20, "name": "back"}]),
    case("vlans", "overridden", [DEFAULT, {"vlan_id": 10, "name": "web"}, {"vlan_id": 30}]),
    case("vlans", "deleted", [{"vlan_id": 30}]),
    case(
        "interfaces", "merged", [{"name": "Ethernet1/1", "description": "x", "mtu": 9216, "enabled": False}]
    ),
    case("interfaces", "deleted", [{"name": "Ethernet1/1"}]),
    case("l2_interfaces", "merged", trunk(10, "10,20-25")),
    case("l2_interfaces", "replaced", trunk(20, "20-25,15")),
    case("l2_interfaces", "deleted", [{"name": "Ethernet1/3"}]),
    case("lag_interfaces", "merged", [{"name": "port-channel10", "members": BOTH}]),
    case("lag_interfaces", "deleted", [{"name": "port-channel10"}]),
    case("acls", "merged", acls(PERMIT, DENY)),
    case("acls", "replaced", acls(DENY)),
    case("acl_interfaces", "merged", [{"name": "Ethernet1/5", "access_groups": [BOUND]}]),
    case("acl_interfaces", "deleted", [{"name": "Ethernet1/5"}]),
    case("acls", "deleted", None),
    case("static_routes", "merged", routes("10.0.0.254", admin_distance=5)),
    case("static_routes", "replaced", routes("10.0.0.253")),
    case("static_routes", "deleted", None),
    case(
        "ntp_global",
        "merged",
        {"servers": [{"server": "192.0.2.1", "prefer": True, "vrf": "management"}, NTP]},
    ),
    case("ntp_global", "replaced", {"servers": [NTP]}),
    case(
        "logging_global",
        "merged",
        {"hosts": [{"host": "192.0.2.9", "severity": "error", "use_vrf": "management"}]},
    ),
    case("snmp_server", "merged", {"contact": "noc@example.com", "location": "row 1"}),
    case("hostname", "merged", {"hostname": "leaf-9"}),
]


def playbook(port: int) -> list[dict[str, Any]]:
    """Give a play that does each case twice, over NX-API."""
    reached = {
        "ansible_host": "127.0.0.1",
        "ansible_connection": "ansible.netcommon.httpapi",
        "ansible_network_os": "cisco.nxos.nxos",
        "ansible_httpapi_port": port,
        "ansible_httpapi_use_ssl": False,
        "ansible_user": "admin",
        "ansible_password": "admin",
        "ansible_python_interpreter": sys.executable,
    }
    tasks = [
        {"name": f"{name}, {turn}", module: arguments}
        for name, module, arguments in CASES
        for turn in ("first", "again")
    ]
    return [{"hosts": "all", "gather_facts": False, "vars": reached, "tasks": tasks}]
