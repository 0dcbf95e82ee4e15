"""What the keeper has otherwise than Octavia: both sides' balancer in, what to put and to take away; pure.

Octavia's word is what the customer was told, so it counts.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from sekisho.guests.octavia import words
from sekisho.model.balancer import Balancer, Kind

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from sekisho.model.balancer import Listener, Member, Object, Pool


@dataclass(frozen=True, slots=True)
class Difference:
    """`put` names what the keeper must have otherwise, if anything; `gone` what Octavia does not have."""

    put: Balancer | None = None
    gone: Mapping[str, Kind] = field(default_factory=dict)

    def __bool__(self) -> bool:
        """Tell whether there is one."""
        return self.put is not None or bool(self.gone)


def difference(theirs: Any, ours: Balancer, known: Iterable[str] = ()) -> Difference:
    """Compare what Octavia's driver agent gives of a balancer, None for none, with the keeper's.

    `known` are all ids that the keeper knows of it: what is none of its parts any more is on its way out,
    and Octavia has it until it is told so.
    """
    if theirs is None:
        return Difference(None, {ours.id: Kind.BALANCER})
    leaving = frozenset(known) - {ours.id, *(each.id for each in parts(ours))}
    # Its address, flavor and zone never change, and are told otherwise here than when it is made.
    told = {k: v for k, v in words.fields(theirs).items() if k not in ("availability_zone", "flavor")}
    said = _without(words.balancer(told, ours.provider), leaving)
    wanted = replace(ours, name=said.name, enabled=said.enabled, listeners=said.listeners, pools=said.pools)
    there = {each.id for each in parts(wanted)}
    gone = {each.id: Kind(each.kind) for each in parts(ours) if each.id not in there}
    part = replace(
        wanted, listeners=_other(wanted.listeners, ours.listeners), pools=tuple(_pools(wanted, ours))
    )
    same = not part.listeners and not part.pools and (part.name, part.enabled) == (ours.name, ours.enabled)
    return Difference(None if same else part, gone)


def _without(balancer: Balancer, leaving: frozenset[str]) -> Balancer:
    if not leaving:
        return balancer
    listeners = (replace(x, pool="") if x.pool in leaving else x for x in balancer.listeners)
    pools = (
        replace(
            p,
            members=tuple(m for m in p.members if m.id not in leaving),
            monitor=None if p.monitor is not None and p.monitor.id in leaving else p.monitor,
        )
        for p in balancer.pools
        if p.id not in leaving
    )
    return replace(balancer, listeners=tuple(x for x in listeners if x.id not in leaving), pools=tuple(pools))


def _pools(wanted: Balancer, ours: Balancer) -> Iterator[Pool]:
    """Give the pools that are otherwise, each with its members that are."""
    had = {pool.id: pool for pool in ours.pools}
    for pool in wanted.pools:
        old = had.get(pool.id)
        if old is None:
            yield pool
            continue
        members = _other(pool.members, old.members)
        monitor = pool.monitor if pool.monitor != old.monitor else None
        bare = replace(pool, members=(), monitor=None)
        if members or monitor or bare != replace(old, members=(), monitor=None):
            yield replace(bare, members=members, monitor=monitor)


def _other(wanted: Iterable[Any], had: Iterable[Listener | Member]) -> tuple[Any, ...]:
    known = {each.id: each for each in had}
    return tuple(each for each in wanted if known.get(each.id) != each)


def parts(balancer: Balancer) -> Iterator[Object]:
    """Go through all in a balancer, what is inside before what it is in."""
    yield from balancer.listeners
    for pool in balancer.pools:
        yield from pool.members
        if pool.monitor is not None:
            yield pool.monitor
        yield pool
