"""What every kind of balancer asks of a Balancer: which pool serves whom, and how the whole does.

Pure: a Balancer and what its members do in, answers out.
"""

from __future__ import annotations

from functools import lru_cache
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from typing import TYPE_CHECKING, Final

from sekisho.model.balancer import Operating

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from sekisho.model.balancer import Balancer, Listener, Member, Pool

WORST: Final = (Operating.ERROR, Operating.DEGRADED)


def pool_of(balancer: Balancer, listener: Listener) -> Pool | None:
    """Find a listener's default pool; None where it has none."""
    return next((p for p in balancer.pools if p.id == listener.pool), None) if listener.pool else None


def serving(balancer: Balancer) -> Iterator[tuple[Listener, Pool]]:
    """Give the listeners that take connections now, each with its pool: all of it switched on."""
    if not balancer.enabled:
        return
    pools = {p.id: p for p in balancer.pools if p.enabled}
    for listener in balancer.listeners:
        if listener.enabled and listener.pool in pools:
            yield listener, pools[listener.pool]


def listeners_of(balancer: Balancer, pool: Pool) -> tuple[Listener, ...]:
    """Give the listeners whose default pool this is."""
    return tuple(listener for listener in balancer.listeners if listener.pool == pool.id)


@lru_cache(1 << 16)
def parsed(address: str) -> IPv4Address | IPv6Address:
    """Read an address; raises ValueError. The same ones come again and again, in thousands.

    One with a scope ("fe80::1%eth0") is none here: anything may stand behind the sign.
    """
    if "%" in address:
        raise ValueError(address)
    return ip_address(address)


@lru_cache(1 << 16)
def plain(address: str) -> str:
    """Write an address the one way it is compared in; raises ValueError."""
    return str(parsed(address))


def family(address: str) -> int:
    """Tell 4 or 6; raises ValueError for what is no address."""
    return parsed(address).version


def within(address: str, cidr: str) -> bool:
    """Tell whether an address belongs to a network; networks of another family hold none."""
    return parsed(address) in _network(cidr)


@lru_cache(1 << 12)
def _network(cidr: str) -> IPv4Network | IPv6Network:
    return ip_network(cidr, strict=False)


def codes(expected: str) -> frozenset[int]:
    """Read HTTP codes as Octavia writes them: "200", "200,202" or "200-204"; raises ValueError."""
    found: set[int] = set()
    for part in expected.split(","):
        first, _, last = part.strip().partition("-")
        if not 100 <= int(first) <= int(last or first) <= 999:
            raise ValueError(expected)
        found.update(range(int(first), int(last or first) + 1))
    return frozenset(found)


def prefix(granularity: str) -> int:
    """Read what is one source: a netmask (IPv4) or a prefix length as a number of bits; 0 for none given."""
    if not granularity:
        return 0
    return int(granularity) if granularity.isdigit() else ip_network(f"0.0.0.0/{granularity}").prefixlen


def servers(members: Iterable[Member], alive: Iterable[str]) -> tuple[Member, ...]:
    """Give the members that serve now: those alive, or the backups alive while no other is.

    A member with weight 0 keeps what it has, and is no server for new connections: backups serve beside it.
    """
    living = frozenset(alive)
    up = [m for m in members if m.enabled and m.id in living]
    main = [m for m in up if not m.backup]
    backups = [] if any(m.weight for m in main) else [m for m in up if m.backup]
    return tuple(main + backups)


def operating(balancer: Balancer, members: Mapping[str, Operating]) -> dict[str, Operating]:
    """Say how everything of a balancer does, given how its members do; as Octavia rolls statuses up.

    A member that `members` does not name is OFFLINE where its pool has a monitor, NO_MONITOR where not.
    """
    found: dict[str, Operating] = {}
    for pool in balancer.pools:
        ours = {m.id: _member(pool, m, members) for m in pool.members}
        found.update(ours)
        found[pool.id] = _pool(pool, [ours[m.id] for m in pool.members if m.enabled])
    for listener in balancer.listeners:
        found[listener.id] = _up(found.get(listener.pool, Operating.ONLINE), enabled=listener.enabled)
    listening = [found[listener.id] for listener in balancer.listeners if listener.enabled]
    found[balancer.id] = _up(_worst(listening), enabled=balancer.enabled)
    return found


def _member(pool: Pool, member: Member, members: Mapping[str, Operating]) -> Operating:
    if not member.enabled:
        return Operating.OFFLINE
    unknown = Operating.OFFLINE if pool.monitor and pool.monitor.enabled else Operating.NO_MONITOR
    state = members.get(member.id, unknown)
    return Operating.DRAINING if member.weight == 0 and state is not Operating.ERROR else state


def _pool(pool: Pool, members: list[Operating]) -> Operating:
    if not pool.enabled:
        return Operating.OFFLINE
    dead = members.count(Operating.ERROR)
    if not dead:
        return Operating.ONLINE
    return Operating.ERROR if dead == len(members) else Operating.DEGRADED


def _up(below: Operating, *, enabled: bool) -> Operating:
    """Say how a listener or balancer does by what is below it."""
    if not enabled:
        return Operating.OFFLINE
    return below if below in WORST else Operating.ONLINE


def _worst(parts: list[Operating]) -> Operating:
    if parts and all(p is Operating.ERROR for p in parts):
        return Operating.ERROR
    return Operating.DEGRADED if any(p in WORST for p in parts) else Operating.ONLINE
