"""What a plan puts at risk: both ends of the way in, Risks with a sentence each out."""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import StrEnum
from functools import reduce
from typing import TYPE_CHECKING, Final, TypeAlias

from sekisho.devices.switch import vlans
from sekisho.devices.switch.intent import Feature, Port, PortMode, Svi, Vlan, Vpc
from sekisho.devices.switch.loss import interruptions, losses, lost_vlans, severed
from sekisho.devices.switch.overlay import in_turn, membership
from sekisho.devices.switch.words import name

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator, Mapping

    from sekisho.devices.switch.intent import Intent, Key, Part

    Parts: TypeAlias = Mapping[Key, Part]
    Change: TypeAlias = tuple[Key, Part | None, Part | None]


# Bytes: what a new port takes where nobody says it (IEEE 802.3).
_MTU: Final = 1500


class RiskKind(StrEnum):
    """What can go wrong; operators allow a forbidden one by this name."""

    CUT_OFF = "cut-off"
    MANAGEMENT = "management"
    UPLINK = "uplink"
    PEER_LINK = "peer-link"
    PAIR = "pair"
    PAIR_MTU = "pair-mtu"
    VLAN_WITH_PORTS = "vlan-with-ports"
    VLAN_MISSING = "vlan-missing"
    FEATURE_OFF = "feature-off"
    INTERRUPTS = "interrupts"


@dataclass(frozen=True, slots=True)
class Risk:
    """One danger of a plan; a `forbidden` one is not applied unless allowed by its kind's name.

    The key of an SNMP community is a secret: show the sentence, which holds none.
    """

    kind: RiskKind
    key: Key
    sentence: str
    forbidden: bool = False


def risks(intent: Intent, before: Parts, after: Parts) -> tuple[Risk, ...]:
    """Name what the way from one state to another puts at risk, the forbidden first."""
    changes = _changes(before, after)
    management = _management(intent, before, after)
    uplinks = _links(intent.uplinks, before, after)
    found = (
        *(r for c in changes if c[0] in management for r in _managed(c, management)),
        *(r for c in changes if c[0] in uplinks for r in _link(RiskKind.UPLINK, "an uplink", c)),
        *(r for c in changes if _is_peer_link(c) for r in _link(RiskKind.PEER_LINK, "the peer link", c)),
        *(r for c in changes for r in _others(c, after)),
        *_vlans_gone([old for _, old, new in changes if new is None and isinstance(old, Vlan)], after),
    )
    return tuple(sorted(found, key=lambda r: (not r.forbidden, list(RiskKind).index(r.kind), in_turn(r.key))))


def untaken(risks: Iterable[Risk], allowed: Collection[str]) -> tuple[Risk, ...]:
    """List the risks that forbid applying a plan, but for the kinds that were allowed by name."""
    return tuple(r for r in risks if r.forbidden and r.kind not in allowed)


def pair(one: Parts, other: Parts) -> tuple[Risk, ...]:
    """Compare what both switches of a pair would be: what differs suspends ports on both."""
    found = []
    mine, theirs = _shared(one), _shared(other)
    for shared in sorted(mine.keys() & theirs.keys()):
        a, b = mine[shared], theirs[shared]
        what = f"{name(('port', a.name))} ({shared})"
        if a.mtu != b.mtu:
            said = f"{what}: its MTU is {a.mtu} here and {b.mtu} on the other switch."
            found.append(Risk(RiskKind.PAIR_MTU, ("port", a.name), said, forbidden=True))
        if a.mode is not b.mode or a.native != b.native:
            said = f"{what}: its mode or native VLAN differs from the other switch's."
            found.append(Risk(RiskKind.PAIR, ("port", a.name), said, forbidden=True))
        elif a.allowed != b.allowed:
            said = f"{what}: it allows other VLANs than on the other switch."
            found.append(Risk(RiskKind.PAIR, ("port", a.name), said))
    found += _alone(one, other, mine, theirs)
    a_domain, b_domain = one.get(("vpc",)), other.get(("vpc",))
    if isinstance(a_domain, Vpc) and isinstance(b_domain, Vpc) and a_domain.domain != b_domain.domain:
        said = f"vPC domain: is {a_domain.domain} here and {b_domain.domain} on the other switch."
        found.append(Risk(RiskKind.PAIR, ("vpc",), said, forbidden=True))
    return tuple(found)


def _alone(one: Parts, other: Parts, mine: Mapping[str, Port], theirs: Mapping[str, Port]) -> Iterator[Risk]:
    """Name the VLANs of what the pair shares that only one of both would have."""
    shared = [*mine.values(), *theirs.values()] if mine.keys() & theirs.keys() else []
    ids = [vlans.of(p.id for p in parts.values() if isinstance(p, Vlan)) for parts in (one, other)]
    for has, lacks, where in ((ids[0], ids[1], "this switch"), (ids[1], ids[0], "the other switch")):
        alone = vlans.without(has, lacks)
        carried = reduce(vlans.join, (vlans.common(p.allowed or "", alone) for p in shared), vlans.NONE)
        if carried != vlans.NONE:
            said = f"VLAN {carried} would be on {where} alone: it is suspended on what the pair shares."
            yield Risk(RiskKind.PAIR, ("vlan", carried), said)


def _shared(parts: Parts) -> dict[str, Port]:
    found = {}
    for part in parts.values():
        if isinstance(part, Port) and part.peer_link:
            found["peer link"] = _made(part)
        elif isinstance(part, Port) and part.vpc:
            found[f"vPC {part.vpc}"] = _made(part)
    return found


def _made(port: Port) -> Port:
    """Give a port as it is once it is there: what nobody says of a new one is what is usual."""
    return replace(
        port,
        mtu=_MTU if port.mtu is None else port.mtu,
        mode=port.mode or PortMode.ACCESS,
        native=1 if port.native is None else port.native,
        allowed=vlans.ALL if port.allowed is None else port.allowed,
    )


def _changes(before: Parts, after: Parts) -> list[Change]:
    altered: list[Change] = [(k, old, after.get(k)) for k, old in before.items() if old is not after.get(k)]
    added: list[Change] = [(k, None, new) for k, new in after.items() if k not in before]
    return [c for c in altered if c[1] != c[2]] + added


def _management(intent: Intent, before: Parts, after: Parts) -> frozenset[Key]:
    """Add to the parts that the way to the switch needs what those need in turn."""
    ports = _links({k[1] for k in intent.management if k[0] == "port"}, before, after)
    found: set[Key] = {*intent.management, *ports}
    for subject in tuple(found):
        if subject[0] == "svi":
            found |= {("vlan", subject[1]), ("feature", "svi")}
        for parts in (before, after):
            part = parts.get(subject)
            if isinstance(part, (Port, Svi)):
                found |= {("acl", "4", part.acl4_in or ""), ("acl", "4", part.acl4_out or "")}
                found |= {("acl", "6", part.acl6_in or ""), ("acl", "6", part.acl6_out or "")}
            if isinstance(part, Svi) and part.vrf:
                found.add(("vrf", part.vrf))
    return frozenset(found)


def _links(names: frozenset[str] | set[str], before: Parts, after: Parts) -> frozenset[Key]:
    """Add to interfaces the channels that they are in, and to channels their members."""
    found = set(names)
    for parts in (before, after):
        for member, channel in membership(parts).items():
            if member in names or channel in names:
                found |= {member, channel}
    return frozenset(("port", n) for n in found)


def _managed(change: Change, management: frozenset[Key]) -> Iterator[Risk]:
    subject, old, new = change
    cut = list(severed(old, new))
    if isinstance(old, Port) and isinstance(new, Port):
        ids = vlans.of(int(k[1]) for k in management if k[0] == "vlan")
        lost = vlans.common(lost_vlans(old, new), ids)
        cut += [f"loses the management VLAN {lost}"] if lost else []
    other = losses(old, new)
    if cut:
        yield _said(RiskKind.CUT_OFF, subject, "is on the way to the switch itself", cut, forbidden=True)
    else:
        yield _said(RiskKind.MANAGEMENT, subject, "is on the way to the switch itself", other)


def _link(kind: RiskKind, what: str, change: Change) -> Iterator[Risk]:
    subject, old, new = change
    yield _said(kind, subject, f"is {what}", losses(old, new))


def _said(
    kind: RiskKind,
    subject: Key,
    what: str,
    lost: list[str] | tuple[str, ...],
    *,
    forbidden: bool | None = None,
) -> Risk:
    sentence = f"{name(subject)} {what} and {', '.join(lost) or 'is touched, without losing anything'}."
    return Risk(kind, subject, sentence, bool(lost) if forbidden is None else forbidden)


def _is_peer_link(change: Change) -> bool:
    return any(isinstance(part, Port) and part.peer_link for part in change[1:])


def _others(change: Change, after: Parts) -> Iterator[Risk]:
    subject, old, new = change
    match old, new:
        case Feature(enabled=True), Feature(enabled=False):
            said = f"{name(subject)} is turned off: all that was set up with it goes."
            yield Risk(RiskKind.FEATURE_OFF, subject, said, forbidden=True)
        case Vpc(), _:
            lost = severed(old, new)
            what = f"{name(subject)} {', '.join(lost) or 'changes'}: the pair may split."
            yield Risk(RiskKind.PAIR, subject, what, forbidden=bool(lost))
        case _, Port():
            yield from _port(subject, old, new, after)
        case _:
            pass


def _port(subject: Key, old: Part | None, new: Port, after: Parts) -> Iterator[Risk]:
    breaks = interruptions(old, new)
    if breaks and not new.channel:
        yield Risk(RiskKind.INTERRUPTS, subject, f"{name(subject)} {', '.join(breaks)}: its link goes down.")
    if (
        new.mode is PortMode.ACCESS
        and new.access
        and ("vlan", str(new.access)) not in after
        and not new.channel
    ):
        said = f"{name(subject)} is in VLAN {new.access}, which the switch does not have: nothing passes."
        yield Risk(RiskKind.VLAN_MISSING, subject, said)


def _vlans_gone(gone: list[Vlan], after: Parts) -> Iterator[Risk]:
    used: dict[int, list[str]] = {vlan.id: [] for vlan in gone}
    for subject, part in after.items() if gone else ():
        if subject[0] in ("port", "svi"):
            for vlan in vlans.ids(_used(part)):
                if vlan in used:
                    used[vlan].append(name(subject))
    for vlan, users in used.items():
        if users:
            more = f" and {len(users) - 3} more" if len(users) > 3 else ""
            said = f"VLAN {vlan} is removed while it is used by {', '.join(users[:3])}{more}."
            yield Risk(RiskKind.VLAN_WITH_PORTS, ("vlan", str(vlan)), said, forbidden=True)


def _used(part: Part) -> str:
    """Give the VLANs that a part is in; a trunk that allows all of them means none in particular."""
    match part:
        case Svi():
            return str(part.vlan)
        case Port(mode=PortMode.ACCESS) if not part.channel:
            return str(part.access or "")
        case Port(mode=PortMode.TRUNK) if not part.channel and part.allowed != vlans.ALL:
            return part.allowed or ""
        case _:
            return ""
