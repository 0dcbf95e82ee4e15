"""A balancer as the tree of its objects: what is put into it and taken out of it; pure."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from typing import Final, TypeAlias, TypeVar

from sekisho.model.balancer import (
    Balancer,
    Kind,
    Listener,
    Member,
    Monitor,
    Object,
    Operating,
    Pool,
)
from sekisho.model.errors import Conflict, Malformed, NotFound

_ID: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:-]{0,63}")
_LONGEST: Final = 255

Kinds: TypeAlias = Mapping[str, Kind]
P = TypeVar("P", bound=Listener | Pool | Member)


def parts(balancer: Balancer) -> Iterator[Object]:
    """Go through all objects of a balancer, itself not."""
    yield from balancer.listeners
    for pool in balancer.pools:
        yield pool
        yield from inside(pool)


def inside(thing: Object) -> Iterator[Object]:
    """Go through what is in an object."""
    if isinstance(thing, Pool):
        yield from thing.members
        if thing.monitor is not None:
            yield thing.monitor


def kinds(things: Iterable[Object]) -> dict[str, Kind]:
    """Name objects with their kinds."""
    return {each.id: Kind(each.kind) for each in things}


def all_kinds(balancer: Balancer) -> dict[str, Kind]:
    """Name a balancer and all its objects with their kinds."""
    return {balancer.id: Kind.BALANCER} | kinds(parts(balancer))


def find(balancer: Balancer, thing: str) -> Object | None:
    """Find an object by its id."""
    return next((each for each in parts(balancer) if each.id == thing), None)


def line(balancer: Balancer, thing: str) -> dict[str, Kind]:
    """Name what is above an object, which Octavia holds while the object changes."""
    found = {balancer.id: Kind.BALANCER}
    pool = next((p for p in balancer.pools if thing == p.id or thing in kinds(inside(p))), None)
    if pool is not None:
        found |= {pool.id: Kind.POOL} | kinds(each for each in balancer.listeners if each.pool == pool.id)
    return found


def merged(old: Balancer | None, new: Balancer) -> Balancer:
    """Give a balancer as the new one says, with what of the old one that does not name."""
    _need_unique(new)
    if old is None:
        return new
    pools = tuple(_merged_pool(_named(old.pools, p.id), p) for p in new.pools)
    return replace(new, listeners=_over(old.listeners, new.listeners), pools=_over(old.pools, pools))


def put(balancer: Balancer, parent: str, thing: Object) -> Balancer:
    """Put one object in; raises NotFound for a parent that is not here, Conflict for another kind's id."""
    there = find(balancer, thing.id)
    if there is not None and there.kind != thing.kind:
        raise Conflict(f"{thing.id} is one of the {there.kind} already.")
    match thing:
        case Listener():
            _need_parent(parent, (balancer.id,))
            return replace(balancer, listeners=_over(balancer.listeners, (thing,)))
        case Pool():
            _need_parent(parent, (balancer.id, *(each.id for each in balancer.listeners)))
            pool = _merged_pool(_named(balancer.pools, thing.id), thing)
            pools = _over(balancer.pools, (pool,))
            listeners = (
                replace(each, pool=thing.id) if each.id == parent else each for each in balancer.listeners
            )
            return replace(balancer, pools=pools, listeners=tuple(listeners))
        case Member() | Monitor():
            return _into_pool(balancer, parent, thing)


def put_members(balancer: Balancer, pool: str, members: Iterable[Member]) -> Balancer:
    """Make these the members of a pool, and no others."""
    found = _named(balancer.pools, pool)
    if found is None:
        raise NotFound(f"There is no pool {pool!r} in {balancer.id}.")
    after = replace(balancer, pools=_over(balancer.pools, (replace(found, members=tuple(members)),)))
    _need_unique(after)
    return after


def without(balancer: Balancer, thing: str) -> Balancer:
    """Take an object out; listeners of a pool that leaves have none then."""
    pools = tuple(_pool_without(p, thing) for p in balancer.pools if p.id != thing)
    listeners = (replace(each, pool="") if each.pool == thing else each for each in balancer.listeners)
    return replace(balancer, pools=pools, listeners=tuple(each for each in listeners if each.id != thing))


def usual(balancer: Balancer) -> dict[str, Operating]:
    """Say how objects do of which a device says nothing."""
    found = {balancer.id: _up(balancer.enabled)}
    found |= {each.id: _up(each.enabled) for each in parts(balancer)}
    bare = (p for p in balancer.pools if p.monitor is None)
    return found | {m.id: Operating.NO_MONITOR for p in bare for m in p.members if m.enabled}


def doubted(balancers: Iterable[Balancer], known: Mapping[str, Operating]) -> dict[str, Operating]:
    """Say how objects do whose device is not heard of: what served is ERROR, its members are not known."""
    found: dict[str, Operating] = {}
    for balancer in balancers:
        below = (*(each.id for each in balancer.listeners), *(each.id for each in balancer.pools))
        holding = (balancer.id, *below)
        found |= {
            i: Operating.ERROR for i in holding if known.get(i, Operating.OFFLINE) is not Operating.OFFLINE
        }
        members = (m.id for pool in balancer.pools for m in pool.members)
        found |= {i: Operating.OFFLINE for i in members if known.get(i) is Operating.ONLINE}
    return found


def _up(enabled: bool) -> Operating:  # noqa: FBT001 - an object's own word
    return Operating.ONLINE if enabled else Operating.OFFLINE


def _into_pool(balancer: Balancer, parent: str, thing: Member | Monitor) -> Balancer:
    pool = _named(balancer.pools, parent)
    if pool is None:
        raise NotFound(f"There is no pool {parent!r} in {balancer.id}.")
    elsewhere = next((p.id for p in balancer.pools if p is not pool and thing.id in kinds(inside(p))), "")
    if elsewhere:
        raise Conflict(f"{thing.id} is in the pool {elsewhere} already.")
    if isinstance(thing, Member):
        pool = replace(pool, members=_over(pool.members, (thing,)))
    elif pool.monitor is not None and pool.monitor.id != thing.id:
        raise Conflict(f"The pool {pool.id} has the monitor {pool.monitor.id} already.")
    else:
        pool = replace(pool, monitor=thing)
    return replace(balancer, pools=_over(balancer.pools, (pool,)))


def _pool_without(pool: Pool, thing: str) -> Pool:
    members = tuple(m for m in pool.members if m.id != thing)
    monitor = None if pool.monitor is not None and pool.monitor.id == thing else pool.monitor
    return replace(pool, members=members, monitor=monitor)


def _merged_pool(old: Pool | None, new: Pool) -> Pool:
    if old is None:
        return new
    return replace(new, members=_over(old.members, new.members), monitor=new.monitor or old.monitor)


def _named(things: Iterable[P], name: str) -> P | None:
    return next((each for each in things if each.id == name), None)


def _over(old: Iterable[P], new: Iterable[P]) -> tuple[P, ...]:
    """Lay objects over others in their places; those that are new come last."""
    news: dict[str, P] = {each.id: each for each in new}
    kept: list[P] = [news.pop(each.id, each) for each in old]
    return (*kept, *news.values())


def _need_parent(parent: str, allowed: Iterable[str]) -> None:
    if parent not in allowed:
        raise NotFound(f"{parent!r} cannot have it: the parent is a balancer's id, or a pool's for members.")


def need_plain(balancer: Balancer) -> None:
    """Raise Malformed for an id or a name that would not fit into a line of a log or of a device."""
    odd = next((i for i in all_kinds(balancer) if not _ID.fullmatch(i)), None)
    if odd is not None:
        raise Malformed(f"{odd[:80]!r} is no id: write 1 to 64 letters, digits and - _ . : of them.")
    named = (
        balancer.name,
        balancer.project,
        *(x.name for x in parts(balancer) if not isinstance(x, Monitor)),
    )
    if any(len(name) > _LONGEST for name in named):
        raise Malformed(f"A name in {balancer.id} is longer than {_LONGEST} characters; shorten it.")


def _need_unique(balancer: Balancer) -> None:
    names = [balancer.id, *(each.id for each in parts(balancer))]
    twice = sorted({n for n in names if names.count(n) > 1}) if len(set(names)) < len(names) else ()
    if twice:
        raise Malformed(f"{', '.join(twice)} is named twice in {balancer.id}; ids are of one object each.")
