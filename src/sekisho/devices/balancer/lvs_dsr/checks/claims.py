"""Who says on a link that an address is his: addresses in, the MACs that answer out.

By ARP (RFC 826, asked as a probe of RFC 5227) and neighbour discovery (RFC 4861), on packet(7) sockets. The
kernel's own neighbour table knows one answer for each; here it matters that there are two.
"""

from __future__ import annotations

import select
import socket
import struct
from collections import defaultdict
from contextlib import closing
from ipaddress import ip_address
from typing import TYPE_CHECKING, Final

from sekisho.devices.balancer.lvs_dsr.checks import packets
from sekisho.devices.balancer.lvs_dsr.checks.post import DISCARD, IPV6, attach
from sekisho.model.errors import Unavailable

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

ARP: Final = 0x0806
EVERYBODY: Final = b"\xff" * 6
REPLY: Final = struct.pack("!H", 2)
# BPF: only neighbour advertisements; a director carries gigabits beside them.
ADVERTISEMENTS: Final = (
    (0x30, 0, 0, 6),
    (0x15, 0, 3, packets.ICMP6),
    (0x30, 0, 0, 40),
    (0x15, 0, 1, packets.ADVERTISE),
    (0x06, 0, 0, 0xFFFF),
    (0x06, 0, 0, 0),
)


def claims(link: str, addresses: Collection[str], wait: float = 1.0) -> Mapping[str, frozenset[bytes]]:
    """Ask for addresses on an interface, and take down for `wait` seconds who answers; we ourselves do not.

    Raises Unavailable where the link is not there or not ours to ask on.
    """
    six = [a for a in addresses if ":" in a]
    four = [a for a in addresses if ":" not in a]
    found: dict[str, set[bytes]] = defaultdict(set)
    try:
        with closing(_open(ARP)) as arp, closing(_open(IPV6, ADVERTISEMENTS)) as nd:
            for each, kind in ((arp, ARP), (nd, IPV6)):
                each.bind((link, kind))
            for address in four:
                arp.sendto(packets.who_has(address, _mac(arp)), (link, ARP, 0, 0, EVERYBODY))
            source = _source(link) if six else ""
            for address in six:
                packet, mac = packets.solicit(source, address, _mac(nd))
                nd.sendto(packet, (link, IPV6, 0, 0, mac))
            _listen((arp, nd), wait, found)
    except OSError as error:
        raise Unavailable(
            "The director cannot ask on its link.", f"{link or 'no link'}: {error.strerror or error}"
        ) from error
    return {address: frozenset(found[address]) for address in addresses}


def _open(kind: int, program: tuple[tuple[int, int, int, int], ...] = ()) -> socket.socket:
    made = socket.socket(socket.AF_PACKET, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK, socket.htons(kind))
    if program:
        attach(made, program)
    return made


def _mac(bound: socket.socket) -> bytes:
    found: bytes = bound.getsockname()[4]
    return found


def _source(link: str) -> str:
    """Give our own address on a link, by which all there know us."""
    with socket.socket(socket.AF_INET6, socket.SOCK_DGRAM) as probe:
        probe.connect(("ff02::1", DISCARD, 0, socket.if_nametoindex(link)))
        name: str = probe.getsockname()[0]
        return name.partition("%")[0]


def _listen(ears: tuple[socket.socket, ...], wait: float, found: dict[str, set[bytes]]) -> None:
    """Hear until nobody has said anything for `wait` seconds, at most ten times that."""
    for _ in range(10):
        ready, _, _ = select.select(ears, [], [], wait)
        if not ready:
            return
        for ear in ready:
            _take(ear, found)


def _take(ear: socket.socket, found: dict[str, set[bytes]]) -> None:
    while True:
        try:
            data, who = ear.recvfrom(2048)
        except BlockingIOError:
            return
        if who[1] == ARP and len(data) >= 28 and data[6:8] == REPLY:
            found[str(ip_address(data[14:18]))].add(data[8:14])
        elif who[1] == IPV6 and len(data) >= 64:
            found[str(ip_address(data[48:64]))].add(who[4])
