"""Users, SNMP, NTP, DNS and syslog as `show running-config` writes them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sekisho.testing.nexus.tree import Node, Tree

SEVERITIES: Final = (
    "emergencies",
    "alerts",
    "critical",
    "errors",
    "warnings",
    "notifications",
    "information",
    "debugging",
)


def users(tree: Tree) -> Iterator[str]:
    """Write the users with their hashes and roles."""
    for user in _by(tree.at("sys/userext").only("aaaUser"), "name"):
        password = f" password 5 {user.get('_hash')} " if user.get("_hash") else ""
        roles = roles_of(user)
        for number, role in enumerate(roles):
            yield f"username {user.attrs['name']}{password if number == 0 else ''} role {role}".replace(
                "  ", " "
            )


def roles_of(user: Node) -> list[str]:
    """List a user's roles."""
    domain = user.kids.get("userdomain-[all]")
    found = [role.attrs["name"] for role in domain.only("aaaUserRole")] if domain else []
    return found or ["network-operator"]


def early(tree: Tree) -> Iterator[str]:
    """Write what stands before the access lists: names and their servers."""
    yield "ip domain-lookup"
    jumbo = tree.at("sys/ethpm/inst").get("systemJumboMtu")
    if jumbo != "9216":
        yield f"system jumbomtu {jumbo}"
    if tree.at("sys/ethpm/inst").get("systemDefaultLayer") != "Layer2":
        yield "no system default switchport"
    yield from _default_resolver(tree)


def late(tree: Tree) -> Iterator[str]:
    """Write what stands after the access lists."""
    yield from _snmp(tree)
    yield from _ntp(tree)
    yield from _syslog(tree)


def _default_resolver(tree: Tree) -> Iterator[str]:
    profile = tree.find("sys/dns/prof-[default]")
    if profile is None:
        return
    domain = profile.kids.get("dom")
    if domain is not None and domain.get("name"):
        yield f"ip domain-name {domain.get('name')}"
    servers = [server.attrs["addr"] for server in _by(profile.only("dnsProvider"), "addr")]
    if servers:
        yield f"ip name-server {' '.join(servers)}"


def resolver(tree: Tree, vrf: str) -> Iterator[str]:
    """Write a VRF's own name servers."""
    found = tree.find(f"sys/dns/prof-[default]/vrf-[{vrf}]")
    servers = [server.attrs["addr"] for server in _by(found.only("dnsProvider"), "addr")] if found else []
    if servers:
        yield f"  ip name-server {' '.join(servers)}"


def _snmp(tree: Tree) -> Iterator[str]:
    inst = tree.at("sys/snmp/inst")
    info = tree.at("sys/snmp/inst/sysinfo")
    if info.get("sysContact"):
        yield f"snmp-server contact {info.get('sysContact')}"
    if info.get("sysLocation"):
        yield f"snmp-server location {info.get('sysLocation')}"
    for host in _by(inst.only("snmpHost"), "hostName"):
        yield f"snmp-server host {host.attrs['hostName']} {_host(host)}"
        for vrf in host.only("snmpUseVrf"):
            yield f"snmp-server host {host.attrs['hostName']} use-vrf {vrf.attrs['vrfname']}{_udp(host)}"
    for community in _by(inst.only("snmpCommSecP"), "name"):
        yield f"snmp-server community {community.attrs['name']} group {community_group(community)}"


def community_group(community: Node) -> str:
    """Name the group of a community: what it may do."""
    access = community.get("commAcess")
    if access == "rw":
        return "network-admin"
    return community.get("grpName") or "network-operator"


def _host(host: Node) -> str:
    level = "" if host.get("version") != "v3" else f" {host.get('secLevel')}"
    kind = host.get("notifType")
    return f"{kind} version {host.get('version').removeprefix('v')}{level} {host.get('commName')}{_udp(host)}"


def _udp(host: Node) -> str:
    number = host.attrs["udpPortID"]
    return "" if number == "162" else f" udp-port {number}"


def _ntp(tree: Tree) -> Iterator[str]:
    for server in _by(tree.at("sys/time").only("datetimeNtpProvider"), "name"):
        prefer = " prefer" if server.get("preferred") == "yes" else ""
        vrf = f" use-vrf {server.get('vrf')}" if server.get("vrf") else ""
        yield f"ntp {server.get('provT')} {server.attrs['name']}{prefer}{vrf}"


def _syslog(tree: Tree) -> Iterator[str]:
    for server in _by(tree.at("sys/syslog").only("syslogRemoteDest"), "host"):
        words = [f"logging server {server.attrs['host']} {SEVERITIES.index(server.get('severity'))}"]
        if server.get("port") != "514":
            words.append(f"port {server.get('port')}")
        words.append(f"use-vrf {server.get('vrfName') or 'default'}")
        yield " ".join(words)


def _by(nodes: Iterator[Node], attribute: str) -> list[Node]:
    return sorted(nodes, key=lambda node: node.attrs[attribute])
