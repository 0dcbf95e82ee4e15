"""What an ADX cannot carry, said before anything is written: a Balancer in, a sentence out; pure.

Standard library only: Octavia's API asks it in its own process.
"""

from __future__ import annotations

import ipaddress
import re
from typing import TYPE_CHECKING, Final

from sekisho.devices.balancer.adx import names
from sekisho.devices.balancer.adx.pieces import codes, pool_of
from sekisho.devices.balancer.odd import odd
from sekisho.model.balancer import Algorithm, Check, Protocol

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from sekisho.model.balancer import Balancer, Listener, Member, Monitor, Pool

PREDICTORS: Final = (
    *("round-robin", "least-conn", "weighted", "enhanced-weighted"),
    *("weighted-round-robin", "weighted-round-robin-static"),
)
FLAVOR: Final[Mapping[str, str]] = {
    "predictor": f"How a virtual server chooses, whatever the pool's algorithm: {', '.join(PREDICTORS)}.",
}
_LEAST_DELAY: Final = {Check.HTTP: 1, Check.HTTPS: 5, Check.TCP: 1}
_MOST_DELAY: Final = 120
_MOST_RETRIES: Final = 5
_MOST_WEIGHT: Final = 65_000
_STICKY: Final = range(2, 61)  # minutes
_PATH: Final = re.compile(r"/[A-Za-z0-9._~!$&'()*+,=:@%/-]{0,190}")
_CODES: Final = re.compile(r"\s*\d{3}(-\d{3})?\s*(,\s*\d{3}(-\d{3})?\s*)*")


class Adx:
    """Implements `Provider`."""

    def unsupported(self, balancer: Balancer) -> str:
        """Say what of a balancer an ADX cannot carry and what to do instead, "" when it can carry all."""
        return next(_problems(balancer), "")


def _problems(balancer: Balancer) -> Iterator[str]:
    yield from odd(balancer)
    yield from _vip(balancer)
    yield from _flavor(balancer.flavor)
    yield from _ports(balancer)
    for listener in balancer.listeners:
        yield from _listener(balancer, listener)
    for pool in balancer.pools:
        yield from _pool(pool)
        for member in pool.members:
            yield from _member(balancer, member)
    yield from _alike(balancer)


def _vip(balancer: Balancer) -> Iterator[str]:
    address = _address(balancer.vip.address)
    if address is None or address.version != 4:
        yield f"An ADX is driven with IPv4 VIPs only, not {balancer.vip.address}; take a subnet of IPv4."


def _flavor(flavor: Mapping[str, str]) -> Iterator[str]:
    asked = flavor.get("predictor", "")
    if asked and asked not in PREDICTORS:
        yield f"An ADX has no predictor {asked!r}; a flavor may name {', '.join(PREDICTORS)}."


def _ports(balancer: Balancer) -> Iterator[str]:
    seen: set[int] = set()
    for listener in balancer.listeners:
        if listener.port in seen:
            yield (
                f"An ADX has a port {listener.port} once on a VIP, for TCP and UDP together; "
                "put the second listener on another load balancer."
            )
        seen.add(listener.port)


def _listener(balancer: Balancer, listener: Listener) -> Iterator[str]:
    if listener.protocol is Protocol.SCTP:
        yield "An ADX does not balance SCTP; use TCP or UDP, or a load balancer of sekisho-lvs."
    if listener.limit != -1:
        yield "An ADX limits connections of a server, not of a listener; leave connection_limit at -1."
    if listener.cidrs:
        yield "An ADX keeps nobody away from a VIP's port; leave allowed_cidrs out and use security groups."
    _, known = names.STANDARD.get(listener.port, ("", (listener.protocol.value,)))
    if listener.protocol.value not in known:
        yield (
            f"An ADX takes port {listener.port} for {' and '.join(known)}, not for {listener.protocol}; "
            "use another port."
        )
    pool = pool_of(balancer, listener)
    if pool is None:
        return
    if pool.protocol is not listener.protocol:
        yield f"A listener of {listener.protocol} cannot have a pool of {pool.protocol}; make both the same."
    for member in pool.members:
        if member.port != listener.port:
            yield (
                f"Replies go past the ADX, so a member's port must be its listener's: {member.address} has "
                f"{member.port} and the listener {listener.port}; make them the same."
            )


def _pool(pool: Pool) -> Iterator[str]:
    if pool.algorithm not in (Algorithm.ROUND_ROBIN, Algorithm.LEAST_CONNECTIONS):
        yield (
            f"An ADX does not choose by {pool.algorithm}; use ROUND_ROBIN or LEAST_CONNECTIONS, with "
            "session persistence SOURCE_IP to keep a client at its member."
        )
    if pool.persistence and (pool.persistence % 60 or pool.persistence // 60 not in _STICKY):
        yield (
            f"An ADX keeps a client for 2 to 60 whole minutes, not for {pool.persistence} seconds; "
            "give persistence_timeout between 120 and 3600 in steps of 60."
        )
    if pool.granularity not in ("", "255.255.255.255", "32"):
        yield "An ADX keeps single addresses, not networks; leave persistence_granularity out."
    if pool.monitor is not None:
        yield from _monitor(pool.monitor, pool.protocol)


def _monitor(monitor: Monitor, protocol: Protocol) -> Iterator[str]:
    least = _LEAST_DELAY.get(monitor.check)
    if least is None or protocol is not Protocol.TCP:
        yield (
            f"An ADX is not told to check a pool of {protocol} by {monitor.check}; "
            "use HTTP, HTTPS or TCP for a pool of TCP, and none for UDP."
        )
        return
    if not least <= monitor.delay <= _MOST_DELAY:
        yield (
            f"An ADX checks by {monitor.check} every {least} to {_MOST_DELAY} seconds, "
            f"not every {monitor.delay}; change delay."
        )
    if monitor.timeout != monitor.delay:
        yield "An ADX waits for an answer until its next check; give timeout the value of delay."
    if monitor.rise != monitor.fall or not 1 <= monitor.fall <= _MOST_RETRIES:
        yield (
            "An ADX has one number of retries, 1 to 5; "
            "give max_retries and max_retries_down the same value among them."
        )
    if monitor.check is not Check.TCP:
        yield from _http(monitor)


def _http(monitor: Monitor) -> Iterator[str]:
    if monitor.method not in ("GET", "HEAD"):
        yield f"An ADX checks by GET or HEAD, not by {monitor.method}; change http_method."
    if not _PATH.fullmatch(monitor.path):
        yield f"An ADX cannot ask for the path {monitor.path!r}; use a plain one without a query."
    if not _CODES.fullmatch(monitor.expected) or any(a > b for a, b in codes(monitor.expected)):
        yield f"{monitor.expected!r} are no HTTP codes; write 200, 200,202 or 200-204."
    if monitor.domain or monitor.http_version not in ("", "1.0"):
        yield "An ADX sends no host name with its check; leave domain_name out and http_version at 1.0."


def _member(balancer: Balancer, member: Member) -> Iterator[str]:
    address = _address(member.address)
    if address is None or address.version != 4:
        yield f"An ADX is driven with members of IPv4 only, not {member.address}; use its IPv4 address."
        return
    cidr = balancer.vip.cidr
    if cidr and address not in ipaddress.ip_network(cidr, strict=False):
        yield (
            f"The member {member.address} is not in the VIP's subnet {cidr}; "
            "packets go to members unrouted, so give one that is."
        )
    if member.backup:
        yield "An ADX makes whole servers backups, not single members; leave backup out."
    if member.monitor_port or member.monitor_address:
        yield "An ADX checks a member where it serves; leave monitor_port and monitor_address out."
    if member.weight > _MOST_WEIGHT:
        yield f"An ADX weighs up to {_MOST_WEIGHT}, not {member.weight}; use smaller weights."


def _alike(balancer: Balancer) -> Iterator[str]:
    """Say what an ADX has once for a VIP or an address, and is asked for twice."""
    used = [pool for listener in balancer.listeners if (pool := pool_of(balancer, listener))]
    if len({pool.algorithm for pool in used}) > 1:
        yield "An ADX chooses in one way for all ports of a VIP; give all pools the same lb_algorithm."
    if len({pool.persistence for pool in used if pool.persistence}) > 1:
        yield "An ADX keeps clients equally long on all ports of a VIP; give pools one persistence_timeout."
    weights: dict[str, int] = {}
    for member in (m for pool in used for m in pool.members if m.weight):
        if weights.setdefault(member.address, member.weight) != member.weight:
            yield (
                f"An ADX weighs a server, not its ports; give {member.address} the same weight in all pools."
            )


def _address(text: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        return ipaddress.ip_address(text)
    except ValueError:
        return None
