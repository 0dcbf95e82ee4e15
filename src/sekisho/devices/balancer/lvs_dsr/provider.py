"""What IPVS in direct return cannot do, said before anything is written; pure."""

from __future__ import annotations

from ipaddress import ip_network
from typing import TYPE_CHECKING, Final

from sekisho.devices.balancer.intent import codes, family, listeners_of, pool_of, prefix, within
from sekisho.devices.balancer.odd import odd

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sekisho.model.balancer import Balancer, Listener, Member, Monitor, Pool

# The kernel multiplies by its clock's ticks, a thousand a second at most, in 31 bits.
PERSISTENCE: Final = 2_147_483
WEIGHT: Final = 65_535


class LvsProvider:
    """Answers for directors whose interface is in the VIP's network, or in one of `links` (CIDRs)."""

    def __init__(self, links: tuple[str, ...] = ()) -> None:
        self._links = links

    def unsupported(self, balancer: Balancer) -> str:
        """Say in one sentence what of it cannot be carried and what to do instead, "" when all can."""
        return next(self._mistakes(balancer), "")

    def _mistakes(self, balancer: Balancer) -> Iterator[str]:
        yield from odd(balancer)
        for listener in balancer.listeners:
            yield from _listener(balancer, listener)
        for pool in balancer.pools:
            yield from self._pool(balancer, pool)

    def _pool(self, balancer: Balancer, pool: Pool) -> Iterator[str]:
        yield from _persistence(balancer, pool)
        if pool.monitor:
            yield from _monitor(pool.monitor)
        seen: set[str] = set()
        for member in pool.members:
            yield from self._member(balancer, pool, member)
            if member.address in seen:
                yield (
                    f"Pool {pool.id} has {member.address} twice, but direct return knows servers by address; "
                    "take one away."
                )
            seen.add(member.address)

    def _member(self, balancer: Balancer, pool: Pool, member: Member) -> Iterator[str]:
        who, vip = f"Member {member.address} of pool {pool.id}", balancer.vip
        if family(member.address) != family(vip.address):
            yield f"{who} is of another address family than the VIP; use members of the VIP's family."
            return
        if member.address == vip.address:
            yield f"{who} is the VIP itself; name the server's own address."
        networks = [n for n in (vip.cidr, *self._links) if n]
        if networks and not any(within(member.address, n) for n in networks):
            yield f"{who} is not on the director's link {vip.cidr}; use an address of the VIP's subnet."
        if not 0 <= member.weight <= WEIGHT:
            yield f"{who} has weight {member.weight}; give 0 to {WEIGHT}."
        for listener in listeners_of(balancer, pool):
            if member.port != listener.port:
                yield (
                    f"{who} has port {member.port} and the listener {listener.port}, but direct return "
                    "changes no port; give both the same."
                )


def _listener(balancer: Balancer, listener: Listener) -> Iterator[str]:
    who = f"Listener {listener.id}"
    pool = pool_of(balancer, listener)
    if pool and pool.protocol is not listener.protocol:
        yield f"{who} takes {listener.protocol} and its pool {pool.protocol}; give both the same protocol."
    if listener.limit != -1:
        yield f"{who} has a connection limit, which IPVS cannot keep for a listener; leave it at -1."
    for each in listener.cidrs:
        if _version(each) != family(balancer.vip.address):
            yield f"{who} allows {each!r}, no network of the VIP's family; write it like 192.0.2.0/24."
    for other in balancer.listeners:
        if other is listener:
            return
        if (other.protocol, other.port) == (listener.protocol, listener.port):
            yield f"{who} has the protocol and port of listener {other.id}; choose another port."


def _version(cidr: str) -> int:
    """Tell a network's family, 0 for what is none."""
    try:
        return ip_network(cidr, strict=False).version if "%" not in cidr else 0
    except ValueError:
        return 0


def _persistence(balancer: Balancer, pool: Pool) -> Iterator[str]:
    if not 0 <= pool.persistence <= PERSISTENCE:
        yield f"Pool {pool.id} keeps sources for {pool.persistence} s; give at most {PERSISTENCE}."
    try:
        bits = prefix(pool.granularity)
        fits = 0 <= bits <= (32 if family(balancer.vip.address) == 4 else 128)
    except ValueError:
        fits = False
    if not fits:
        yield (
            f"Pool {pool.id} has the granularity {pool.granularity!r}; "
            "give a netmask (IPv4) or a prefix length (IPv6)."
        )


def _monitor(monitor: Monitor) -> Iterator[str]:
    try:
        codes(monitor.expected)
    except ValueError:
        yield f'Monitor {monitor.id} expects {monitor.expected!r}; write "200", "200,202" or "200-204".'
