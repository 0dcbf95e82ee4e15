"""What no kind of balancer carries, whatever its device can: a Balancer in, sentences out; pure.

Octavia checks most of this itself; whoever asks the keeper directly does not.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from sekisho.devices.balancer.intent import parsed

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sekisho.model.balancer import Balancer, Member, Monitor

_PORTS: Final = range(1, 65_536)
# What is written into a request (RFC 9112): nothing that could end its line.
_METHOD: Final = re.compile(r"[A-Z]{1,16}")
_PATH: Final = re.compile(r"/[\x21-\x7e]{0,2047}")
_DOMAIN: Final = re.compile(r"[A-Za-z0-9._:\[\]-]{0,255}")
_VERSIONS: Final = ("", "1.0", "1.1")


def odd(balancer: Balancer) -> Iterator[str]:
    """Say, a sentence each, what can be carried nowhere and what to do instead."""
    yield from _place("The VIP", balancer.vip.address)
    for listener in balancer.listeners:
        if listener.port not in _PORTS:
            yield f"Listener {listener.id} has port {listener.port}; give 1 to 65535."
    for pool in balancer.pools:
        for member in pool.members:
            yield from _member(member)
        if pool.monitor is not None:
            yield from _monitor(pool.monitor)


def _member(member: Member) -> Iterator[str]:
    yield from _place("The member", member.address)
    if member.monitor_address:
        yield from _place("What the monitor asks,", member.monitor_address)
    if member.port not in _PORTS or (member.monitor_port and member.monitor_port not in _PORTS):
        yield f"The member {member.address} has a port out of range; give 1 to 65535."
    if member.weight < 0:
        yield f"The member {member.address} has weight {member.weight}; give 0 or more."


def _place(what: str, address: str) -> Iterator[str]:
    """Say why an address is nobody's on a link: a balancer or its checks would speak to themselves."""
    try:
        found = parsed(address)
    except ValueError:
        yield f"{what} {address!r} is no address; write an IPv4 or IPv6 one."
        return
    own = found.is_loopback or found.is_link_local or found.is_unspecified
    if own or found.is_multicast or found.is_reserved:
        yield f"{what} {address} is no address of one machine on a network; give the server's own."


def _monitor(monitor: Monitor) -> Iterator[str]:
    if min(monitor.delay, monitor.timeout, monitor.rise, monitor.fall) < 1:
        yield f"Monitor {monitor.id} has a time or count below 1; give at least 1."
    if not _METHOD.fullmatch(monitor.method):
        yield f"Monitor {monitor.id} has the method {monitor.method!r}; write GET, HEAD or another of HTTP's."
    if monitor.path and not _PATH.fullmatch(monitor.path):
        yield f"Monitor {monitor.id} has the path {monitor.path!r}; write /like/this, without blanks."
    if not _DOMAIN.fullmatch(monitor.domain):
        yield f"Monitor {monitor.id} has the domain {monitor.domain!r}; write a host's name."
    if monitor.http_version not in _VERSIONS:
        yield f"Monitor {monitor.id} has the HTTP version {monitor.http_version!r}; write 1.0 or 1.1."
