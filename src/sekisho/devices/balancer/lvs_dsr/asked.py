"""What the driver asks of a Balancer: who is checked, who may ask, which addresses it names; pure."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from sekisho.devices.balancer.intent import plain, serving
from sekisho.devices.balancer.lvs_dsr.compile import key_of
from sekisho.devices.balancer.lvs_dsr.roles import Target
from sekisho.model.balancer import Statistics

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from collections.abc import Set as AbstractSet

    from sekisho.devices.balancer.lvs_dsr.services import Key, Stand
    from sekisho.model.balancer import Balancer, Member, Monitor, Protocol


def guards(balancer: Balancer) -> dict[Key, tuple[str, ...]]:
    """Say who may ask its services, where not everybody may."""
    return {key_of(balancer, each): each.cidrs for each, _ in serving(balancer) if each.cidrs}


def members_of(balancer: Balancer) -> list[Member]:
    """Give the members of all its pools."""
    return [m for pool in balancer.pools for m in pool.members]


def far(balancer: Balancer, members: AbstractSet[str]) -> str:
    """Say what is wrong with members that a router is on the way to."""
    first = min(m.address for m in members_of(balancer) if m.id in members)
    return (
        f"The member {first} is behind a router, and direct return reaches the director's own link alone; "
        "use an address of the VIP's subnet."
    )


def named(balancer: Balancer) -> set[str]:
    """Give the addresses that would be sent to, or asked."""
    members = members_of(balancer)
    return {plain(m.address) for m in members} | {
        plain(m.monitor_address) for m in members if m.monitor_address
    }


def vip_of(balancer: Balancer) -> str:
    """Give the VIP's address, "" for one that is switched off or cannot be read."""
    try:
        return plain(balancer.vip.address) if balancer.enabled else ""
    except ValueError:
        return ""


def targets(balancer: Balancer) -> Iterable[Target]:
    """Give the members to be asked: of pools with a monitor, everything switched on."""
    ports = {pool.id: listener.port for listener, pool in serving(balancer)}
    for pool in balancer.pools if balancer.enabled else ():
        if pool.enabled and pool.monitor and pool.monitor.enabled:
            ask = partial(
                _target, plain(balancer.vip.address), pool.protocol, ports.get(pool.id, 0), pool.monitor
            )
            yield from (ask(m) for m in pool.members if m.enabled)


def _target(vip: str, takes: Protocol, port: int, monitor: Monitor, member: Member) -> Target:
    return Target(
        member.id,
        member.monitor_address or member.address,
        member.monitor_port or member.port,
        monitor,
        plain(member.address),
        vip,
        takes,
        port,
    )


def addresses(balancer: Balancer, key: Key, dead: AbstractSet[str]) -> frozenset[str]:
    """Give the addresses of the dead behind a service."""
    pools = [pool for listener, pool in serving(balancer) if key_of(balancer, listener) == key]
    return frozenset(plain(m.address) for p in pools for m in p.members if m.enabled and m.id in dead)


def statistics(balancer: Balancer, found: Mapping[Key, Stand]) -> Iterable[Statistics]:
    """Give the totals of its listeners."""
    for listener in balancer.listeners:
        try:
            stand = found.get(key_of(balancer, listener))
        except ValueError:
            continue
        if stand is not None:
            counts = stand.counts
            yield Statistics(listener.id, counts.active, counts.total, counts.bytes_in)
