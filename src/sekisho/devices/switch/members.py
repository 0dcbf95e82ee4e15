"""Who is in which port-channel, before and after: the rounds in which members move, and no channel runs dry.

A port leaves one channel before it joins another; a channel that keeps members keeps at least one at every
round's end, unless channels swap their only members.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from sekisho.devices.switch.intent import Lacp, Port
from sekisho.devices.switch.overlay import is_channel, membership

if TYPE_CHECKING:
    from collections.abc import Mapping

    from sekisho.devices.switch.intent import Key, Part


class Round(NamedTuple):
    """Members (port, channel) that join or leave at once; channels that take their LACP mode while empty."""

    joins: tuple[tuple[str, str], ...] = ()
    leaves: tuple[tuple[str, str], ...] = ()
    emptied: tuple[str, ...] = ()


def moves(before: Mapping[Key, Part], after: Mapping[Key, Part]) -> tuple[Round, ...]:
    """Find the rounds that bring every member to where it should be."""
    now, target = membership(before), membership(after)
    flips = flipped(before, after)
    if now == target and not flips:
        return ()
    rounds = []
    if flips:
        out = tuple((p, c) for p, c in now.items() if c in flips)
        now = {p: c for p, c in now.items() if c not in flips}
        rounds += [Round(leaves=out), Round(emptied=tuple(sorted(flips)))]
    while now != target:
        joins = tuple((p, c) for p, c in target.items() if p not in now)
        now |= dict(joins)
        leaves = _leaving(now, target)
        for port, _ in leaves:
            del now[port]
        rounds += [Round(joins=joins), Round(leaves=leaves)]
    return tuple(r for r in rounds if any(r))


def flipped(before: Mapping[Key, Part], after: Mapping[Key, Part]) -> frozenset[str]:
    """List channels that begin or cease to speak LACP: that is possible only while they have no members."""
    found = set()
    for subject, old in before.items():
        if subject[0] == "port" and isinstance(old, Port) and is_channel(old.name):
            new = after.get(subject)
            if isinstance(new, Port) and old.lacp is not new.lacp and Lacp.ON in (old.lacp, new.lacp):
                found.add(old.name)
    return frozenset(found)


def _leaving(now: Mapping[str, str], target: Mapping[str, str]) -> tuple[tuple[str, str], ...]:
    """Choose who leaves in this round; all at once where nobody could be the first."""
    going = [(p, c) for p, c in now.items() if target.get(p) != c]
    stay = {c for p, c in now.items() if target.get(p) == c}
    keep = set(target.values()) - stay  # channels that would run dry
    held: dict[str, str] = {}
    for port, channel in going:
        if channel in keep:
            held.setdefault(channel, port)
    free = tuple((p, c) for p, c in going if held.get(c) != p)
    return free or tuple(going)
