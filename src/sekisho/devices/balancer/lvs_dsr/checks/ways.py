"""Which way the kernel sends packets for an address: RTM_GETROUTE of rtnetlink(7), and a link's MTU."""

from __future__ import annotations

import fcntl
import socket
import struct
from contextlib import closing
from ipaddress import ip_address
from typing import Final, NamedTuple

from sekisho.devices.balancer.lvs_dsr.checks.neighbours import ROUTE
from sekisho.devices.balancer.lvs_dsr.netlink import ACK, attribute, attributes, connect, integer
from sekisho.model.errors import Refused

GETROUTE: Final = 26
TO, LINK, GATEWAY, VIA = 1, 4, 5, 18  # RTA_*
HEAD: Final = struct.Struct("=BBBBBBBBI")  # struct rtmsg
GETMTU: Final = 0x8921  # SIOCGIFMTU


class Way(NamedTuple):
    """The interface a packet goes out on, and whether a router is its next hop."""

    link: str
    routed: bool


def way(address: str) -> Way | None:
    """Look a way up; None where the kernel has none. Raises Unavailable when it does not answer."""
    packed = ip_address(address).packed
    six = len(packed) == 16
    family = socket.AF_INET6 if six else socket.AF_INET
    ask = HEAD.pack(family, len(packed) * 8, 0, 0, 0, 0, 0, 0, 0) + attribute(TO, packed)
    with closing(connect(ROUTE)) as link:
        try:
            answers = link.ask(GETROUTE, ask, ACK)
        except Refused:
            return None
    parts = attributes(answers[0][HEAD.size :]) if answers else {}
    index = integer(parts, LINK)
    return Way(socket.if_indextoname(index), GATEWAY in parts or VIA in parts) if index else None


def mtu(link: str) -> int:
    """Tell the largest packet an interface takes, in bytes; raises OSError without such an interface."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as asked:
        answer = fcntl.ioctl(asked, GETMTU, struct.pack("16si12x", link.encode(), 0))
    found: int = struct.unpack("16si12x", answer)[1]
    return found
