"""Lines of access lists as people write them: ``10 permit tcp any 10.0.0.0/24 80-443 established log``."""

from __future__ import annotations

import re
from ipaddress import ip_network
from typing import Final

from sekisho.devices.switch.intent import Ace
from sekisho.model.errors import Malformed

PORTED: Final = frozenset({"tcp", "udp"})
EXAMPLE: Final = '"10 permit tcp any 10.0.0.0/24 80-443"'

_PROTOCOLS: Final = {4: ("ip", "tcp", "udp", "icmp"), 6: ("ipv6", "tcp", "udp", "icmpv6")}
_NAMES: Final = {4: {"6": "tcp", "17": "udp", "1": "icmp"}, 6: {"6": "tcp", "17": "udp", "58": "icmpv6"}}
_PORTS: Final = re.compile(r"(\d{1,5})(?:-(\d{1,5}))?")
_LAST_SEQUENCE: Final = 4294967294


def parse(text: str, family: int) -> Ace:
    """Read a line; raises Malformed.

    ``SEQUENCE permit|deny PROTOCOL SOURCE [PORTS] DESTINATION [PORTS] [established] [log]``. A network is a
    prefix, an address or "any".
    """
    words = text.split()
    if len(words) < 5:
        raise Malformed(f'"{text}" is no line of an access list; write for example {EXAMPLE}.')
    sequence, action, protocol, *rest = words
    if not sequence.isdigit() or not 1 <= int(sequence) <= _LAST_SEQUENCE or len(sequence) > 10:
        raise Malformed(f'"{sequence}" is no sequence number; a line begins with one, from 1.')
    if action not in ("permit", "deny"):
        raise Malformed(f'"{action}" is neither permit nor deny.')
    protocol = _protocol(protocol, family)
    source, source_port = _end(rest, protocol, family)
    destination, destination_port = _end(rest, protocol, family)
    established, log = _flag(rest, "established"), _flag(rest, "log")
    if rest:
        raise Malformed(f'"{rest[0]}" does not belong there; write for example {EXAMPLE}.')
    if established and protocol != "tcp":
        raise Malformed("established is for tcp only.")
    return Ace(
        int(sequence), action == "permit", protocol,
        source, destination, source_port, destination_port, established, log,
    )  # fmt: skip


def write(ace: Ace) -> str:
    """Write a line so that `parse` reads it back."""
    words = (
        str(ace.sequence), "permit" if ace.permit else "deny", ace.protocol,
        ace.source, ace.source_port, ace.destination, ace.destination_port,
        "established" if ace.established else "", "log" if ace.log else "",
    )  # fmt: skip
    return " ".join(word for word in words if word)


def _protocol(text: str, family: int) -> str:
    names = _PROTOCOLS[family]
    if text not in names and not (text.isdigit() and len(text) <= 3 and int(text) <= 255):
        raise Malformed(f'"{text}" is no protocol; write {", ".join(names)} or a number.')
    return _NAMES[family].get(text, text)


def _end(rest: list[str], protocol: str, family: int) -> tuple[str, str]:
    """Take one end, a network and perhaps ports, from the words that are left."""
    if not rest:
        raise Malformed(f"the destination is missing; write for example {EXAMPLE}.")
    network = _network(rest.pop(0), family)
    match = _PORTS.fullmatch(rest[0]) if rest else None
    if match is None:
        return network, ""
    if protocol not in PORTED:
        raise Malformed(f"{protocol} has no ports.")
    rest.pop(0)
    first, last = int(match[1]), int(match[2] or match[1])
    if not 0 <= first <= last <= 65535:
        raise Malformed("ports are 0 to 65535, the lower one first.")
    return network, str(first) if first == last else f"{first}-{last}"


def _network(text: str, family: int) -> str:
    if text == "any":
        return text
    try:
        network = ip_network(text)
    except ValueError as error:
        raise Malformed(f'"{text}" is no network: {error}.') from error
    if network.version != family:
        raise Malformed(f'"{text}" is not of IPv{family}.')
    if network.prefixlen == 0:
        return "any"
    return str(network)


def _flag(rest: list[str], word: str) -> bool:
    if rest and rest[0] == word:
        del rest[0]
        return True
    return False
