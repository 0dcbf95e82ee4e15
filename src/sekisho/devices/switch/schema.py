"""What may stand in a switch's document: each table with its fields, for reading and as JSON schema."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from sekisho.devices.switch import vlans
from sekisho.devices.switch.intent import (
    Acl,
    Community,
    Dns,
    Feature,
    Lacp,
    Ntp,
    Port,
    PortMode,
    Route,
    Storm,
    Svi,
    Syslog,
    System,
    Trap,
    User,
    Vlan,
    Vrf,
)
from sekisho.devices.switch.overlay import in_order
from sekisho.devices.switch.shapes import (
    ADDRESS,
    NAME,
    REFERENCE,
    VLAN,
    VLAN_SET,
    VRF,
    Choice,
    Flag,
    Number,
    Said,
    Seconds,
    Several,
    Shape,
    Share,
    Table,
    Text,
    address,
    hop,
    host,
    interface,
    interface_address,
    lines,
    object_schema,
    prefix,
)
from sekisho.model.errors import Malformed

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from sekisho.devices.switch.intent import Part

# How people name kinds in `exclusive`.
EXCLUSIVE: Final[Mapping[str, str]] = {
    "vlans": "vlan",
    "vrfs": "vrf",
    "ports": "port",
    "acls": "acl",
    "routes": "route",
    "svis": "svi",
    "ntp": "ntp",
    "dns": "dns",
    "syslog": "syslog",
    "communities": "community",
    "traps": "trap",
    "users": "user",
    "features": "feature",
}


@dataclass(frozen=True, slots=True)
class Entry:
    """A table of parts: ``[table.KEY...]``, one key for each of `keys`, read by their functions.

    `make` gives the part that is named by the keys and says nothing yet; `short` is the field that stands
    alone where a list is written instead of a table.
    """

    table: tuple[str, ...]
    keys: tuple[Callable[[str], Any], ...]
    fields: Mapping[str, Shape]
    make: Callable[..., Part]
    short: str = ""
    removable: bool = True


def vlan_ids(text: str) -> tuple[int, ...]:
    """Read one VLAN's id, or several as a set: what then is said holds for each."""
    return tuple(vlans.ids(vlans.parse(text)))


def _vlan(text: str) -> int:
    if text.isascii() and text.isdigit() and len(text) <= 4 and vlans.LOWEST <= int(text) <= vlans.HIGHEST:
        return int(text)
    raise Malformed(f'"{text}" is no VLAN id; they are 1 to 4094.')


def _name(text: str) -> str:
    if 0 < len(text) <= 63 and text.isprintable() and " " not in text:
        return text
    raise Malformed(f'"{text}" is no name; names have up to 63 characters and no blanks.')


def _feature(text: str) -> str:
    if re.fullmatch(r"[a-z][a-z0-9-]{0,30}", text):
        return text
    raise Malformed(f'"{text}" is no name of a feature; write for example "lacp".')


_DESCRIPTION: Final = Text(254)
_MTU: Final = Number(64, 65535)
_BINDINGS: Final[Mapping[str, Shape]] = dict.fromkeys(
    ("acl4_in", "acl4_out", "acl6_in", "acl6_out"), REFERENCE
)
_STORM: Final = Table({"broadcast": Share(), "multicast": Share(), "unicast": Share()}, Storm)
_PORT: Final[Mapping[str, Shape]] = {
    "description": _DESCRIPTION,
    "enabled": Flag(),
    "mtu": _MTU,
    "speed": Number(0, 800_000),
    "mode": Choice(PortMode),
    "access": VLAN,
    "native": VLAN,
    "allowed": VLAN_SET,
    "within": VLAN_SET,
    "edge": Flag(),
    "bpdu_guard": Flag(),
    "storm": _STORM,
    **_BINDINGS,
    "members": Several(Said(interface, '"Ethernet1/1"'), '["Ethernet1/1", "Ethernet1/2"]', in_order),
    "lacp": Choice(Lacp),
    "vpc": Number(0, 4096),
    "peer_link": Flag(),
}
_ADDRESSES: Final = Several(
    Said(interface_address, '"10.0.0.1/24"'), '["10.0.0.1/24"]', lambda found: tuple(sorted(found))
)
_HOPS: Final = Several(Said(hop, '"10.0.0.254"'), '["10.0.0.254"]', lambda found: tuple(sorted(found)))

ENTRIES: Final = (
    Entry(("feature",), (_feature,), {"enabled": Flag()}, Feature),
    Entry(("vlan",), (vlan_ids,), {"name": Text(128), "vni": Number(0, 16_777_215)}, Vlan),
    Entry(("vrf",), (_name,), {"description": _DESCRIPTION}, Vrf),
    Entry(("port",), (interface,), _PORT, Port),
    Entry(("acl", "ipv4"), (_name,), {"entries": lines(4)}, lambda name: Acl(4, name), "entries"),
    Entry(("acl", "ipv6"), (_name,), {"entries": lines(6)}, lambda name: Acl(6, name), "entries"),
    Entry(("route",), (_name, prefix), {"via": _HOPS, "preference": Number(1, 255)}, Route, "via"),
    Entry(
        ("svi",),
        (_vlan,),
        {
            "description": _DESCRIPTION, "enabled": Flag(), "mtu": _MTU, "vrf": VRF, "addresses": _ADDRESSES,
            **_BINDINGS,
        },
        Svi,
    ),
    Entry(("ntp",), (host,), {"vrf": VRF, "prefer": Flag()}, Ntp),
    Entry(("dns",), (_name, address), {}, Dns),
    Entry(("syslog",), (host,), {"vrf": VRF, "severity": Number(0, 7), "port": Number(1, 65535)}, Syslog),
    Entry(("snmp", "community"), (_name,), {"write": Flag()}, Community),
    Entry(
        ("snmp", "trap"),
        (host,),
        {"version": Choice(("1", "2c", "3")), "community": Text(63), "vrf": VRF},
        Trap,
    ),
    Entry(("user",), (_name,), {"role": NAME, "password": Text(255)}, User),
    Entry(
        ("system",),
        (),
        {"hostname": NAME, "domain": Text(254), "contact": Text(254), "location": Text(254)},
        System,
        removable=False,
    ),
)  # fmt: skip

CONNECT: Final[Mapping[str, Shape]] = {
    "driver": NAME,
    "address": Text(254),
    "port": Number(0, 65535),
    "username": Text(63),
    "password_file": Text(4096),
    "ca_file": Text(4096),
    "verify": Flag(),
    "transport": Choice(("auto", "nxapi", "ssh")),
    "timeout": Seconds(1, 600),
    "save": Flag(),
    "serial": Text(64),
}
PAIR: Final[Mapping[str, Shape]] = {
    "peer": NAME,
    "domain": Number(1, 1000),
    "keepalive": Table({"destination": ADDRESS, "source": ADDRESS, "vrf": VRF}),
    "priority": Number(1, 65535),
    "peer_gateway": Flag(),
}
PROTECT: Final[Mapping[str, Shape]] = {
    "uplinks": Several(Said(interface, '"Ethernet1/49"'), '["Ethernet1/49"]'),
    "management": Several(Text(254), '["svi 10", "port Ethernet1/48"]'),
}
ATTACH: Final[Mapping[str, Shape]] = {"vlans": VLAN_SET, "lldp": Flag()}
HOSTS: Final = Several(Said(interface, '"port-channel11"'), '["port-channel11"]')
_USE: Final = Several(NAME, '["leaf"]')
_EXCLUSIVE: Final = Several(Choice(tuple(EXCLUSIVE)), '["vlans"]')
TOP: Final[Mapping[str, Shape]] = {"use": _USE, "exclusive": _EXCLUSIVE}
TABLES: Final[Mapping[str, Mapping[str, Shape]]] = {
    "connect": CONNECT,
    "pair": PAIR,
    "protect": PROTECT,
    "attach": ATTACH,
}


def json_schema() -> dict[str, Any]:
    """Say a switch's document as JSON schema, for editors that check TOML by one (draft 2020-12)."""
    properties: dict[str, Any] = {name: shape.schema() for name, shape in TOP.items()}
    properties |= {name: object_schema(fields) for name, fields in TABLES.items()}
    hosts = {"type": "object", "additionalProperties": HOSTS.schema()}
    properties["attach"]["properties"]["hosts"] = hosts
    for entry in ENTRIES:
        _place(properties, entry.table, _entry_schema(entry))
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "A switch, as Sekisho is to make it",
        "type": "object",
        "properties": properties,
        "additionalProperties": False,
    }


def _entry_schema(entry: Entry) -> dict[str, Any]:
    found = object_schema(entry.fields)
    if entry.removable:
        found["properties"]["absent"] = {"const": True}
    if entry.short:
        found = {"oneOf": [entry.fields[entry.short].schema(), found]}
    for _ in entry.keys:
        found = {"type": "object", "additionalProperties": found}
    return found


def _place(properties: dict[str, Any], path: tuple[str, ...], what: dict[str, Any]) -> None:
    for step in path[:-1]:
        table = properties.setdefault(
            step, {"type": "object", "properties": {}, "additionalProperties": False}
        )
        properties = table["properties"]
    properties[path[-1]] = what
