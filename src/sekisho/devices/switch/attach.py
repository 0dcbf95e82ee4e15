"""What the cloud wants on its hosts' ports, laid over what the operator wants of a switch. Pure.

Of the ids that a switch's file gives to the cloud, the hosts' ports carry exactly what the cloud says, and
the switch has exactly those VLANs; all other ids stay the operator's. A port's mode is the operator's, too:
a port that became a trunk would carry every VLAN there is.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Final, TypeAlias

from sekisho.devices.switch import vlans
from sekisho.devices.switch.intent import Port, PortMode, Svi, Vlan, key

if TYPE_CHECKING:
    from sekisho.devices.switch.document import Attach
    from sekisho.devices.switch.driver import Neighbour
    from sekisho.devices.switch.intent import Intent, Key, Part
    from sekisho.model.attachment import HostVlan

Wanted: TypeAlias = Mapping[str, tuple["HostVlan", ...]]
Places: TypeAlias = Mapping[str, tuple[str, ...]]

# A VLAN's name on Nexus and others has room for just the digits of a network's id (a UUID).
_LONGEST: Final = 32


@dataclass(frozen=True, slots=True)
class Demand:
    """What the cloud wants of one switch.

    `wanted` are VLANs by host, `places` the ports of the hosts that are on this switch; `beside` are hosts
    that are on the pair's other switch alone, `former` ports that had hosts and may have none now.
    """

    wanted: Wanted = field(default_factory=dict)
    places: Places = field(default_factory=dict)
    beside: frozenset[str] = frozenset()
    former: frozenset[str] = frozenset()


def channels(parts: Iterable[Part]) -> Mapping[str, str]:
    """Say which port-channel each interface belongs to, as a switch or its file tells it."""
    found: dict[str, str] = {}
    for part in parts:
        if isinstance(part, Port):
            found |= dict.fromkeys(part.members or (), part.name)
            if part.channel:
                found[part.name] = part.channel
    return found


def places(attach: Attach, neighbours: Iterable[Neighbour], within: Mapping[str, str]) -> Places:
    """Say on which ports hosts are: where the file says so, else (with `lldp`) where they are heard.

    `within` is what `channels` gives: VLANs are a port-channel's, not its members'. A host that is heard is
    named by its whole name and by the first label of it; who is no host of the cloud's does no harm.
    """
    heard: dict[str, set[str]] = {}
    for neighbour in neighbours if attach.lldp else ():
        for name in {neighbour.system, neighbour.system.partition(".")[0]} - {""}:
            heard.setdefault(name, set()).add(within.get(neighbour.port, neighbour.port))
    return {name: tuple(sorted(ports)) for name, ports in heard.items()} | dict(attach.hosts)


def overlay(intent: Intent, attach: Attach, demand: Demand) -> Intent:
    """Lay what the cloud wants over an intent; an intent of a switch without cloud VLANs stays as it is."""
    if not attach.vlans:
        return intent
    parts = {**intent.parts, **_vlans(intent, attach, demand)}
    for name, ids in _ports(attach, demand).items():
        parts["port", name] = _carrying(intent.parts.get(("port", name)), name, ids, attach.vlans)
    return replace(intent, parts=parts, owned=vlans.join(intent.owned, attach.vlans))


def narrow(intent: Intent) -> Intent:
    """Give an intent that wants nothing by itself, but knows what must not be touched."""
    return replace(intent, parts={}, absent=frozenset(), exclusive=frozenset(), owned="", whole=False)


def cloud_only(intent: Intent, attach: Attach, demand: Demand) -> Intent:
    """Give what the cloud wants and nothing else, as far as the operator's own words allow it."""
    whole = overlay(intent, attach, demand)
    mine = {*_vlans(intent, attach, demand), *(("port", n) for n in _ports(attach, demand))}
    parts = {k: _share(intent.parts.get(k), p, attach) for k, p in whole.parts.items() if k in mine}
    theirs = vlans.of(p.id for k, p in intent.parts.items() if isinstance(p, Vlan) and k not in parts)
    return replace(narrow(intent), parts=parts, owned=vlans.without(attach.vlans, theirs))


def spared(intent: Intent, parts: Iterable[Part]) -> Intent:
    """Leave VLANs alone that somebody uses without the cloud: an access port or an SVI is in them.

    A trunk is in none by itself: uplinks carry all of the cloud's ids.
    """
    used = vlans.NONE
    for part in parts:
        match part:
            case Svi(vlan=number) | Port(mode=PortMode.ACCESS, channel=None | "", access=int(number)):
                used = vlans.join(used, str(number))
            case _:
                pass
    return replace(intent, owned=vlans.without(intent.owned, used))


def _share(written: Part | None, laid: Part, attach: Attach) -> Part:
    """Take out of a part what the operator alone has a word in."""
    if isinstance(laid, Port):
        return Port(laid.name, allowed=vlans.common(laid.allowed or "", attach.vlans), within=attach.vlans)
    return written or laid


def outside(attach: Attach, wanted: Iterable[HostVlan]) -> str:
    """Give the ids that are wanted and not the cloud's to have, as a set."""
    return vlans.without(vlans.of(v.id for v in wanted), attach.vlans)


def _vlans(intent: Intent, attach: Attach, demand: Demand) -> dict[Key, Part]:
    found: dict[Key, Part] = {}
    for host in sorted({*demand.places, *demand.beside}):
        for wanted in demand.wanted.get(host, ()):
            part = Vlan(wanted.id, _name(wanted))
            if vlans.has(attach.vlans, wanted.id) and key(part) not in intent.absent:
                found.setdefault(key(part), part)
    # What the operator says of such a VLAN holds.
    return {k: intent.parts.get(k, p) for k, p in found.items()}


def _name(wanted: HostVlan) -> str | None:
    """Name a VLAN by its network's id: no two are alike, and every switch can spell it."""
    return wanted.network.replace("-", "")[:_LONGEST] or None


def _ports(attach: Attach, demand: Demand) -> dict[str, str]:
    """Say which of the cloud's ids each of the hosts' ports carries."""
    found = dict.fromkeys(demand.former, vlans.NONE)
    for host, ports in demand.places.items():
        ids = vlans.of(v.id for v in demand.wanted.get(host, ()))
        if host in demand.wanted or host in attach.hosts:
            for port in ports:
                found[port] = vlans.join(found.get(port, vlans.NONE), vlans.common(ids, attach.vlans))
    return found


def _carrying(written: Part | None, name: str, ids: str, ours: str) -> Port:
    """Let a port carry just these of our ids, and of the others what it carries or should."""
    port = written if isinstance(written, Port) else Port(name)
    if port.allowed is None:
        return replace(port, allowed=ids, within=ours)
    theirs = vlans.without(port.allowed, ours)
    within = vlans.join(port.within, ours) if port.within else ""
    return replace(port, allowed=vlans.join(theirs, ids), within=within)
