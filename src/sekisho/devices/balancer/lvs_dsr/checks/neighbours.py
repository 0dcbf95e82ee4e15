"""Who has which MAC on the director's links: the kernel's own neighbour table, over rtnetlink (RFC 3549)."""

from __future__ import annotations

import socket
import struct
from ipaddress import ip_address
from typing import TYPE_CHECKING, Final, NamedTuple

from sekisho.devices.balancer.lvs_dsr.netlink import Netlink, attributes, connect

if TYPE_CHECKING:
    from collections.abc import Callable

ROUTE: Final = 0  # NETLINK_ROUTE
GETNEIGH: Final = 30
DST, LLADDR = 1, 2  # NDA_*
HEAD: Final = struct.Struct("=BxxxiHBB")  # struct ndmsg
KNOWN: Final = 0x02 | 0x04 | 0x08 | 0x10 | 0x80  # reachable, stale, delay, probe, permanent


class Neighbour(NamedTuple):
    """Where a frame must go."""

    link: int  # interface index
    mac: bytes


class Neighbours:
    """The neighbour table, read again when somebody is not in it, at most once in `every` seconds."""

    def __init__(
        self,
        clock: Callable[[], float],
        every: float = 0.2,
        link: Callable[[], Netlink] = lambda: connect(ROUTE),
    ) -> None:
        self._clock = clock
        self._every = every
        self._connect = link
        self._read_at = float("-inf")
        self._known: dict[str, Neighbour] = {}

    def find(self, address: str) -> Neighbour | None:
        """Find a neighbour by address; None where no one of that address has been heard yet."""
        found = self._known.get(address)
        if found is None and self._clock() - self._read_at >= self._every:
            self._known = self._read()
            self._read_at = self._clock()
            found = self._known.get(address)
        return found

    def forget(self, address: str) -> None:
        """Look again next time: who did not answer may have another MAC now."""
        self._known.pop(address, None)

    def _read(self) -> dict[str, Neighbour]:
        found: dict[str, Neighbour] = {}
        link = self._connect()
        try:
            for family in (socket.AF_INET, socket.AF_INET6):
                for answer in link.ask(GETNEIGH, HEAD.pack(family, 0, 0, 0, 0)):
                    _, index, state, _, _ = HEAD.unpack_from(answer)
                    parts = attributes(answer[HEAD.size :])
                    if state & KNOWN and DST in parts and len(parts.get(LLADDR, b"")) == 6:
                        found[str(ip_address(parts[DST]))] = Neighbour(index, parts[LLADDR])
        finally:
            link.close()
        return found
