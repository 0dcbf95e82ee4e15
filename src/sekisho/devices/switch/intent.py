"""What a switch should be and what it is, in the same vendor-neutral parts.

A part is one thing that is made, changed or removed by itself: a VLAN, an interface, an access list. In an
Intent a field that is None is not mentioned, and what is not mentioned is left alone; in a State every field
that the driver's switch knows is filled, and None says that this kind of switch has no such thing.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping  # noqa: TC003 - annotations are read at run time
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final, Literal, TypeAlias

Key: TypeAlias = tuple[
    str, ...
]  # kind, then what names the part: ("vlan", "10"), ("route", "default", "0.0.0.0/0")


class PortMode(StrEnum):
    """What an interface does with VLAN tags; `ROUTED` is no switched port at all."""

    ACCESS = "access"
    TRUNK = "trunk"
    ROUTED = "routed"


class Lacp(StrEnum):
    """How a port-channel is negotiated (IEEE 802.1AX); `ON` is without LACP."""

    ACTIVE = "active"
    PASSIVE = "passive"
    ON = "on"


@dataclass(frozen=True, slots=True)
class Feature:
    """A part of the switch's software that can be off: ``lacp``, ``vpc``, ``svi``, ``vxlan``."""

    name: str
    enabled: bool | None = None
    kind: Literal["feature"] = "feature"


@dataclass(frozen=True, slots=True)
class Vlan:
    """A VLAN; `vni` is its VXLAN segment, 0 for none."""

    id: int
    name: str | None = None
    vni: int | None = None
    kind: Literal["vlan"] = "vlan"


@dataclass(frozen=True, slots=True)
class Vrf:
    """A routing instance; ``default`` and the management's exist always and are no parts."""

    name: str
    description: str | None = None
    kind: Literal["vrf"] = "vrf"


@dataclass(frozen=True, slots=True)
class Storm:
    """Storm control: above which share of the line is dropped, in hundredths of a per cent; 10000 is off."""

    broadcast: int | None = None
    multicast: int | None = None
    unicast: int | None = None


@dataclass(frozen=True, slots=True)
class Port:
    """A physical interface or a port-channel, by its full name: ``Ethernet1/1``, ``port-channel10``.

    `speed` is in Mbit/s, 0 negotiates; `access` and `native` are VLAN ids; `allowed` is a set as `vlans`
    writes it. `within` says of which ids `allowed` speaks: "" of all, else the ids outside are left alone
    (never filled in a State). `members`, `lacp`, `vpc` and `peer_link` are a port-channel's: `vpc` is its
    member id, 0 for none. `channel` is a physical interface's port-channel as the switch tells it, "" for
    none, and never an Intent's. `acl_*` name access lists for traffic in and out, "" for none.
    """

    name: str
    description: str | None = None
    enabled: bool | None = None
    mtu: int | None = None
    speed: int | None = None
    mode: PortMode | None = None
    access: int | None = None
    native: int | None = None
    allowed: str | None = None
    within: str = ""
    edge: bool | None = None
    bpdu_guard: bool | None = None
    storm: Storm | None = None
    acl4_in: str | None = None
    acl4_out: str | None = None
    acl6_in: str | None = None
    acl6_out: str | None = None
    members: tuple[str, ...] | None = None
    lacp: Lacp | None = None
    vpc: int | None = None
    peer_link: bool | None = None
    channel: str | None = None
    kind: Literal["port"] = "port"


@dataclass(frozen=True, slots=True)
class Vpc:
    """This switch's end of a pair: the domain, and how it asks whether its peer lives.

    The keepalive runs in the VRF `vrf` from `source` to `destination`. A lower `priority` is the primary.
    """

    domain: int
    destination: str | None = None
    source: str | None = None
    vrf: str | None = None
    priority: int | None = None
    peer_gateway: bool | None = None
    kind: Literal["vpc"] = "vpc"


@dataclass(frozen=True, slots=True)
class Ace:
    """One line of an access list: ports are "", ``80`` or ``80-99``; networks are prefixes or "any"."""

    sequence: int
    permit: bool
    protocol: str  # "ip", "ipv6", "tcp", "udp", "icmp", "icmpv6" or a number
    source: str = "any"
    destination: str = "any"
    source_port: str = ""
    destination_port: str = ""
    established: bool = False
    log: bool = False


@dataclass(frozen=True, slots=True)
class Acl:
    """An access list of IPv4 (`family` 4) or IPv6 (6); its lines are one thing and change together."""

    family: int
    name: str
    entries: tuple[Ace, ...] | None = None
    kind: Literal["acl"] = "acl"


@dataclass(frozen=True, slots=True)
class Route:
    """A static route: `via` is sorted next hops, addresses or "discard"; `preference` is 1 to 255."""

    vrf: str
    prefix: str
    via: tuple[str, ...] | None = None
    preference: int | None = None
    kind: Literal["route"] = "route"


@dataclass(frozen=True, slots=True)
class Svi:
    """A VLAN's own interface with its sorted addresses, IPv4 and IPv6 with prefix length."""

    vlan: int
    description: str | None = None
    enabled: bool | None = None
    mtu: int | None = None
    vrf: str | None = None
    addresses: tuple[str, ...] | None = None
    acl4_in: str | None = None
    acl4_out: str | None = None
    acl6_in: str | None = None
    acl6_out: str | None = None
    kind: Literal["svi"] = "svi"


@dataclass(frozen=True, slots=True)
class Ntp:
    """A time server."""

    address: str
    vrf: str | None = None
    prefer: bool | None = None
    kind: Literal["ntp"] = "ntp"


@dataclass(frozen=True, slots=True)
class Dns:
    """A name server of a VRF."""

    vrf: str
    address: str
    kind: Literal["dns"] = "dns"


@dataclass(frozen=True, slots=True)
class Syslog:
    """Where messages go; `severity` is 0 (emergency) to 7 (debug), RFC 5424 section 6.2.1."""

    address: str
    vrf: str | None = None
    severity: int | None = None
    port: int | None = None
    kind: Literal["syslog"] = "syslog"


@dataclass(frozen=True, slots=True)
class Community:
    """An SNMP community; its name is a secret and is never shown. `write` lets it change things."""

    name: str
    write: bool | None = None
    kind: Literal["community"] = "community"


@dataclass(frozen=True, slots=True)
class Trap:
    """Where SNMP notifications go; `community` is a secret."""

    address: str
    version: str | None = None  # "1", "2c" or "3"
    community: str | None = None
    vrf: str | None = None
    kind: Literal["trap"] = "trap"


@dataclass(frozen=True, slots=True)
class User:
    """Who may sign in, by role. `password` is the hash as the switch keeps it, a secret."""

    name: str
    role: str | None = None
    password: str | None = None
    kind: Literal["user"] = "user"


@dataclass(frozen=True, slots=True)
class System:
    """What there is one of."""

    hostname: str | None = None
    domain: str | None = None
    contact: str | None = None
    location: str | None = None
    kind: Literal["system"] = "system"


Part: TypeAlias = (
    Feature
    | Vlan
    | Vrf
    | Port
    | Vpc
    | Acl
    | Route
    | Svi
    | Ntp
    | Dns
    | Syslog
    | Community
    | Trap
    | User
    | System
)

KINDS: Final[Mapping[str, type]] = {
    "feature": Feature,
    "vlan": Vlan,
    "vrf": Vrf,
    "port": Port,
    "vpc": Vpc,
    "acl": Acl,
    "route": Route,
    "svi": Svi,
    "ntp": Ntp,
    "dns": Dns,
    "syslog": Syslog,
    "community": Community,
    "trap": Trap,
    "user": User,
    "system": System,
}


def key(part: Part) -> Key:
    """Name a part: its kind and what tells it from others of that kind."""
    match part:
        case Feature() | Vrf() | Port() | Community() | User():
            return (part.kind, part.name)
        case Vlan():
            return (part.kind, str(part.id))
        case Svi():
            return (part.kind, str(part.vlan))
        case Acl():
            return (part.kind, str(part.family), part.name)
        case Route():
            return (part.kind, part.vrf, part.prefix)
        case Dns():
            return (part.kind, part.vrf, part.address)
        case Ntp() | Syslog() | Trap():
            return (part.kind, part.address)
        case Vpc() | System():
            return (part.kind,)


def parts(*given: Part) -> Mapping[Key, Part]:
    """Put parts under their keys."""
    return {key(part): part for part in given}


@dataclass(frozen=True, slots=True)
class Intent:
    """What one switch should be.

    `parts` are mentioned, `absent` must not be there. Of the kinds in `exclusive` what is not mentioned is
    removed; of VLANs, `owned` (a set as `vlans` writes it) says which ids are ours alone, "" for none.
    `uplinks` are interfaces whose loss cuts the switch or its servers off; `management` are keys of parts
    that the way to the switch itself needs. An intent that is not `whole` speaks beside another one, which
    may still make what is protected.
    """

    switch: str
    parts: Mapping[Key, Part] = field(default_factory=dict)
    absent: frozenset[Key] = frozenset()
    exclusive: frozenset[str] = frozenset()
    owned: str = ""
    uplinks: frozenset[str] = frozenset()
    management: frozenset[Key] = frozenset()
    whole: bool = True


@dataclass(frozen=True, slots=True)
class Facts:
    """What a switch says of itself."""

    hostname: str
    model: str
    serial: str
    version: str


@dataclass(frozen=True, slots=True)
class State:
    """What a switch is at the moment of reading."""

    facts: Facts
    parts: Mapping[Key, Part] = field(default_factory=dict)


def mentioned(part: Part) -> Mapping[str, object]:
    """List the fields of a part that say something."""
    return {
        f.name: value
        for f in dataclasses.fields(part)
        if (value := getattr(part, f.name)) is not None and f.name not in ("kind", "within")
    }
