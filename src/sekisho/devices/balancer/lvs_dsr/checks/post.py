"""Packets of our own making out, answers back to whoever waits: echo, SCTP, and frames for a VIP.

In direct return a member can be well and still deaf: without the VIP on its loopback it drops what the
director sends it. So a SYN (or an echo request, where nothing listens by TCP) for the VIP goes out in a frame
to the member's own MAC; only a member that has the VIP answers from it. On packet(7), raw(7) and classic BPF
filters.
"""

from __future__ import annotations

import asyncio
import contextlib
import ctypes
import itertools
import secrets
import socket
import struct
from typing import TYPE_CHECKING, Final

from sekisho.devices.balancer.lvs_dsr.checks import packets
from sekisho.devices.balancer.lvs_dsr.checks.packets import Heard

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from sekisho.devices.balancer.lvs_dsr.checks.neighbours import Neighbour

IPV4, IPV6 = 0x0800, 0x86DD
ATTACH_FILTER: Final = 26  # SO_ATTACH_FILTER
PORTS: Final = range(61_440, 61_504)  # above what Linux gives out by itself
DISCARD: Final = 9

# BPF: (code, jump if true, jump if false, value). Only answers to our ports and echo replies reach us: the
# director carries gigabits beside them. Offsets are from the IP header.
_LOW, _HIGH = PORTS.start, PORTS.stop - 1
FILTER4: Final = (
    (0xB1, 0, 0, 0),  # ldxb 4*([0]&15)
    (0x30, 0, 0, 9),  # ldb [9]
    (0x15, 0, 3, socket.IPPROTO_ICMP),
    (0x50, 0, 0, 0),  # ldb [x+0]
    (0x15, 5, 0, packets.REPLY),
    (0x06, 0, 0, 0),
    (0x15, 0, 4, socket.IPPROTO_TCP),
    (0x48, 0, 0, 2),  # ldh [x+2]
    (0x35, 0, 2, _LOW),
    (0x25, 1, 0, _HIGH),
    (0x06, 0, 0, 0xFFFF),
    (0x06, 0, 0, 0),
)
FILTER6: Final = (
    (0x30, 0, 0, 6),
    (0x15, 0, 3, packets.ICMP6),
    (0x30, 0, 0, 40),
    (0x15, 5, 0, packets.REPLY6),
    (0x06, 0, 0, 0),
    (0x15, 0, 4, socket.IPPROTO_TCP),
    (0x28, 0, 0, 42),
    (0x35, 0, 2, _LOW),
    (0x25, 1, 0, _HIGH),
    (0x06, 0, 0, 0xFFFF),
    (0x06, 0, 0, 0),
)


class Post:
    """Sends and waits on one asyncio loop; made where that loop runs. Raises OSError without CAP_NET_RAW."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._waiting: dict[tuple[int, int], asyncio.Future[Heard]] = {}
        self._sockets: list[socket.socket] = []
        self._raw: dict[tuple[int, int], socket.socket] = {}
        self._ports = itertools.cycle(PORTS)
        self._mark = secrets.randbelow(1 << 16)
        try:
            self._frames = self._open(socket.AF_PACKET, socket.SOCK_DGRAM, 0)
            self._listen(IPV4, FILTER4)
            self._listen(IPV6, FILTER6)
        except OSError:
            self.close()
            raise

    def close(self) -> None:
        """Close all sockets; who waits is told that nobody answered by the time they have."""
        for one in self._sockets:
            self._loop.remove_reader(one.fileno())
            one.close()
        self._sockets.clear()

    async def ping(self, address: str) -> str:
        """Ask an address for an echo, the way the routing table says."""
        six = ":" in address
        protocol = packets.ICMP6 if six else socket.IPPROTO_ICMP
        raw = self._raw_socket(address, protocol)
        number = secrets.randbelow(1 << 16)
        with self._answer(protocol, self._token(number)) as answer:
            # the kernel fills in ICMPv6's checksum, which needs the source that it chooses
            raw.sendto(packets.echo("::" if six else "0.0.0.0", address, self._mark, number), (address, 0))  # noqa: S104
            await answer
        return ""

    async def sctp(self, address: str, port: int) -> str:
        """Offer an SCTP association and do not take it: an endpoint that lives keeps nothing of that."""
        raw = self._raw_socket(address, socket.IPPROTO_SCTP)
        tag = secrets.randbelow((1 << 32) - 1) + 1
        with self._answer(socket.IPPROTO_SCTP, tag) as answer:
            raw.sendto(packets.init((next(self._ports), port), tag), (address, 0))
            heard = await answer
        kind = heard.payload[12] if len(heard.payload) > 12 else 0
        return "" if kind == packets.INIT_ACK else "nothing listens on its SCTP port"

    async def hears(self, neighbour: Neighbour, source: str, vip: str, port: int) -> str:
        """Ask a member for the VIP by its MAC: by a SYN to `port`, or by an echo request where that is 0."""
        if not port:
            return await self.echoes(neighbour, source, vip)
        number, ports = secrets.randbits(32), (next(self._ports), port)
        tcp = socket.IPPROTO_TCP
        with self._answer(tcp, (number + 1) & 0xFFFFFFFF) as answer:
            self._frame(neighbour, source, vip, tcp, packets.tcp(source, vip, ports, number, packets.SYN))
            heard = await answer
        if heard.source != vip or heard.payload[13] & packets.RST:
            return f"nothing listens there on the VIP's port {port}"
        # half open connections are the member's to keep: end this one
        closing = packets.tcp(source, vip, ports, (number + 1) & 0xFFFFFFFF, packets.RST)
        self._frame(neighbour, source, vip, tcp, closing)
        return ""

    async def echoes(self, neighbour: Neighbour, source: str, address: str, size: int = 8) -> str:
        """Ask for an echo of `size` bytes, by MAC."""
        protocol = packets.ICMP6 if ":" in address else socket.IPPROTO_ICMP
        number = secrets.randbelow(1 << 16)
        with self._answer(protocol, self._token(number)) as answer:
            request = packets.echo(source, address, self._mark, number, size)
            self._frame(neighbour, source, address, protocol, request)
            await answer
        return ""

    def _frame(self, neighbour: Neighbour, source: str, vip: str, protocol: int, payload: bytes) -> None:
        kind = IPV6 if ":" in vip else IPV4
        name = socket.if_indextoname(neighbour.link)
        packet = packets.ip(source, vip, protocol, payload)
        self._frames.sendto(packet, (name, kind, 0, 0, neighbour.mac))

    # --- hearing ----------------------------------------------------------------------------------

    @contextlib.contextmanager
    def _answer(self, protocol: int, token: int) -> Iterator[asyncio.Future[Heard]]:
        future: asyncio.Future[Heard] = self._loop.create_future()
        self._waiting[protocol, token] = future
        try:
            yield future
        finally:
            self._waiting.pop((protocol, token), None)

    def _token(self, number: int) -> int:
        return self._mark << 16 | number

    def _open(self, family: int, kind: int, protocol: int) -> socket.socket:
        made = socket.socket(family, kind | socket.SOCK_NONBLOCK | socket.SOCK_CLOEXEC, protocol)
        self._sockets.append(made)
        return made

    def _listen(self, kind: int, program: Sequence[tuple[int, int, int, int]]) -> None:
        # of all interfaces from here on; what came before the filter answers nothing and is passed over
        made = self._open(socket.AF_PACKET, socket.SOCK_DGRAM, socket.htons(kind))
        attach(made, program)
        self._loop.add_reader(made.fileno(), self._read, made, 0)

    def _raw_socket(self, address: str, protocol: int) -> socket.socket:
        family = socket.AF_INET6 if ":" in address else socket.AF_INET
        made = self._raw.get((family, protocol))
        if made is None:
            made = self._raw[family, protocol] = self._open(family, socket.SOCK_RAW, protocol)
            six = protocol if family == socket.AF_INET6 else 0
            self._loop.add_reader(made.fileno(), self._read, made, six)
        return made

    def _read(self, source: socket.socket, bare: int) -> None:
        """Take what came; raw IPv6 sockets give the payload alone, of protocol `bare`."""
        with contextlib.suppress(BlockingIOError, InterruptedError):
            while True:
                data, who = source.recvfrom(2048)
                heard = Heard(who[0], "", bare, data) if bare else packets.heard(data)
                if heard is not None:
                    self._hand_over(heard)

    def _hand_over(self, heard: Heard) -> None:
        future = self._waiting.get((heard.protocol, answers_to(heard)))
        if future is not None and not future.done():
            future.set_result(heard)


def answers_to(heard: Heard) -> int:
    """Say which question a packet answers; -1 for none of ours."""
    body = heard.payload
    if heard.protocol == socket.IPPROTO_TCP and len(body) >= 20:
        return int(struct.unpack_from("!I", body, 8)[0])
    if heard.protocol == socket.IPPROTO_SCTP and len(body) >= 16:
        return int(struct.unpack_from("!I", body, 4)[0])
    echoes = {socket.IPPROTO_ICMP: packets.REPLY, packets.ICMP6: packets.REPLY6}
    if len(body) >= 8 and echoes.get(heard.protocol) == body[0]:
        return int(struct.unpack_from("!I", body, 4)[0])
    return -1


def attach(target: socket.socket, program: Sequence[tuple[int, int, int, int]]) -> None:
    """Let a socket take only what a classic BPF program (linux/filter.h) passes."""
    code = b"".join(struct.pack("=HBBI", *line) for line in program)
    kept = ctypes.create_string_buffer(code)
    target.setsockopt(
        socket.SOL_SOCKET, ATTACH_FILTER, struct.pack("@HP", len(program), ctypes.addressof(kept))
    )


def source_for(address: str) -> str:
    """Say which of our addresses the kernel asks this neighbour from; it looks for the MAC by that."""
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    with socket.socket(family, socket.SOCK_DGRAM) as probe:
        probe.connect((address, DISCARD))
        name: str = probe.getsockname()[0]
        with contextlib.suppress(OSError):
            probe.send(b"")
        return name
