"""How NX-OS names and writes things: interfaces, features, speeds and text, in both of its dialects.

The command line calls an interface ``Ethernet1/1``, the object tree (DME) ``eth1/1``; features have a name on
the command line and a class in the tree. Facts: the NX-API REST model reference and Cisco's own YANG.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final, NamedTuple

from sekisho.devices.switch import vlans
from sekisho.model.errors import Unsupported

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

OURS: Final = "sekisho-"  # how our checkpoints and files on a switch begin
DEFAULT_VRF: Final = "default"
RESERVED_VRFS: Final = ("default", "management")  # there always, and no parts
ROUTED_PORTS: Final = ("Ethernet", "port-channel")

_LONG: Final = {"eth": "Ethernet", "po": "port-channel", "vlan": "Vlan", "lo": "loopback", "mgmt": "mgmt"}
_SHORT: Final = {long.lower(): short for short, long in _LONG.items()} | {
    "eth": "eth",
    "po": "po",
    "lo": "lo",
}
_INTERFACE: Final = re.compile(r"([A-Za-z-]+?)\s*([0-9/.]+)$")


class Switchable(NamedTuple):
    """A feature: its name on the command line, its class and relative name in the tree."""

    command: str
    classname: str
    rn: str


FEATURES: Final = {
    "lacp": Switchable("lacp", "fmLacp", "lacp"),
    "vpc": Switchable("vpc", "fmVpc", "vpc"),
    "svi": Switchable("interface-vlan", "fmInterfaceVlan", "ifvlan"),
    "vxlan": Switchable("vn-segment-vlan-based", "fmVnSegment", "vnsegment"),
    "lldp": Switchable("lldp", "fmLldp", "lldp"),
    "udld": Switchable("udld", "fmUdld", "udld"),
    "dhcp": Switchable("dhcp", "fmDhcp", "dhcp"),
    "bgp": Switchable("bgp", "fmBgp", "bgp"),
    "ospf": Switchable("ospf", "fmOspf", "ospf"),
    "pim": Switchable("pim", "fmPim", "pim"),
    "hsrp": Switchable("hsrp", "fmHsrp", "hsrp"),
    "bfd": Switchable("bfd", "fmBfd", "bfd"),
}  # nxapi and ssh are the way in and are not for us to turn off

SPEEDS: Final = {
    0: "auto",
    10: "10M",
    100: "100M",
    1000: "1G",
    2500: "2.5G",
    5000: "5G",
    10000: "10G",
    25000: "25G",
    40000: "40G",
    50000: "50G",
    100000: "100G",
    200000: "200G",
    400000: "400G",
    800000: "800G",
}
MBITS: Final = {name: mbits for mbits, name in SPEEDS.items()}

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

# port names as a switch writes them in access lists, and the numbers they stand for (IANA)
SERVICES: Final = {
    "echo": 7,
    "discard": 9,
    "daytime": 13,
    "chargen": 19,
    "ftp-data": 20,
    "ftp": 21,
    "telnet": 23,
    "smtp": 25,
    "time": 37,
    "nameserver": 42,
    "whois": 43,
    "tacacs": 49,
    "domain": 53,
    "bootps": 67,
    "bootpc": 68,
    "tftp": 69,
    "gopher": 70,
    "finger": 79,
    "www": 80,
    "hostname": 101,
    "pop2": 109,
    "pop3": 110,
    "sunrpc": 111,
    "ident": 113,
    "nntp": 119,
    "ntp": 123,
    "netbios-ns": 137,
    "netbios-dgm": 138,
    "netbios-ss": 139,
    "snmp": 161,
    "snmptrap": 162,
    "xdmcp": 177,
    "bgp": 179,
    "irc": 194,
    "dnsix": 195,
    "mobile-ip": 434,
    "pim-auto-rp": 496,
    "isakmp": 500,
    "biff": 512,
    "exec": 512,
    "who": 513,
    "login": 513,
    "syslog": 514,
    "cmd": 514,
    "lpd": 515,
    "talk": 517,
    "rip": 520,
    "uucp": 540,
    "klogin": 543,
    "kshell": 544,
    "drip": 3949,
    "non500-isakmp": 4500,
}


def full(name: str) -> str:
    """Write an interface's name as the command line does: ``eth1/1`` and ``Eth1/1`` are ``Ethernet1/1``."""
    found = _INTERFACE.match(name.strip())
    if found is None:
        return name
    kind = found[1].lower()
    return _LONG.get(_SHORT.get(kind, kind), found[1]) + found[2]


def short(name: str) -> str:
    """Write an interface's name as the tree does: ``Ethernet1/1`` is ``eth1/1``."""
    found = _INTERFACE.match(name.strip())
    if found is None:
        return name
    kind = found[1].lower()
    return _SHORT.get(kind, kind) + found[2]


def is_channel(name: str) -> bool:
    """Tell whether an interface is a port-channel."""
    return name.startswith("port-channel")


def channel_number(name: str) -> str:
    """Give a port-channel's number as text."""
    return name.removeprefix("port-channel")


def default_vlan_name(vlan: int) -> str:
    """Give the name that a VLAN has until somebody names it."""
    return "default" if vlan == 1 else f"VLAN{vlan:04d}"


def spans(text: str, longest: int = 160) -> Iterator[str]:
    """Cut a set of VLAN ids into pieces that fit into one command line each."""
    piece: list[str] = []
    for item in text.split(",") if text else ():
        if piece and len(",".join(piece)) + len(item) >= longest:
            yield ",".join(piece)
            piece = []
        piece.append(item)
    if piece:
        yield ",".join(piece)


def line(text: str, where: str, longest: int = 254) -> str:
    """Give free text for a switch as it was given, or refuse what a command line would read otherwise.

    NX-OS takes printable ASCII: ``"`` and ``!`` are ordinary there, ``?`` asks for help, and `` ;`` ends the
    command. Raises Unsupported.
    """
    if len(text) > longest:
        raise Unsupported(f"{where}: {len(text)} characters are too many; NX-OS takes {longest}.")
    bad = sorted({char for char in text if not " " <= char <= "~" or char == "?"})
    if bad:
        shown = ", ".join(f"U+{ord(char):04X}" for char in bad)
        raise Unsupported(
            f"{where}: NX-OS does not take the character {shown} here; use plain ASCII without ?."
        )
    if re.search(r"\s;", text):
        raise Unsupported(
            f'{where}: NX-OS would read " ;" as the end of the command; write it without the blank.'
        )
    if text != text.strip():
        raise Unsupported(f"{where}: NX-OS drops blanks at the ends; leave them out.")
    return text


def word(text: str, where: str, longest: int = 64) -> str:
    """Give one word for a switch: as `line`, and without blanks and quotes. Raises Unsupported.

    The error never quotes the word: it may be a secret.
    """
    if not text or re.search(r"[\s\"';|]", text):
        raise Unsupported(f"{where} must be one word without quotes, ; and | for NX-OS.")
    return line(text, where, longest)


def vrf(text: str | None) -> str:
    """Give the name of a VRF for a switch, the default one's for none. Raises Unsupported."""
    return word(text or DEFAULT_VRF, "VRF: name", 32)


def address(text: str, where: str) -> str:
    """Give an address or a host's name for a switch, which takes none with a scope. Raises Unsupported."""
    if "%" in text:
        raise Unsupported(f"{where}: leave out the scope, which begins with %; NX-OS does not take it.")
    return word(text, where)


def set_of(text: str) -> str:
    """Read a set of VLAN ids as a switch writes it; ``""`` and ``none`` are the empty set."""
    return vlans.parse(text)


def sorted_text(items: Iterable[str]) -> tuple[str, ...]:
    """Give text in the order in which a State holds it."""
    return tuple(sorted(set(items)))


def sorted_ports(items: Iterable[str]) -> tuple[str, ...]:
    """Give interfaces in the order of their numbers: ``Ethernet1/2`` before ``Ethernet1/10``."""
    return tuple(sorted(set(items), key=lambda name: [int(n) for n in re.findall(r"\d+", name)]))
