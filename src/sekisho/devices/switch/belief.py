"""Whom a switch hears in LLDP, and whom of those to believe. Pure.

LLDP proves nothing: whoever owns a host can call himself as he likes, on as many links as he has.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, TypeAlias

from sekisho.devices.switch.intent import Port

if TYPE_CHECKING:
    from collections.abc import Iterable

    from sekisho.devices.switch.attach import Places
    from sekisho.devices.switch.intent import Part

Vpcs: TypeAlias = Mapping[str, int]


@dataclass(frozen=True, slots=True)
class Beside:
    """What is known beyond what a switch hears.

    `known` is where hosts were heard on it before, `named` are hosts whom any file names, `given` its ports
    that files give to hosts, `wanted` hosts that want something. `elsewhere` are hosts that other switches
    have, `paired` those of the other switch of its pair, with the vPCs they are on; `vpcs` are its own, by
    port.
    """

    known: Places = field(default_factory=dict)
    named: Collection[str] = ()
    given: Collection[str] = ()
    wanted: Collection[str] = ()
    elsewhere: Collection[str] = ()
    paired: Mapping[str, Collection[int]] = field(default_factory=dict)
    vpcs: Vpcs = field(default_factory=dict)


def vpcs(parts: Iterable[Part]) -> Vpcs:
    """Say which port-channels are vPCs, and which."""
    return {part.name: part.vpc for part in parts if isinstance(part, Port) and part.vpc}


def given(own: Vpcs, pairs: Vpcs, ports: Collection[str]) -> frozenset[str]:
    """Give the ports of a switch that are the same vPC as ports of the other switch of its pair."""
    taken = {pairs[port] for port in ports if port in pairs}
    return frozenset(port for port, vpc in own.items() if vpc in taken)


def believed(heard: Places, beside: Beside) -> tuple[Places, frozenset[str]]:
    """Say where hosts are, and whose names are heard where they cannot be.

    A host stays where it was heard before. A new one is believed on one port alone, if no other switch has
    it but the pair's other one on the same vPC; and a port has one host, for all it says it has more.
    """
    found: dict[str, tuple[str, ...]] = {}
    contested = set()
    for host, ports in heard.items():
        free = tuple(p for p in ports if p not in beside.given)
        if host in beside.named or not free:
            continue
        before = tuple(p for p in free if p in beside.known.get(host, ()))
        if len(before or free) < len(free) or (not before and not _new(host, free, beside)):
            contested.add(host)
        if before or host not in contested:
            found[host] = before or free
    crowd = _crowd(found, beside)
    return {h: p for h, p in found.items() if h not in crowd}, frozenset(contested | crowd)


def _new(host: str, ports: tuple[str, ...], beside: Beside) -> bool:
    """Tell whether a host may be where nobody has heard it before."""
    if len(ports) > 1 or host in beside.elsewhere:
        return False
    return host not in beside.paired or beside.vpcs.get(ports[0]) in beside.paired[host]


def _crowd(found: Places, beside: Beside) -> frozenset[str]:
    """Give the newcomers on ports where more than one host that wants something is heard."""
    many = Counter(port for host, ports in found.items() if host in beside.wanted for port in ports)
    return frozenset(
        host
        for host, ports in found.items()
        if host in beside.wanted
        and any(many[port] > 1 and port not in beside.known.get(host, ()) for port in ports)
    )
