"""A running configuration's text in, its parts out; lines that no part can say are passed over."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from ipaddress import IPv4Address, IPv4Network, ip_network
from typing import TYPE_CHECKING, Final

from sekisho.devices.switch.frr.words import DEFAULT, DISCARD
from sekisho.devices.switch.intent import Ace, Acl, Port, Route

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sekisho.devices.switch.intent import Part

# What is printed around the configuration, and what the router's own system says, not it.
_AROUND: Final = (
    "Building configuration",
    "Current configuration:",
    "frr version",
    "frr defaults",
    "hostname ",
)
_LEAVES: Final = frozenset({"exit", "exit-vrf", "exit-address-family", "end"})
_ROUTE: Final = re.compile(
    r"ipv?6? route (?P<prefix>\S+) (?P<via>[\da-fA-F.:]+|Null0|blackhole)(?: (?P<distance>\d+))?"
)
_ACL: Final = re.compile(
    r"(?P<six>ipv6 )?access-list (?P<name>\S+) (?:seq (?P<seq>\d+) (?P<verb>permit|deny) )?(?P<rest>.+)"
)


def body(text: str) -> Iterator[tuple[tuple[str, ...], str]]:
    """Go through the lines of a configuration, each with the contexts that it stands in."""
    path: list[tuple[int, str]] = []
    for line in text.splitlines():
        word, depth = line.strip(), len(line) - len(line.lstrip(" "))
        if not word or word == "!" or word.startswith(_AROUND):
            continue
        path = [(d, w) for d, w in path if d < depth]
        if word not in _LEAVES:
            yield tuple(w for _, w in path), word
            path.append((depth, word))


@dataclass(slots=True)
class _Found:
    routes: dict[tuple[str, str], list[tuple[int, str]]] = field(default_factory=dict)
    lists: dict[tuple[int, str], list[Ace | None]] = field(default_factory=dict)
    ports: dict[str, Port] = field(default_factory=dict)


def parts(text: str, interfaces: tuple[str, ...]) -> Iterator[Part]:
    """Read the parts of a configuration; `interfaces` are those that the kernel has."""
    found = _Found(ports={name: Port(name, "", enabled=True) for name in interfaces})
    for path, line in body(text):
        match path:
            case ():
                _outside(found, line)
            case (context,) if context.startswith("vrf "):
                _route(found, context.removeprefix("vrf "), line)
            case (context,) if context.startswith("interface "):
                _inside(found, context.removeprefix("interface ").split()[0], line)
    yield from found.ports.values()
    for (vrf, prefix), hops in found.routes.items():
        best = min(distance for distance, _ in hops)
        yield Route(vrf, prefix, tuple(sorted(via for distance, via in hops if distance == best)), best)
    for (family, name), entries in found.lists.items():
        if None not in entries:
            yield Acl(family, name, tuple(e for e in entries if e is not None))


def _outside(found: _Found, line: str) -> None:
    _route(found, DEFAULT, line)
    acl = _ACL.fullmatch(line)
    if acl and acl["seq"]:
        family = 6 if acl["six"] else 4
        entry = _ace(family, int(acl["seq"]), acl["verb"] == "permit", acl["rest"].split())
        found.lists.setdefault((family, acl["name"]), []).append(entry)


def _route(found: _Found, vrf: str, line: str) -> None:
    route = _ROUTE.fullmatch(line)
    if route:
        via = DISCARD if route["via"] in ("Null0", "blackhole") else route["via"]
        hops = found.routes.setdefault((vrf, str(ip_network(route["prefix"]))), [])
        hops.append((int(route["distance"] or 1), via))


def _inside(found: _Found, name: str, line: str) -> None:
    port = found.ports.get(name)
    if port is None:  # named before the kernel has it
        return
    if line.startswith("description "):
        found.ports[name] = Port(name, line.removeprefix("description "), enabled=port.enabled)
    elif line == "shutdown":
        found.ports[name] = Port(name, port.description, enabled=False)


def _ace(family: int, sequence: int, permit: bool, words: list[str]) -> Ace | None:  # noqa: FBT001
    """Read what follows ``permit``; None for what an Ace cannot say."""
    protocol = "ip" if family == 4 else "ipv6"
    if words[0] == "ip" and family == 4:
        source, rest = _network(words[1:])
        destination, rest = _network(rest)
    else:
        source, destination, rest = _prefix(words[0]), "any", words[1:]
    if rest or not source or not destination:
        return None
    return Ace(sequence, permit, protocol, source, destination)


def _prefix(word: str) -> str:
    return word if word == "any" else str(ip_network(word, strict=False))


def _network(words: list[str]) -> tuple[str, list[str]]:
    """Read one end of an extended line and give what follows it; "" for a wildcard that is no prefix."""
    match words:
        case ["any", *rest]:
            return "any", rest
        case ["host", address, *rest]:
            return f"{address}/32", rest
        case [address, wildcard, *rest]:
            return _wild(address, int(IPv4Address(wildcard))), rest
        case _:
            return "", words


def _wild(address: str, wildcard: int) -> str:
    """Read a wildcard, whose set bits do not matter; as a mask it could be taken for its own opposite."""
    if wildcard & (wildcard + 1):
        return ""
    return str(IPv4Network(f"{address}/{32 - wildcard.bit_length()}", strict=False))
