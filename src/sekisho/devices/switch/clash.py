"""What a switch has once only (names of VLANs, segments, vPC ids, networks) and who must give it up."""

from __future__ import annotations

from dataclasses import replace
from ipaddress import ip_interface
from typing import TYPE_CHECKING, Any, Final, TypeAlias

from sekisho.devices.switch.intent import Port, Svi, Vlan, key

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from sekisho.devices.converge import Changes
    from sekisho.devices.switch.intent import Key, Part

Thing: TypeAlias = tuple[object, ...]


def things(part: Part) -> tuple[Thing, ...]:
    """List what a part holds that no other may hold beside it."""
    holds = _HOLDS.get(part.kind)
    return holds(part) if holds is not None else ()


def _of_vlan(vlan: Any) -> tuple[Thing, ...]:
    named: tuple[Thing, ...] = (("vlan-name", vlan.name),) if vlan.name else ()
    return (*named, ("vni", vlan.vni)) if vlan.vni else named


def _of_port(port: Any) -> tuple[Thing, ...]:
    shared: tuple[Thing, ...] = (("vpc", port.vpc),) if port.vpc else ()
    return (*shared, ("peer-link",)) if port.peer_link else shared


def _of_svi(svi: Any) -> tuple[Thing, ...]:
    vrf = svi.vrf or "default"
    return tuple(("network", vrf, ip_interface(address).network) for address in svi.addresses or ())


_HOLDS: Final[Mapping[str, Callable[[Any], tuple[Thing, ...]]]] = {
    "vlan": _of_vlan,
    "port": _of_port,
    "svi": _of_svi,
}


def taken(changes: Changes[Part, Part]) -> Mapping[Key, dict[str, Any]]:
    """Find who holds what another takes: the fields that it must first have, by its key."""
    holders = {thing: old for old in _old(changes) for thing in things(old)}
    freed: dict[Key, Part] = {}
    for new in (*changes.add, *(new for new, _ in changes.alter)):
        for thing in things(new):
            holder = holders.get(thing)
            if holder is not None and key(holder) != key(new):
                freed[key(holder)] = _freed(freed.get(key(holder), holder), thing)
    olds = {key(old): old for old in _old(changes)}
    return {k: _fields(olds[k], part) for k, part in freed.items()}


def _old(changes: Changes[Part, Part]) -> Iterator[Part]:
    yield from (old for _, old in changes.alter)
    yield from changes.remove


def _freed(part: Part, thing: Thing) -> Part:
    match part, thing[0]:
        case Vlan(), "vlan-name":
            return replace(part, name=f"VLAN{part.id:04d}")  # what a VLAN without a name is called
        case Vlan(), _:
            return replace(part, vni=0)
        case Port(), "vpc":
            return replace(part, vpc=0)
        case Port(), _:
            return replace(part, peer_link=False)
        case Svi(), _:
            left = tuple(a for a in part.addresses or () if ip_interface(a).network != thing[2])
            return replace(part, addresses=left)
        case _:
            return part


def _fields(old: Part, new: Part) -> dict[str, Any]:
    return {f: getattr(new, f) for f in old.__dataclass_fields__ if getattr(new, f) != getattr(old, f)}
