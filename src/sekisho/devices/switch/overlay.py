"""An intent laid over a state: what the switch should be altogether; what is not mentioned is left alone."""

from __future__ import annotations

import re
from dataclasses import fields, replace
from functools import lru_cache
from operator import attrgetter
from typing import TYPE_CHECKING, Any, Final

from sekisho.devices.switch import vlans
from sekisho.devices.switch.intent import (
    KINDS,
    Feature,
    Lacp,
    Port,
    PortMode,
    State,
    Storm,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from sekisho.devices.switch.driver import Abilities
    from sekisho.devices.switch.intent import Intent, Key, Part

# What a physical interface has from its port-channel while it is a member; the rest stays its own.
MIRRORED: Final = (
    "mtu", "speed", "mode", "access", "native", "allowed", "edge", "bpdu_guard", "storm",
    "acl4_in", "acl4_out", "acl6_in", "acl6_out",
)  # fmt: skip

# What there is on every switch and nobody removes.
FIXED: Final = frozenset({("vlan", "1"), ("vrf", "default"), ("vrf", "management"), ("system",)})

_UNORDERED: Final = frozenset({"members", "via", "addresses"})
_FIELDS: Final[Mapping[type, tuple[str, ...]]] = {
    cls: tuple(f.name for f in fields(cls) if f.name not in ("kind", "within")) for cls in KINDS.values()
}
_VALUES: Final[Mapping[type, Callable[[Any], tuple[object, ...]]]] = {
    cls: attrgetter(*names, "kind")  # never one name alone, which would not give a tuple
    for cls, names in _FIELDS.items()
}


def is_channel(name: str) -> bool:
    """Tell a port-channel's name from a physical interface's."""
    return name.startswith("port-channel")


def in_order(names: frozenset[str] | set[str] | tuple[str, ...]) -> tuple[str, ...]:
    """Sort interface names as people do: ``Ethernet1/2`` before ``Ethernet1/10``."""
    return tuple(sorted(names, key=_natural))


def in_turn(key: Key) -> tuple[list[tuple[int, str]], ...]:
    """Give what sorts keys as people do: VLAN 2 before VLAN 10."""
    return tuple(_natural(word) for word in key)


def wanted(intent: Intent, state: State, abilities: Abilities) -> State:
    """Lay an intent over a state, and add what it cannot be without: members' ends of a channel, features.

    Parts that need no change are the state's very objects.
    """
    parts: dict[Key, Part] = dict(state.parts)
    for key, part in intent.parts.items():
        laid = _laid(part, parts.get(key))
        if laid is not None:
            parts[key] = laid
    for key in _unwanted(intent, state):
        _remove(key, parts)
    _join_and_leave(intent, state, parts)
    if "feature" in abilities.kinds:
        _enable(parts, state)
    return State(state.facts, parts)


def needs(part: Part) -> tuple[str, ...]:
    """List the features without which a part cannot be."""
    match part.kind:
        case "vlan":
            return ("vxlan",) if part.vni else ()
        case "port":
            speaks = ("lacp",) if part.lacp in (Lacp.ACTIVE, Lacp.PASSIVE) else ()
            return (*speaks, "vpc") if part.vpc or part.peer_link else speaks
        case "svi" | "vpc":
            return (part.kind,)
        case _:
            return ()


def values(part: Part) -> tuple[object, ...]:
    """Give a part's fields, its kind last."""
    return _VALUES[type(part)](part)


@lru_cache(16384)
def _natural(name: str) -> list[tuple[int, str]]:
    if name.isdigit():
        return [(int(name), "")]
    return [(int(p), "") if p.isdigit() else (-1, p) for p in re.split(r"(\d+)", name)]


def _laid(part: Part, standing: Part | None) -> Part | None:
    """Give what a part becomes; None if there is nothing to make (a feature to be off that is not there)."""
    if isinstance(part, Port):
        part = _spoken(part, standing if isinstance(standing, Port) else None)
    if standing is None:
        return None if isinstance(part, Feature) and part.enabled is False else part
    kind = type(part)
    said, stands = _VALUES[kind](part), _VALUES[kind](standing)
    if said == stands:
        return standing
    changed: dict[str, Any] = {
        name: new
        for name, new, old in zip(_FIELDS[kind], said, stands, strict=False)
        if new is not None and new != old and not _as_good(name, new, old)
    }
    return replace(standing, **changed) if changed else standing


def _as_good(name: str, new: Any, old: Any) -> bool:
    return name in _UNORDERED and old is not None and sorted(new) == sorted(old)


def _spoken(port: Port, standing: Port | None) -> Port:
    """Fill in what an intent's port says only a part of: `allowed` within some ids, single storm levels."""
    allowed, storm = port.allowed, port.storm
    if port.within and allowed is not None:
        allowed = vlans.common(allowed, port.within)
        # What an access port would allow as a trunk is a default that nobody chose: it is not kept.
        if standing is not None and standing.mode is PortMode.TRUNK and standing.allowed:
            allowed = vlans.join(allowed, vlans.without(standing.allowed, port.within))
    if storm is not None and standing is not None and standing.storm is not None:
        storm = replace(standing.storm, **_levels(storm))
    if port.within or storm is not port.storm:
        return replace(port, allowed=allowed, within="", storm=storm)
    return port


def _levels(storm: Storm) -> dict[str, Any]:
    return {f: v for f in Storm.__dataclass_fields__ if (v := getattr(storm, f)) is not None}


def _unwanted(intent: Intent, state: State) -> Iterator[Key]:
    yield from intent.absent
    if not intent.exclusive and not intent.owned:
        return
    for key in state.parts:
        if key in intent.parts or key in FIXED or (key[0] == "port" and not is_channel(key[1])):
            continue
        ours = key[0] == "vlan" and bool(intent.owned) and vlans.has(intent.owned, int(key[1]))
        if ours or key[0] in intent.exclusive:
            yield key


def _remove(key: Key, parts: dict[Key, Part]) -> None:
    standing = parts.get(key)
    if isinstance(standing, Feature):  # the switch always has it, on or off
        if standing.enabled:
            parts[key] = replace(standing, enabled=False)
    elif standing is not None:
        del parts[key]


# Port-channels and their members: the same fact stands at both ends.


def _join_and_leave(intent: Intent, state: State, parts: dict[Key, Part]) -> None:
    before, after = membership(state.parts), membership(parts, first=_claims(intent))
    for key in [k for k in parts if k[0] == "port"]:
        port = parts[key]
        if not isinstance(port, Port):
            continue
        if is_channel(port.name):
            members = tuple(m for m in port.members or () if after[m] == port.name)
            if members != (port.members or ()):
                port = replace(port, members=members)
            parts[key] = port if members else _empty(port, state.parts.get(key))
        else:
            old, new = before.get(port.name, ""), after.get(port.name, "")
            parts[key] = _member(port, state.parts.get(key), parts.get(("port", new)), moved=old != new)


def _empty(channel: Port, standing: Part | None) -> Port:
    """Leave an empty channel the LACP mode that it has: many switches know one of members only."""
    if not isinstance(standing, Port) or standing.lacp is None or channel.lacp in (standing.lacp, Lacp.ON):
        return channel
    return replace(channel, lacp=standing.lacp)


def membership(parts: Mapping[Key, Part], first: Mapping[str, str] | None = None) -> dict[str, str]:
    """Map members to their port-channels; where two have the same one, `first` says whose it is."""
    found: dict[str, str] = {}
    for part in parts.values():
        if type(part) is Port and part.members:  # there may be thousands of others
            for member in part.members:
                found.setdefault(member, part.name)
    for member, channel in (first or {}).items():
        if member in found:
            found[member] = channel
    return found


def _claims(intent: Intent) -> dict[str, str]:
    """List the members that the intent itself names: a channel that it does not mention gives them up."""
    return membership(intent.parts)


def _member(port: Port, standing: Part | None, channel: Part | None, *, moved: bool) -> Port:
    """Make a physical interface agree with the channel that it is in after all, if any."""
    if moved:
        port = replace(port, channel=channel.name if isinstance(channel, Port) else "")
    if not isinstance(channel, Port):
        return port
    source = channel if moved else standing
    mirrored = {f: v for f in MIRRORED if (v := getattr(source, f)) is not None}
    return port if all(getattr(port, f) == v for f, v in mirrored.items()) else replace(port, **mirrored)


def _enable(parts: dict[Key, Part], state: State) -> None:
    """Turn on the features that new and changed parts need, unless the intent turns them off."""
    changed = (part for key, part in parts.items() if part is not state.parts.get(key))
    for name in sorted({need for part in changed for need in needs(part)}):
        key = ("feature", name)
        standing = parts.get(key)
        if standing is None or standing is state.parts.get(key):
            laid = _laid(Feature(name, enabled=True), standing)
            if laid is not None:
                parts[key] = laid
