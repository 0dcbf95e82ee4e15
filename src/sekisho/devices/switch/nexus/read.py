"""Managed objects in, a State out: what a switch answers to one GET over its whole tree."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final, TypeAlias

from sekisho.devices.switch.intent import (
    Ace,
    Acl,
    Community,
    Dns,
    Facts,
    Feature,
    Ntp,
    Route,
    Syslog,
    System,
    Trap,
    User,
    Vlan,
    Vpc,
    Vrf,
    key,
)
from sekisho.devices.switch.nexus import defaults, names, read_ports
from sekisho.devices.switch.nexus.found import many, number, said

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from sekisho.devices.switch.intent import Key, Part

Objects: TypeAlias = Mapping[str, list[Mapping[str, str]]]

_NAMES: Final = """
    l2BD l3Inst l1PhysIf l1PhysIfExtended pcAggrIf pcAggrIfExtended pcRsMbrIfs sviIf nwRtVrfMbr stpIf
    vpcDom vpcKeepalive vpcPeerLink vpcRsVpcConf ipv4Nexthop ipv6Nexthop ipv4Addr ipv6Addr
    datetimeNtpProvider dnsProvider dnsDom syslogRemoteDest snmpCommSecP snmpHost snmpUseVrf snmpSysInfo
    aaaUser aaaUserRole topSystem
"""
CONFIGURED: Final = (*(known.classname for known in names.FEATURES.values()), *_NAMES.split())

_BRACKETS: Final = re.compile(r"-\[([^\]]*)\]")


def objects(imdata: Iterable[Mapping[str, Any]]) -> Objects:
    """Sort what an answer holds by class; what hangs under another gets its own distinguished name."""
    found: dict[str, list[Mapping[str, str]]] = defaultdict(list)
    for classname, properties in _walk(imdata, ""):
        found[classname].append(properties)
    return found


def _walk(items: Iterable[Mapping[str, Any]], above: str) -> Iterator[tuple[str, dict[str, str]]]:
    for item in items:
        for classname, body in item.items():
            properties = dict(body.get("attributes", {}))
            dn = properties.get("dn") or f"{above}/{properties.get('rn', '')}"
            properties["dn"] = dn
            yield classname, properties
            yield from _walk(body.get("children", ()), dn)


def facts(found: Objects) -> Facts:
    """Read what a switch says of itself."""
    top, chassis = _first(found, "topSystem"), _first(found, "eqptCh")
    return Facts(
        hostname=top.get("name", ""),
        model=chassis.get("model", ""),
        serial=chassis.get("ser") or top.get("serial", ""),
        version=_first(found, "sysmgrShowVersion").get("nxosVersion", ""),
    )


def _first(found: Objects, classname: str) -> Mapping[str, str]:
    return next(iter(found.get(classname, ())), {})


def parts(found: Objects, hashes: Mapping[str, str]) -> dict[Key, Part]:
    """Read all parts; `hashes` are the users' passwords as the configuration has them, by name."""
    return {
        key(part): part
        for part in (
            *_features(found),
            *_vlans(found),
            *_vrfs(found),
            *read_ports.ports(found),
            *_vpc(found),
            *_acls(found),
            *_routes(found),
            *read_ports.svis(found),
            *_services(found),
            *_snmp(found),
            *_users(found, hashes),
            _system(found),
        )
    }


def _features(found: Objects) -> Iterator[Feature]:
    for name, known in names.FEATURES.items():
        yield Feature(name, _first(found, known.classname).get("adminSt") == "enabled")


def _vlans(found: Objects) -> Iterator[Vlan]:
    for it in many(found, "l2BD"):
        kind, _, id_ = it.get("fabEncap", "").partition("-")
        if kind == "vlan":
            vni = it.get("accEncap", "").removeprefix("vxlan-")
            yield Vlan(
                int(id_),
                it.get("name") or names.default_vlan_name(int(id_)),
                int(vni) if vni.isdigit() else 0,
            )


def _vrfs(found: Objects) -> Iterator[Vrf]:
    for it in many(found, "l3Inst"):
        name = it.get("name", "")
        if name not in names.RESERVED_VRFS and not name.startswith("egress-"):
            yield Vrf(name, it.get("descr", ""))


def _vpc(found: Objects) -> Iterator[Vpc]:
    domain, alive = _first(found, "vpcDom"), _first(found, "vpcKeepalive")
    if number(domain, "id"):
        yield Vpc(
            number(domain, "id"),
            _address(alive.get("destIp", "")),
            _address(alive.get("srcIp", "")),
            alive.get("vrf") or "management",
            number(domain, "rolePrio") or defaults.ROLE_PRIORITY,
            said(domain, "peerGw"),
        )


def _address(text: str) -> str:
    return "" if text in ("0.0.0.0", "::") else text  # noqa: S104 - how the tree writes that there is none


def _acls(found: Objects) -> Iterator[Acl]:
    for family in (4, 6):
        lines: dict[str, list[Ace]] = {it["name"]: [] for it in many(found, f"ipv{family}aclACL")}
        for it in many(found, f"ipv{family}aclACE"):
            name = _brackets(it["dn"])[0]
            if not it.get("remark"):
                lines.setdefault(name, []).append(_ace(it, family))
        for name, entries in lines.items():
            yield Acl(family, name, tuple(sorted(entries, key=lambda ace: ace.sequence)))


def _brackets(dn: str) -> list[str]:
    return _BRACKETS.findall(dn)


_PROTOCOLS: Final = {
    4: {"0": "ip", "1": "icmp", "6": "tcp", "17": "udp"},
    6: {"0": "ipv6", "ip": "ipv6", "6": "tcp", "17": "udp", "58": "icmpv6", "icmp": "icmpv6"},
}
_NUMBERS: Final = {
    "gre": "47",
    "esp": "50",
    "ahp": "51",
    "eigrp": "88",
    "ospf": "89",
    "pim": "103",
    "igmp": "2",
}
_PORT_OPS: Final = {"eq": "eq", "range": "range", "none": "", "": "", "0": ""}


def protocol(text: str, family: int) -> str:
    """Give a protocol as an access list's line has it: a name, or a number."""
    known = _PROTOCOLS[family].get(text, text)
    return _NUMBERS.get(known, known)


def service(text: str) -> str:
    """Give a port as a number."""
    return str(names.SERVICES.get(text, text))


def _ace(it: Mapping[str, str], family: int) -> Ace:
    return Ace(
        sequence=number(it, "seqNum"),
        permit=it.get("action") != "deny",
        protocol=protocol(it.get("protocol", ""), family),
        source=_network(it, "src"),
        destination=_network(it, "dst"),
        source_port=_ports(it, "src"),
        destination_port=_ports(it, "dst"),
        established=said(it, "est"),
        log=said(it, "logging"),
    )


def _network(it: Mapping[str, str], side: str) -> str:
    length = it.get(f"{side}PrefixLength") or "0"
    prefix = it.get(f"{side}Prefix") or "any"
    return "any" if length == "0" else f"{prefix.partition('/')[0]}/{length}"


def _ports(it: Mapping[str, str], side: str) -> str:
    op = it.get(f"{side}PortOp", "")
    first, last = service(it.get(f"{side}Port1", "")), service(it.get(f"{side}Port2", ""))
    if _PORT_OPS.get(op, op) == "range":
        return f"{first}-{last}"
    return first if op == "eq" else f"{op} {first}" if op not in _PORT_OPS else ""


def _routes(found: Objects) -> Iterator[Route]:
    for family in (4, 6):
        hops: dict[tuple[str, str], dict[str, int]] = {}
        for it in many(found, f"ipv{family}Nexthop"):
            where = re.search(r"/dom-\[?(.+?)\]?/rt-\[([^\]]+)\]", it["dn"])
            if where:
                hops.setdefault((where[1], where[2]), {})[_hop(it)] = number(it, "pref") or 1
        for (vrf, prefix), via in hops.items():
            yield Route(vrf, prefix, tuple(sorted(via)), max(via.values()))


def _hop(it: Mapping[str, str]) -> str:
    interface, address = it.get("nhIf", "unspecified"), it.get("nhAddr", "").partition("/")[0]
    if interface.lower().startswith("null"):
        return "discard"
    return address if interface == "unspecified" else f"{names.full(interface)} {address}"


def _services(found: Objects) -> Iterator[Ntp | Dns | Syslog]:
    for it in many(found, "datetimeNtpProvider"):
        if it.get("provT", "server") == "server":
            yield Ntp(it["name"], it.get("vrf") or names.DEFAULT_VRF, said(it, "preferred"))
    for it in many(found, "dnsProvider"):
        vrf = re.search(r"/vrf-\[?([^\]/]+)", it["dn"])
        yield Dns(vrf[1] if vrf else names.DEFAULT_VRF, it["addr"])
    for it in many(found, "syslogRemoteDest"):
        severity = it.get("severity", "notifications")
        level = int(severity) if severity.isdigit() else names.SEVERITIES.index(severity)
        yield Syslog(it["host"], it.get("vrfName") or names.DEFAULT_VRF, level, number(it, "port") or 514)


def _snmp(found: Objects) -> Iterator[Community | Trap]:
    for it in many(found, "snmpCommSecP"):
        yield Community(it["name"], it.get("grpName") == "network-admin" or it.get("commAcess") == "rw")
    vrfs = {it["dn"].rpartition("/usevrf-")[0]: it.get("vrfname", "") for it in many(found, "snmpUseVrf")}
    for it in many(found, "snmpHost"):
        if it.get("commName"):
            vrf = vrfs.get(it["dn"]) or names.DEFAULT_VRF
            yield Trap(it["hostName"], it.get("version", "v2c").removeprefix("v"), it["commName"], vrf)


def _users(found: Objects, hashes: Mapping[str, str]) -> Iterator[User]:
    roles: dict[str, list[str]] = defaultdict(list)
    for it in many(found, "aaaUserRole"):
        owner = re.search(r"/user-\[([^\]]+)\]", it["dn"])
        if owner:
            roles[owner[1]].append(it["name"])
    for it in many(found, "aaaUser"):
        yield User(it["name"], role(roles[it["name"]]), hashes.get(it["name"], ""))


def role(given: Iterable[str]) -> str:
    """Give the one role that counts of a user who has several."""
    found = sorted(given)
    return "network-admin" if "network-admin" in found else found[0] if found else ""


def _system(found: Objects) -> System:
    domain = [it for it in many(found, "dnsDom") if "/vrf-" not in it["dn"]]
    info = _first(found, "snmpSysInfo")
    return System(
        _first(found, "topSystem").get("name", ""),
        domain[0].get("name", "") if domain else "",
        info.get("sysContact", ""),
        info.get("sysLocation", ""),
    )
