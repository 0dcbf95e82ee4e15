"""Steps in, the command lines that carry them out; raises Unsupported for what FRRouting has not.

FRRouting (8.4, ``zebra`` and ``staticd``) has static routes, access lists that know addresses alone, and a
description and a state of interfaces that the kernel made. A line of an access list that is there already
under another number is dropped without a word, so what goes is taken away first, and two alike are refused.
"""

from __future__ import annotations

from ipaddress import IPv4Network, ip_network
from typing import TYPE_CHECKING, Final

from sekisho.devices.switch.intent import Acl, Port, Route
from sekisho.model.errors import Unsupported

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sekisho.devices.switch.driver import Step
    from sekisho.devices.switch.intent import Ace

DEFAULT: Final = "default"
DISCARD: Final = "discard"
NOWHERE: Final = "Null0"
_USUAL: Final = 1  # the distance of a static route
_LONGEST: Final = 200
_PORT: Final = frozenset({"description", "enabled"})


def lines(step: Step) -> tuple[str, ...]:
    """Write one step as lines for the configuration mode, each context entered and left again."""
    part = step.after or step.before
    match step.before, step.after:
        case ((Route() | None), (Route() | None)):
            return tuple(_route(step.before, step.after))
        case ((Acl() | None), (Acl() | None)):
            return tuple(_acl(step.before, step.after))
        case Port() as before, Port() as after:
            return tuple(_port(before, after))
        case _:
            raise Unsupported(f"{_name(part)}: FRRouting cannot change this.")


def _name(part: object) -> str:
    return f"{getattr(part, 'kind', 'nothing')} {getattr(part, 'name', '')}".strip()


# --- routes ----------------------------------------------------------------------------------------


def _route(before: Route | None, after: Route | None) -> Iterator[str]:
    """Write a route's lines: what comes before what goes, so that nothing is without a way in between.

    A next hop is itself at any distance: to name it with another one moves it. Nothing and somewhere
    cannot stand side by side.
    """
    vrf = next(r.vrf for r in (after, before) if r is not None)
    new = route_lines(after) if after else {}
    old = route_lines(before) if before else {}
    gone = [f"no {old[via]}" for via in old if via not in new]
    come = [new[via] for via in new if old.get(via) != new[via]]
    first = gone + come if (DISCARD in old) != (DISCARD in new) else come + gone
    yield from first if vrf == DEFAULT else (f"vrf {vrf}", *first, "exit-vrf")


def route_lines(route: Route) -> dict[str, str]:
    """Write a route as one line for each next hop."""
    family = "ip" if ip_network(route.prefix).version == 4 else "ipv6"
    distance = route.preference or _USUAL
    return {
        via: f"{family} route {route.prefix} {NOWHERE if via == DISCARD else via} {distance}"
        for via in route.via or ()
    }


# --- access lists ----------------------------------------------------------------------------------


def _acl(before: Acl | None, after: Acl | None) -> Iterator[str]:
    old = acl_lines(before) if before else []
    new = acl_lines(after) if after else []
    yield from (f"no {line}" for line in old if line not in new)
    yield from (line for line in new if line not in old)


def acl_lines(acl: Acl) -> list[str]:
    """Write an access list's lines."""
    entries = acl.entries or ()
    words = [_ace(acl, entry) for entry in entries]
    if len(set(words)) < len(words) or not words:
        raise Unsupported(f"acl {acl.name}: FRRouting keeps no list that is empty or says a thing twice.")
    family = "access-list" if acl.family == 4 else "ipv6 access-list"
    return [f"{family} {acl.name} seq {e.sequence} {text}" for e, text in zip(entries, words, strict=True)]


def _ace(acl: Acl, entry: Ace) -> str:
    wanted = "ip" if acl.family == 4 else "ipv6"
    more = entry.source_port or entry.destination_port or entry.established or entry.log
    if entry.protocol != wanted or more or (acl.family == 6 and entry.destination != "any"):
        raise Unsupported(
            f"acl {acl.name}, line {entry.sequence}: FRRouting's lists know addresses alone, "
            "and of IPv6 the source alone."
        )
    permit = "permit" if entry.permit else "deny"
    if entry.destination == "any":
        return f"{permit} {entry.source}"
    return f"{permit} ip {_wild(entry.source)} {_wild(entry.destination)}"


def _wild(network: str) -> str:
    """Write a network as FRRouting prints it: ``any``, ``host A`` or ``A WILDCARD``."""
    if network == "any":
        return network
    found = IPv4Network(network)
    if found.prefixlen == found.max_prefixlen:
        return f"host {found.network_address}"
    return f"{found.network_address} {found.hostmask}"


# --- interfaces ------------------------------------------------------------------------------------


def _port(before: Port, after: Port) -> Iterator[str]:
    changed = {n for n in Port.__dataclass_fields__ if getattr(before, n) != getattr(after, n)}
    if not changed <= _PORT:
        raise Unsupported(f"port {after.name}: FRRouting cannot change {', '.join(sorted(changed - _PORT))}.")
    yield f"interface {after.name}"
    if "description" in changed:
        yield _described(after) if after.description else "no description"
    if "enabled" in changed:
        yield "no shutdown" if after.enabled else "shutdown"
    yield "exit"


def _described(port: Port) -> str:
    """Write a description, if it comes back as it was given: blanks are joined, ``?`` asks for help."""
    text = port.description or ""
    if " ".join(text.split()) != text or "?" in text or not text.isprintable() or len(text) > _LONGEST:
        raise Unsupported(
            f"port {port.name}: FRRouting keeps no description with question marks, control characters, "
            f"double or outer blanks, or over {_LONGEST} characters."
        )
    return f"description {text}"
