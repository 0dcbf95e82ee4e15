"""Two states in, the stages of the way between out: after each stage nothing is lost that both ends have.

Make before use, gain before lose, let go before remove. A part may pass several stages, whole in each.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field, replace
from enum import IntEnum
from typing import TYPE_CHECKING, Any, Final, TypeAlias

from sekisho.devices import converge
from sekisho.devices.switch import clash, vlans
from sekisho.devices.switch.driver import Step
from sekisho.devices.switch.intent import Feature, Port, PortMode, Route, Svi, key
from sekisho.devices.switch.members import flipped, moves
from sekisho.devices.switch.overlay import MIRRORED, in_order, in_turn, is_channel, membership

if TYPE_CHECKING:
    from collections.abc import Mapping

    from sekisho.devices.switch.intent import Key, Part

Stages: TypeAlias = tuple[tuple[Step, ...], ...]


class Rank(IntEnum):
    """The order of things. What stands in one rank never needs another of the same rank."""

    ENABLE = 0  # features; VLANs give up names and segments that others take
    MAKE = 1  # VRFs, VLANs, access lists: everything that others name
    PAIR = 2  # the vPC domain, before ports are in it; ports give up member ids that others take
    GAIN = 3  # ports take on what is new and keep what they had
    MEMBERS = 4  # ports join and leave channels, in rounds
    OWN = 5  # what left a channel gets settings of its own
    SETTLE = 6  # ports let go of what they lose; SVIs give up addresses that others take
    ADDRESS = 7  # SVIs and everything that speaks through them
    ROUTE = 8
    UNROUTE = 9
    UNADDRESS = 10  # SVIs, servers, port-channels: everything that names others
    UNPAIR = 11  # the vPC domain
    UNMAKE = 12  # VLANs, access lists, VRFs
    DISABLE = 13


def stages(before: Mapping[Key, Part], after: Mapping[Key, Part]) -> Stages:
    """Find the way from one state to another, both whole; no stages when nothing differs."""
    changes = converge.diff(after, before, _same)
    if not changes:
        return ()
    road = _Road(before, after, flipped(before, after))
    for new in changes.add:
        road.come(new)
    for new, old in changes.alter:
        road.change(old, new)
    for old in changes.remove:
        road.go(old)
    road.free(clash.taken(changes))
    road.move()
    return road.walk()


def _same(one: Part, other: Part) -> bool:
    return one is other or one == other


Edit: TypeAlias = "Part | dict[str, Any] | None"  # the part itself, some of its fields, or its end


@dataclass(slots=True)
class _Road:
    """What happens to each part at which place; a place is a rank and, for members, a round."""

    before: Mapping[Key, Part]
    after: Mapping[Key, Part]
    flips: frozenset[str]
    edits: dict[tuple[int, int], list[tuple[Key, Edit]]] = field(default_factory=lambda: defaultdict(list))

    def at(self, rank: Rank, subject: Key, edit: Edit, turn: int = 0) -> None:
        self.edits[rank, turn].append((subject, edit))

    def come(self, new: Part) -> None:
        whole: Edit = new
        if isinstance(new, Port) and is_channel(new.name):
            whole = replace(new, members=())  # they join when all is ready
        self.at(_RANKS[new.kind][0], key(new), whole)

    def go(self, old: Part) -> None:
        self.at(_RANKS[old.kind][1], key(old), None)

    def change(self, old: Part, new: Part) -> None:
        match old, new:
            case Port(), Port():
                self._port(old, new)
            case Svi(), Svi():
                self._svi(old, new)
            case Route(), Route():
                self._route(old, new)
            case Feature(), Feature():
                self.at(Rank.ENABLE if new.enabled else Rank.DISABLE, key(new), new)
            case _:
                self.at(_RANKS[new.kind][0], key(new), new)

    def _port(self, old: Port, new: Port) -> None:
        if old.channel != new.channel or new.channel:
            self._member(old, new)
            return
        edit = {f: v for f in Port.__dataclass_fields__ if (v := getattr(new, f)) != getattr(old, f)}
        edit.pop("members", None)
        if new.name in self.flips:
            edit.pop("lacp")
        rank = _rank(old, new)
        if rank is Rank.SETTLE and _gains(old, new):
            union = vlans.join(old.allowed or "", new.allowed or "")
            self.at(Rank.GAIN, key(new), edit | {"allowed": union, "native": old.native})
        self.at(rank, key(new), edit)

    def _member(self, old: Port, new: Port) -> None:
        """Change what a member has of its own, or what it has when it is none any more."""
        if not new.channel:
            self.at(Rank.OWN, key(new), new)
            return
        closes = new.enabled is False and old.enabled is not False
        self.at(
            Rank.SETTLE if closes else Rank.OWN,
            key(new),
            {"description": new.description, "enabled": new.enabled},
        )

    def _svi(self, old: Svi, new: Svi) -> None:
        if old.vrf != new.vrf and old.addresses:  # a change of VRF takes the addresses away
            self.at(Rank.SETTLE, key(new), {"vrf": new.vrf, "addresses": ()})
        closes = new.enabled is False and old.enabled is not False
        self.at(Rank.UNADDRESS if closes else Rank.ADDRESS, key(new), new)

    def _route(self, old: Route, new: Route) -> None:
        hops = {*(old.via or ()), *(new.via or ())}
        if len(hops) > max(len(old.via or ()), len(new.via or ())) and "discard" not in hops:
            self.at(Rank.ROUTE, key(new), replace(new, via=tuple(sorted(hops))))
            self.at(Rank.UNROUTE, key(new), new)
        else:
            self.at(Rank.ROUTE, key(new), new)

    def free(self, holders: Mapping[Key, dict[str, Any]]) -> None:
        """Let parts give up what is there once and others take."""
        ranks = {"vlan": Rank.ENABLE, "port": Rank.PAIR, "svi": Rank.SETTLE}
        for subject, fields in holders.items():
            # Given up before whatever else happens at that place: a change of VRF takes all addresses.
            self.edits[ranks[subject[0]], 0].insert(0, (subject, fields))

    def move(self) -> None:
        members: dict[str, set[str]] = defaultdict(set)
        for port, channel in membership(self.before).items():
            members[channel].add(port)
        for turn, moved in enumerate(moves(self.before, self.after)):
            for port, channel in moved.joins:
                members[channel].add(port)
                self.at(Rank.MEMBERS, ("port", port), {"channel": channel}, turn)
            for port, channel in moved.leaves:
                members[channel].discard(port)
                self.at(Rank.MEMBERS, ("port", port), {"channel": ""}, turn)
            for channel in {c for _, c in (*moved.joins, *moved.leaves)}:
                self.at(Rank.MEMBERS, ("port", channel), {"members": in_order(members[channel])}, turn)
            for channel in moved.emptied:
                lacp = getattr(self.after["port", channel], "lacp", None)
                self.at(Rank.MEMBERS, ("port", channel), {"lacp": lacp}, turn)

    def walk(self) -> Stages:
        now: dict[Key, Part | None] = dict(self.before)
        found = (_stage(self.edits[place], now) for place in sorted(self.edits))
        return tuple(stage for stage in found if stage)


def _stage(edits: list[tuple[Key, Edit]], now: dict[Key, Part | None]) -> tuple[Step, ...]:
    """Carry out one place's edits on what stands, and say them as steps."""
    olds: dict[Key, Part | None] = {}
    for subject, edit in edits:
        olds.setdefault(subject, now.get(subject))
        now[subject] = _edited(now.get(subject), edit, now)
    changed = sorted((k for k, old in olds.items() if old != now[k]), key=in_turn)
    return tuple(Step(olds[k], now[k]) for k in changed)


def _edited(part: Part | None, edit: Edit, now: Mapping[Key, Part | None]) -> Part | None:
    if not isinstance(edit, dict):
        return edit
    if part is None:
        return None
    if "channel" in edit:  # what it has of the channel comes and goes with it
        channel = now.get(("port", edit["channel"]))
        edit = {f: getattr(channel, f, None) for f in MIRRORED} | edit
    return replace(part, **edit)


def _rank(old: Port, new: Port) -> Rank:
    """Tell whether a port only gains, or loses something that others must have gained before."""
    if new.enabled is False and old.enabled is not False:
        return Rank.SETTLE
    if new.mode is PortMode.ROUTED and old.mode is not PortMode.ROUTED:
        return Rank.SETTLE
    if old.mode is PortMode.TRUNK and old.enabled is not False:
        loses = new.mode is not PortMode.TRUNK or vlans.without(old.allowed or "", new.allowed or "")
        return Rank.SETTLE if loses else Rank.GAIN
    return Rank.GAIN


def _gains(old: Port, new: Port) -> bool:
    both = old.mode is new.mode is PortMode.TRUNK and old.enabled is not False is not new.enabled
    return both and bool(vlans.without(new.allowed or "", old.allowed or ""))


# Where what is made or changed stands, and where what is removed.
_RANKS: Final[Mapping[str, tuple[Rank, Rank]]] = {
    "feature": (Rank.ENABLE, Rank.DISABLE),
    "vlan": (Rank.MAKE, Rank.UNMAKE),
    "vrf": (Rank.MAKE, Rank.UNMAKE),
    "acl": (Rank.MAKE, Rank.UNMAKE),
    "community": (Rank.MAKE, Rank.UNMAKE),
    "vpc": (Rank.PAIR, Rank.UNPAIR),
    "port": (Rank.GAIN, Rank.UNADDRESS),
    "svi": (Rank.ADDRESS, Rank.UNADDRESS),
    "route": (Rank.ROUTE, Rank.UNROUTE),
    "ntp": (Rank.ADDRESS, Rank.UNADDRESS),
    "dns": (Rank.ADDRESS, Rank.UNADDRESS),
    "syslog": (Rank.ADDRESS, Rank.UNADDRESS),
    "trap": (Rank.ADDRESS, Rank.UNADDRESS),
    "user": (Rank.MAKE, Rank.UNMAKE),
    "system": (Rank.ADDRESS, Rank.UNADDRESS),
}
