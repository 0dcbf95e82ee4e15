"""Which addresses are this director's own, as its kernel routes them: RTM_GETROUTE of rtnetlink(7).

What is sent to such an address ends on the director: a member there would give customers its own services.
"""

from __future__ import annotations

import socket
import struct
from typing import TYPE_CHECKING, Final

from sekisho.devices.balancer.intent import parsed
from sekisho.devices.balancer.lvs_dsr.netlink import ACK, Netlink, attribute, connect
from sekisho.model.errors import Refused

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

ROUTE: Final = 0  # NETLINK_ROUTE
GETROUTE: Final = 26
DST: Final = 1  # RTA_DST
LOCAL: Final = 2  # RTN_LOCAL
HEAD: Final = struct.Struct("=BBBBBBBBI")  # struct rtmsg


class Kernels:
    """Asks the kernel of the calling thread's network namespace."""

    def __init__(self, link: Callable[[], Netlink] = lambda: connect(ROUTE)) -> None:
        self._connect = link

    def own(self, addresses: Iterable[str]) -> frozenset[str]:
        """Give those that are ours; raises Unavailable when the kernel does not answer."""
        link = self._connect()
        try:
            return frozenset(address for address in addresses if _is_own(link, address))
        finally:
            link.close()


def _is_own(link: Netlink, address: str) -> bool:
    packed = parsed(address).packed
    family = socket.AF_INET if len(packed) == 4 else socket.AF_INET6
    head = HEAD.pack(family, 8 * len(packed), 0, 0, 0, 0, 0, 0, 0)
    try:
        answers = link.ask(GETROUTE, head + attribute(DST, packed), ACK)
    except Refused:  # there is no way to it, so it is not here
        return False
    return any(HEAD.unpack_from(answer)[7] == LOCAL for answer in answers)
