"""What of an intent cannot be on a switch, in whatever order it is done: one sentence each."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from sekisho.devices.switch import vlans
from sekisho.devices.switch.clash import things
from sekisho.devices.switch.intent import (
    Feature,
    Ntp,
    Port,
    Route,
    Svi,
    Syslog,
    Trap,
    Vlan,
    Vpc,
    key,
    mentioned,
)
from sekisho.devices.switch.overlay import FIXED, MIRRORED, in_turn, is_channel, membership, needs
from sekisho.devices.switch.words import name
from sekisho.model.units import did_you_mean

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from sekisho.devices.switch.driver import Abilities
    from sekisho.devices.switch.intent import Intent, Key, Part, State

# What a Nexus keeps for itself, unless it was told another range ("system vlan N reserve").
RESERVED: Final = "3968-4094"

_THINGS: Final = {
    "vlan-name": "the name {1}",
    "vni": "the segment {1}",
    "vpc": "vPC {1}",
    "peer-link": "the peer link",
    "network": "the network {2} (VRF {1})",
}
# A switch tells all of these that it has; its users may be another machine's, its routes a protocol's.
_SURE: Final = ("port", "svi", "vlan", "vrf", "acl")
_BINDINGS: Final = (("4", "acl4_in"), ("4", "acl4_out"), ("6", "acl6_in"), ("6", "acl6_out"))


def impossible(intent: Intent, state: State, target: State, abilities: Abilities) -> tuple[str, ...]:
    """List, one sentence each, what cannot be; `target` is the intent laid over the state."""
    before, after = state.parts, target.parts
    changed = {k: p for k, p in after.items() if p is not before.get(k)}
    found = (
        *_kinds(intent, abilities),
        *_interfaces(intent, before),
        *_protected(intent, before, after, abilities),
        *_fixed(intent),
        *_reserved(intent, before),
        *_channels(intent, after),
        *_unknown(intent, before),
        *_features(changed, after),
        *_named(changed, before, after),
        *_twice(changed, after),
    )
    return tuple(dict.fromkeys(found))


def _kinds(intent: Intent, abilities: Abilities) -> Iterator[str]:
    for kind in sorted({k[0] for k in intent.parts} - abilities.kinds):
        yield f"{kind}: this kind of switch has none that we can set."


def _interfaces(intent: Intent, before: Mapping[Key, Part]) -> Iterator[str]:
    for part in intent.parts.values():
        if not isinstance(part, Port):
            continue
        if key(part) not in before and (_beside(part) or not is_channel(part.name)):
            yield f"{name(key(part))}: the switch has no such interface."
        for member in part.members or ():
            if ("port", member) not in before:
                yield f"{name(key(part))}: its member {member} is no interface of the switch."


def _protected(
    intent: Intent, before: Mapping[Key, Part], after: Mapping[Key, Part], abilities: Abilities
) -> Iterator[str]:
    """Find what is to be protected and is nowhere: a name that is written wrong would protect nothing."""
    named = {*intent.management, *(("port", uplink) for uplink in intent.uplinks)} if intent.whole else set()
    for subject in sorted(named - before.keys() - after.keys() - intent.absent - FIXED):
        kind = subject[0]
        if kind in _SURE and kind in abilities.kinds and kind not in intent.exclusive:
            yield f"{name(subject)}: is named under [protect], and the switch has none such."


def _beside(part: Port) -> bool:
    """Tell whether a port is spoken of beside others only: who has a word in some VLANs makes no port."""
    return bool(part.within) and mentioned(part).keys() <= {"name", "allowed"}


def _fixed(intent: Intent) -> Iterator[str]:
    for subject in sorted(intent.absent):
        if subject in FIXED:
            yield f"{name(subject)}: cannot be removed from any switch."
        elif subject[0] == "port" and not is_channel(subject[1]):
            yield f"{name(subject)}: an interface of the hardware cannot be absent; shut it down instead."


def _reserved(intent: Intent, before: Mapping[Key, Part]) -> Iterator[str]:
    for subject, part in intent.parts.items():
        if subject not in before and isinstance(part, Vlan) and vlans.has(RESERVED, part.id):
            yield f"VLAN {part.id}: is one of {RESERVED}, which the switch keeps for itself."


def _channels(intent: Intent, after: Mapping[Key, Part]) -> Iterator[str]:
    claimed: dict[str, str] = {}
    for channel, member in _claims(intent):
        other = claimed.setdefault(member, channel)
        if other != channel:
            yield f"port {member}: is to be in two port-channels, {other} and {channel}."
    for subject in (k for k in intent.parts if k[0] == "port"):
        part = after.get(subject)
        if isinstance(part, Port) and part.peer_link and part.edge:
            yield f"{name(subject)}: is the peer link, behind which there is a switch: it is no edge port."
    for member, channel in membership(after).items():
        said = intent.parts.get(("port", member))
        whole = after.get(("port", channel))
        wrong = [f for f in MIRRORED if (v := getattr(said, f, None)) is not None and v != getattr(whole, f)]
        if wrong:
            yield (
                f"port {member}: is in {channel}, whose settings hold; leave out "
                f"{', '.join(wrong)} or write the same there."
            )


def _claims(intent: Intent) -> Iterator[tuple[str, str]]:
    for part in intent.parts.values():
        if isinstance(part, Port):
            yield from ((part.name, member) for member in part.members or ())


def _unknown(intent: Intent, before: Mapping[Key, Part]) -> Iterator[str]:
    known = [k[1] for k in before if k[0] == "feature"]
    for subject in intent.parts if known else ():
        if subject[0] == "feature" and subject not in before:
            yield f"{name(subject)}: the switch has none of that name; {did_you_mean(subject[1], known)}"


def _features(changed: Mapping[Key, Part], after: Mapping[Key, Part]) -> Iterator[str]:
    for subject, part in changed.items():
        for need in needs(part):
            feature = after.get(("feature", need))
            if isinstance(feature, Feature) and not feature.enabled:
                yield f"{name(subject)}: needs the feature {need}, which is to be off."


def _named(
    changed: Mapping[Key, Part], before: Mapping[Key, Part], after: Mapping[Key, Part]
) -> Iterator[str]:
    """Find what names an access list or a VRF that would not be there."""
    for subject, part in after.items():
        if subject[0] == "vlan":
            continue
        for other in names(part):
            if other not in after and other not in FIXED and (subject in changed or other in before):
                yield f"{name(subject)}: needs {name(other)}, which would not be there."


def names(part: Part) -> Iterator[Key]:
    """List the access lists and VRFs that a part names; a member of a channel names none itself."""
    if isinstance(part, Svi) or (isinstance(part, Port) and not part.channel):
        for family, field in _BINDINGS:
            bound = getattr(part, field)
            if bound:
                yield "acl", family, bound
    if isinstance(part, (Svi, Route, Ntp, Syslog, Trap, Vpc)) and part.vrf:
        yield "vrf", part.vrf


def _twice(changed: Mapping[Key, Part], after: Mapping[Key, Part]) -> Iterator[str]:
    held = {thing: k for k, part in changed.items() for thing in things(part)}
    if not held:
        return
    kinds = {k[0] for k in held.values()}
    for subject, part in after.items():
        if subject[0] not in kinds:
            continue
        for thing in things(part):
            other = held.setdefault(thing, subject) if subject in changed else held.get(thing, subject)
            if other != subject:
                both = " and ".join(name(k) for k in sorted((subject, other), key=in_turn))
                yield f"{both}: both have {_THINGS[str(thing[0])].format(*thing)}, which there is once only."
