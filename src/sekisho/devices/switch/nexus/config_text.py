"""A running configuration as text in, a State's parts out: for switches that only SSH reaches.

Reads what ``show running-config`` writes, where defaults are left out. A line that is not understood belongs
to what Sekisho does not manage, and is passed over.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from sekisho.devices.switch import vlans
from sekisho.devices.switch.intent import (
    Acl,
    Community,
    Dns,
    Feature,
    Ntp,
    Part,
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
from sekisho.devices.switch.nexus import defaults, names, text_acl, text_ports
from sekisho.devices.switch.nexus.read import role

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from sekisho.devices.switch.intent import Ace, Key

_USER: Final = re.compile(r"username (\S+)(?: password (\d) (\S+))?(?:.*? role (\S+))?")
_TRAP: Final = re.compile(
    r"snmp-server host (\S+) (?:traps )?version (1|2c|3)(?: (?:noauth|auth|priv))? (\S+)"
)
_OPTIONS_OF_A_ROUTE: Final = ("name", "tag", "track", "vrf")


@dataclass(slots=True)
class _Read:
    """What has been read so far."""

    found: dict[Key, Part] = field(default_factory=dict)
    features: set[str] = field(default_factory=set)
    hops: dict[tuple[str, str], dict[str, int]] = field(default_factory=dict)
    roles: dict[str, list[str]] = field(default_factory=dict)
    hashes: dict[str, str] = field(default_factory=dict)
    traps: dict[str, Trap] = field(default_factory=dict)
    trap_vrfs: dict[str, str] = field(default_factory=dict)
    system: dict[str, str] = field(default_factory=dict)

    def put(self, part: Part) -> None:
        """Keep a part."""
        self.found[key(part)] = part


def blocks(text: str) -> Iterator[tuple[str, list[str]]]:
    """Cut a configuration into its lines at the left edge, each with the lines indented below it, bare."""
    head, below = "", []
    for line in text.splitlines():
        bare = line.strip()
        if not bare or bare.startswith("!"):
            continue
        if line[0] == " ":
            below.append(bare)
            continue
        if head:
            yield head, below
        head, below = bare, []
    if head:
        yield head, below


def parts(text: str) -> dict[Key, Part]:
    """Read a configuration's parts."""
    read = _Read()
    read.put(defaults.vlan(1))
    ports = text_ports.Ports()
    for head, below in blocks(text):
        if not ports.take(head, below):
            _take(read, head, below)
    for name, known in names.FEATURES.items():
        read.put(Feature(name, known.command in read.features))
    for part in (*ports.parts(), *_gathered(read)):
        read.put(part)
    return read.found


def hashes(text: str) -> dict[str, str]:
    """Read the users' password hashes of a configuration, or of the part of it that has the users."""
    return {m[1]: m[3] for line in text.splitlines() if (m := _USER.match(line.strip())) and m[3]}


def _gathered(read: _Read) -> Iterator[Part]:
    for (vrf, prefix), hops in read.hops.items():
        yield Route(vrf, prefix, tuple(sorted(hops)), max(hops.values()))
    for user, roles in read.roles.items():
        yield User(user, role(roles), read.hashes.get(user, ""))
    for address, trap in read.traps.items():
        vrf = read.trap_vrfs.get(address, names.DEFAULT_VRF)
        yield Trap(address, trap.version, trap.community, vrf)
    said = read.system
    yield System(
        said.get("hostname", ""), said.get("domain", ""), said.get("contact", ""), said.get("location", "")
    )


def _take(read: _Read, head: str, below: list[str]) -> None:
    words = head.split()
    match words:
        case ["feature", *name]:
            read.features.add(" ".join(name))
        case ["vlan", ids] if ids[0].isdigit():
            _vlan(read, ids, below)
        case ["vrf", "context", name]:
            _vrf(read, name, below)
        case ["vpc", "domain", number]:
            read.put(_vpc(int(number), below))
        case ["ip" | "ipv6" as family, "access-list", name]:
            read.put(Acl(4 if family == "ip" else 6, name, _entries(4 if family == "ip" else 6, below)))
        case _:
            _in_vrf(read, names.DEFAULT_VRF, words)
            _service(read, head, words)


def _vlan(read: _Read, ids: str, below: list[str]) -> None:
    for vlan in vlans.ids(vlans.parse(ids)):
        had = read.found.get(("vlan", str(vlan)))
        part = had if isinstance(had, Vlan) else defaults.vlan(vlan)
        name, vni = part.name, part.vni
        for line in below:
            verb, _, rest = line.partition(" ")
            name = rest if verb == "name" else name
            vni = int(rest) if verb == "vn-segment" else vni
        read.put(Vlan(vlan, name, vni))


def _vrf(read: _Read, name: str, below: list[str]) -> None:
    description = ""
    for line in below:
        if line.startswith("description "):
            description = line.partition(" ")[2]
        else:
            _in_vrf(read, name, line.split())
    if name not in names.RESERVED_VRFS:
        read.put(Vrf(name, description))


def _in_vrf(read: _Read, vrf: str, words: list[str]) -> None:
    """Read what stands both at the left edge, for the VRF ``default``, and within a VRF."""
    match words:
        case ["ip" | "ipv6", "route", prefix, *rest] if "/" in prefix:
            hop, preference = _hop(rest)
            read.hops.setdefault((vrf, prefix), {})[hop] = preference
        case ["ip", "name-server", *rest]:
            if "use-vrf" in rest:
                at = rest.index("use-vrf")
                vrf, rest = rest[at + 1], rest[:at]
            for address in rest:
                read.put(Dns(vrf, address))
        case ["ip", "domain-name", name] if vrf == names.DEFAULT_VRF:
            read.system["domain"] = name
        case _:
            pass


def _hop(words: list[str]) -> tuple[str, int]:
    for option in _OPTIONS_OF_A_ROUTE:
        if option in words:
            at = words.index(option)
            words = words[:at] + words[at + 2 :]
    preference = int(words.pop()) if len(words) > 1 and words[-1].isdigit() else 1
    if words[0].lower().startswith("null"):
        return "discard", preference
    first, *rest = (word.partition("/")[0] if word[0].isdigit() else word for word in words)
    return " ".join([first, *rest]), preference


def _vpc(number: int, below: list[str]) -> Vpc:
    said: dict[str, str] = {}
    blank = defaults.vpc(number)
    gateway = False
    for line in below:
        match line.split():
            case ["role", "priority", priority]:
                said["priority"] = priority
            case ["peer-keepalive", *rest]:
                said.update(zip(rest[::2], rest[1::2], strict=False))
            case ["peer-gateway", *_]:
                gateway = True
            case _:
                pass
    return Vpc(
        number,
        said.get("destination", ""),
        said.get("source", ""),
        said.get("vrf", blank.vrf),
        int(said.get("priority", blank.priority or 0)),
        gateway,
    )


def _entries(family: int, below: Iterable[str]) -> tuple[Ace, ...]:
    found = (text_acl.entry(line, family) for line in below)
    return tuple(sorted((ace for ace in found if ace), key=lambda ace: ace.sequence))


def _service(read: _Read, head: str, words: list[str]) -> None:
    match words:
        case ["hostname" | "switchname", name]:
            read.system["hostname"] = name
        case ["snmp-server", "contact" | "location" as what, *_]:
            read.system[what] = head.partition(f"{what} ")[2]
        case ["ntp", "server", address, *rest]:
            vrf = _after(rest, "use-vrf") or names.DEFAULT_VRF
            read.put(Ntp(address, vrf, "prefer" in rest))
        case ["logging", "server", address, *rest]:
            read.put(_syslog(address, rest))
        case ["snmp-server", "community", name, *rest]:
            read.put(Community(name, _after(rest, "group") == "network-admin" or "rw" in rest))
        case ["snmp-server", "host", address, "use-vrf", vrf]:
            read.trap_vrfs[address] = vrf
        case ["snmp-server", "host", address, *_]:
            if found := _TRAP.match(head):
                read.traps[address] = Trap(address, found[2], found[3])
        case ["username", *_]:
            _user(read, head)
        case _:
            pass


def _after(words: list[str], word: str) -> str:
    return words[words.index(word) + 1] if word in words[:-1] else ""


def _syslog(address: str, rest: list[str]) -> Syslog:
    blank = defaults.syslog(address)
    severity = int(rest[0]) if rest and rest[0].isdigit() else blank.severity
    port = _after(rest, "port")
    return Syslog(address, _after(rest, "use-vrf") or blank.vrf, severity, int(port) if port else blank.port)


def _user(read: _Read, head: str) -> None:
    found = _USER.match(head)
    if found is None:
        return
    roles = read.roles.setdefault(found[1], [])
    if found[4]:
        roles.append(found[4])
    if found[3]:
        read.hashes[found[1]] = found[3]


def hostname(found: Mapping[Key, Part]) -> str:
    """Give the switch's own name."""
    system = found.get(("system",))
    return system.hostname or "" if isinstance(system, System) else ""
