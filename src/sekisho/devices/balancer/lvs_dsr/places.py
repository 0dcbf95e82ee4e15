"""Which addresses are this director's own, as its kernel has them: RTM_GETROUTE, RTM_GETADDR of rtnetlink(7).

What is sent to such an address ends on the director: a member there would give customers its own services.
And which are behind a router, where direct return reaches nobody.
"""

from __future__ import annotations

import socket
import struct
from ipaddress import ip_address
from typing import TYPE_CHECKING, Final

from sekisho.devices.balancer.intent import parsed
from sekisho.devices.balancer.lvs_dsr.netlink import ACK, Netlink, attribute, attributes, connect
from sekisho.model.errors import Refused

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

ROUTE: Final = 0  # NETLINK_ROUTE
GETROUTE: Final = 26
GETADDR: Final = 22
IFA_ADDRESS, IFA_LOCAL = 1, 2
DST, GATEWAY, VIA = 1, 5, 18  # RTA_*
LOCAL: Final = 2  # RTN_LOCAL
ADDRESS: Final = struct.Struct("=BBBBI")  # struct ifaddrmsg
HEAD: Final = struct.Struct("=BBBBBBBBI")  # struct rtmsg


class Kernels:
    """Asks the kernel of the calling thread's network namespace."""

    def __init__(self, link: Callable[[], Netlink] = lambda: connect(ROUTE)) -> None:
        self._connect = link

    def own(self, addresses: Iterable[str]) -> frozenset[str]:
        """Give those that are ours; raises Unavailable when the kernel does not answer."""
        return self._which(addresses, lambda way: HEAD.unpack_from(way)[7] == LOCAL)

    def routed(self, addresses: Iterable[str]) -> frozenset[str]:
        """Give those that a router is on the way to; raises Unavailable as `own` does."""
        return self._which(addresses, lambda way: not {GATEWAY, VIA}.isdisjoint(attributes(way[HEAD.size :])))

    def _which(self, addresses: Iterable[str], fits: Callable[[bytes], bool]) -> frozenset[str]:
        link = self._connect()
        try:
            return frozenset(a for a in addresses if any(map(fits, _ways(link, a))))
        finally:
            link.close()

    def networked(self) -> frozenset[str]:
        """Give those that it has with a network behind them, as its own are and VIPs are not."""
        link = self._connect()
        try:
            answers = link.ask(GETADDR, ADDRESS.pack(0, 0, 0, 0, 0))
        finally:
            link.close()
        found = set()
        for answer in answers:
            told = attributes(answer[ADDRESS.size :])
            packed = told.get(IFA_LOCAL) or told.get(IFA_ADDRESS, b"")
            if packed and answer[1] < 8 * len(packed):
                found.add(str(ip_address(packed)))
        return frozenset(found)


def _ways(link: Netlink, address: str) -> list[bytes]:
    packed = parsed(address).packed
    family = socket.AF_INET if len(packed) == 4 else socket.AF_INET6
    head = HEAD.pack(family, 8 * len(packed), 0, 0, 0, 0, 0, 0, 0)
    try:
        return link.ask(GETROUTE, head + attribute(DST, packed), ACK)
    except Refused:  # there is no way to it, so it is not here
        return []
