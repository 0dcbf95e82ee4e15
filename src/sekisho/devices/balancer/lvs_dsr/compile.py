"""Pure: a Balancer and which members live in, IPVS services with their servers out."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from sekisho.devices.balancer.intent import parsed, plain, prefix, servers, serving
from sekisho.devices.balancer.lvs_dsr.services import (
    FALLBACK,
    PERSISTENT,
    PROTOCOLS,
    WITH_PORT,
    Dest,
    Key,
    Service,
    Stand,
)
from sekisho.model.balancer import Algorithm

if TYPE_CHECKING:
    from collections.abc import Container, Mapping

    from sekisho.model.balancer import Balancer, Listener, Pool

# The weighted ones are the plain ones where all weights are equal. Those that hash pass over a server that
# takes nothing new, which without the fallback would swallow its share.
SCHEDULERS: Final[Mapping[Algorithm, tuple[str, int]]] = {
    Algorithm.ROUND_ROBIN: ("wrr", 0),
    Algorithm.LEAST_CONNECTIONS: ("wlc", 0),
    Algorithm.SOURCE_IP: ("sh", FALLBACK),
    Algorithm.SOURCE_IP_PORT: ("mh", FALLBACK | WITH_PORT),
}


def compiled(balancer: Balancer, dead: Container[str]) -> dict[Key, Stand]:
    """Say what must stand in the kernel for a balancer; `dead` are the ids of members that do not answer."""
    found: dict[Key, Stand] = {}
    for listener, pool in serving(balancer):
        key = key_of(balancer, listener)
        found[key] = Stand(_service(key, pool), _dests(key, pool, dead))
    return found


def key_of(balancer: Balancer, listener: Listener) -> Key:
    """Name a listener's service."""
    return Key(PROTOCOLS[listener.protocol.value], plain(balancer.vip.address), listener.port)


def _service(key: Key, pool: Pool) -> Service:
    scheduler, flags = SCHEDULERS[pool.algorithm]
    if pool.persistence:
        return Service(key, scheduler, flags | PERSISTENT, pool.persistence, _bits(key, pool))
    return Service(key, scheduler, flags)


def _bits(key: Key, pool: Pool) -> int:
    bits = prefix(pool.granularity)
    return 0 if bits == parsed(key.address).max_prefixlen else bits


def _dests(key: Key, pool: Pool, dead: Container[str]) -> dict[str, Dest]:
    alive = [m.id for m in pool.members if m.id not in dead]
    found: dict[str, Dest] = {}
    for member in servers(pool.members, alive):
        address = plain(member.address)
        found[address] = Dest(address, key.port, member.weight)
    return found
