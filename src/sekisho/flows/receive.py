"""Datagrams from UDP sockets, in bursts: no Python object per datagram, and hardly a system call."""

from __future__ import annotations

import ctypes
import logging
import os
import select
import socket
import struct
import sys
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any, Final, TypeAlias

import numpy as np

from sekisho import native
from sekisho.flows.ring import Ring, detach
from sekisho.flows.wire.gather import field64
from sekisho.model.errors import Unavailable
from sekisho.tables import Burst, map_v4

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sekisho.tables import U8, U64

# <asm-generic/socket.h>; Python's socket module names none of them.
SO_RCVBUFFORCE: Final = 33
SO_RXQ_OVFL: Final = 40
SO_BUSY_POLL: Final = 46
SO_ATTACH_REUSEPORT_CBPF: Final = 51
SO_MEMINFO: Final = 55  # the first of its numbers is what the receive queue holds
NETWORK_HEADER: Final = 0xFFF0_0000  # SKF_NET_OFF of <linux/filter.h>
NAME_ROOM: Final = 28  # struct sockaddr_in6
TRUESIZE: Final = 4096  # octets the kernel books for a datagram of 1,500, more than for a smaller one
BUFFER_SHARE: Final = 8  # of the buffer this part at most is let fill
CONTROL_ROOM: Final = 24  # one control message of four octets
# A burst from a ring takes no room of its own: so many times the datagrams, and octets of payload at most.
RING_BURSTS, MOST_OCTETS = 4, 2 << 20
# struct mmsghdr of a 64-bit Linux: a msghdr and the length received, padded to 64 octets.
MMSGHDR: Final = np.dtype(
    {
        "names": ["name", "namelen", "iov", "iovlen", "control", "controllen", "flags", "length"],
        "formats": ["u8", "u4", "u8", "u8", "u8", "u8", "u4", "u4"],
        "offsets": [0, 8, 16, 24, 32, 40, 48, 56],
        "itemsize": 64,
    }
)
IOVEC: Final = np.dtype([("base", "u8"), ("length", "u8")])
CMSG: Final = np.dtype([("length", "u8"), ("level", "u4"), ("kind", "u4"), ("drops", "u4"), ("pad", "u4")])

Address: TypeAlias = tuple[str, int]
log = logging.getLogger("sekisho.collector")


@dataclass(frozen=True, slots=True)
class ReceiveSettings:
    """Where to listen and how much to take at once.

    One socket for each port. `burst` datagrams of at most `slot` octets stand in memory; longer ones
    are counted and cut. `buffer` octets are asked of the kernel for each socket. `method` is
    "ring" (memory shared with the kernel), "recvmmsg" (one system call for many datagrams), "recv_into"
    (one for each) or "auto": the first of them that this machine and the kernel allow. With `reuse_port`
    several processes share the ports, and the kernel spreads exporters over them: with `workers`, the
    number of those processes, by source address, so that all an exporter sends comes to one of them.
    Datagrams may `gather` for so many seconds between two bursts: few full ones cost less than many small.
    With `busy_poll` the kernel looks into the network card's queue for so many microseconds where a socket
    is empty (SO_BUSY_POLL, socket(7)); where there is a ring it does nothing.
    """

    host: str = "127.0.0.1"
    ports: tuple[int, ...] = (6343,)
    burst: int = 2048
    slot: int = 2048
    buffer: int = 32 << 20
    method: str = "auto"
    reuse_port: bool = False
    workers: int = 1
    gather: float = 0.02
    busy_poll: int = 0


class Receiver:
    """Sockets and the slab their datagrams land in. Raises Unavailable where a port cannot be had.

    `sockets` are taken as they are instead of opening `settings.ports`, and so are `rings` that they have.

    Totals: `datagrams`, `octets`, `truncated` (longer than the slot), `errors` (calls the kernel
    refused) and `dropped` (by the kernel for want of buffer, since the socket or ring was made: what came
    while nobody was there is among it).
    """

    def __init__(
        self,
        settings: ReceiveSettings | None = None,
        sockets: Sequence[socket.socket] = (),
        rings: Sequence[Ring] = (),
    ) -> None:
        self.settings = settings or ReceiveSettings()
        self.datagrams = self.octets = self.truncated = self.errors = 0
        n, slot = self.settings.burst, self.settings.slot
        self._burst = _burst(np.zeros((n, slot), np.uint8))
        self._sockets = list(sockets) or _open_all(self.settings)
        try:
            self._rings = list(rings) or open_rings(self.settings, self._sockets)
        except Unavailable:
            for sock in self._sockets:
                sock.close()
            raise
        # Sockets that may hold what came before they had a ring: it is heard first, in the order it was sent.
        self._older = set(range(len(self._rings)))
        self._of_ring = _burst(np.zeros((n * RING_BURSTS, 0), np.uint8))
        self._most = n  # datagrams of a burst
        self.is_broken_off = False  # the last burst: however short it is, others may wait behind it
        self._dropped = 0  # by sockets
        self._drops = [0] * len(self._sockets)
        self._turn = 0
        self._paused = (0.0, 0)  # when, and how many datagrams had come
        self._poll = select.poll()
        for sock in self._sockets:
            self._poll.register(sock, select.POLLIN)
        for ring in self._rings:
            self._poll.register(ring, select.POLLIN)
        self._messages = _messages(self._burst) if _wants_recvmmsg(self.settings.method) else None

    @property
    def addresses(self) -> tuple[Address, ...]:
        """Host and port of each socket, as bound."""
        return tuple(sock.getsockname()[:2] for sock in self._sockets)

    def __len__(self) -> int:
        """Count the sockets."""
        return len(self._sockets)

    @property
    def has_rings(self) -> bool:
        """Whether datagrams come by memory that is shared with the kernel."""
        return bool(self._rings)

    @property
    def dropped(self) -> int:
        """Count what the kernel dropped for want of buffer."""
        return self._dropped + sum(ring.dropped for ring in self._rings)

    @property
    def buffer(self) -> int:
        """Octets the kernel keeps for the first socket or ring; Linux books twice what was asked for."""
        if self._rings:
            return self._rings[0].octets
        return self._sockets[0].getsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF)

    @property
    def waiting(self) -> int:
        """Octets that wait in all rings or sockets, each of `buffer` at most; 0 where nobody tells."""
        if self._rings:
            return sum(ring.waiting for ring in self._rings if ring.is_open)
        if sys.platform != "linux":
            return 0
        still_open = [sock for sock in self._sockets if sock.fileno() >= 0]
        told = [sock.getsockopt(socket.SOL_SOCKET, SO_MEMINFO, 4) for sock in still_open]
        return sum(int.from_bytes(each, sys.byteorder) for each in told)

    def wait(self, timeout: float) -> bool:
        """Wait until something can be received, at most `timeout` seconds; the last burst is done with."""
        for ring in self._rings:
            ring.release()
        return bool(self._poll.poll(max(timeout, 0.0) * 1000))

    def receive(self, now: float) -> Burst | None:
        """Take what has arrived on the next socket that has something; None when none has.

        The arrays of the burst are those of the next one too: decode before receiving again.
        """
        self.is_broken_off = False
        for _ in self._sockets:
            which = self._turn
            self._turn = (which + 1) % len(self._sockets)
            first = which in self._older
            if first and (taken := self._from_socket(which)):
                return self._taken(self._burst, taken, now)
            self._older.discard(which)
            if self._rings and (taken := self._from_ring(self._rings[which])):
                self.is_broken_off = self._rings[which].is_broken_off
                return self._taken(self._of_ring, taken, now)
            if not first and (taken := self._from_socket(which)):
                return self._taken(self._burst, taken, now)
        return None

    def _from_socket(self, which: int) -> int:
        return self._recv_into(which) if self._messages is None else self._recvmmsg(which, self._messages)

    def _from_ring(self, ring: Ring) -> int:
        if taken := ring.take(self._of_ring, MOST_OCTETS):
            octets, truncated = ring.told
            self.octets += octets
            self.truncated += truncated
            # The shorter they are, the more of them.
            self._most = min(len(self._of_ring.length), MOST_OCTETS * taken // max(octets, 1))
        return taken

    def _taken(self, burst: Burst, count: int, now: float) -> Burst:
        burst.count, burst.time = count, now
        self.datagrams += count
        return burst

    def pause(self, now: float) -> float:
        """Say how long to let datagrams gather, as they have come since this was asked before.

        Until half a burst is there, no more than a part of the buffer holds, and at most `gather` seconds.
        """
        since, before = self._paused
        self._paused = now, self.datagrams
        taken, seconds = self.datagrams - before, now - since
        if taken <= 0 or seconds <= 0:
            return 0.0
        return min(self.settings.gather, self.enough * seconds / taken)

    @property
    def enough(self) -> int:
        """So many datagrams are worth a burst; they are no more than a part of the buffer."""
        return min(self._most // 2, self._room)

    @cached_property
    def _room(self) -> int:
        return self.buffer // BUFFER_SHARE // (self._rings[0].stride if self._rings else TRUESIZE)

    def close(self) -> None:
        """Close the sockets; what the kernel still holds is gone."""
        for sock in self._sockets:
            sock.close()
        for ring in self._rings:
            ring.close()

    def _recvmmsg(self, which: int, messages: _Messages) -> int:
        taken = messages.receive(self._sockets[which].fileno())
        if taken < 0:
            self.errors += 1
            return 0
        if messages.is_compiled:
            octets, truncated, drops = messages.read(taken)
            self.octets += octets
            self.truncated += truncated
            if drops >= 0:
                self._drops_now(which, drops)
            return taken
        headers = messages.headers[:taken]
        self._burst.length[:taken] = headers["length"]
        self.octets += int(self._burst.length[:taken].sum())
        self.truncated += int(np.count_nonzero(headers["flags"] & socket.MSG_TRUNC))
        self._read_addresses(messages.names[:taken])
        self._count_drops(which, messages, taken)
        return taken

    def _read_addresses(self, names: U8) -> None:
        n = len(names)
        self._burst.port[:n] = names[:, 2:4].view(">u2")[:, 0]
        family = names[:, 0:2].view(np.uint16)[:, 0]
        four = family == socket.AF_INET
        if four.all():
            self._burst.address_hi[:n] = 0
            self._burst.address_lo[:n] = map_v4(names[:, 4:8].view(">u4")[:, 0])
            return
        self._burst.address_hi[:n] = np.where(four, np.uint64(0), field64(names, 8))
        mapped: U64 = map_v4(names[:, 4:8].view(">u4")[:, 0])
        self._burst.address_lo[:n] = np.where(four, mapped, field64(names, 16))

    def _count_drops(self, which: int, messages: _Messages, taken: int) -> None:
        told = messages.headers["controllen"][:taken] >= CMSG.itemsize - 4
        if told.any():
            # The counter only grows: the last one told is the newest.
            self._drops_now(which, int(messages.controls["drops"][np.nonzero(told)[0][-1]]))

    def _drops_now(self, which: int, total: int) -> None:
        if not self._rings:  # or the kernel counts what it put into the ring
            self._dropped += (total - self._drops[which]) % (1 << 32)
        self._drops[which] = total

    def _recv_into(self, which: int) -> int:
        sock, burst = self._sockets[which], self._burst
        for i in range(len(burst.length)):
            try:
                length, control, flags, address = sock.recvmsg_into(
                    [memoryview(burst.data[i])], socket.CMSG_SPACE(4), socket.MSG_DONTWAIT
                )
            except BlockingIOError:
                return i
            except OSError:
                self.errors += 1
                return i
            burst.length[i], burst.port[i] = length, address[1]
            self.octets += length
            burst.address_hi[i], burst.address_lo[i] = _number(address[0])
            self.truncated += bool(flags & socket.MSG_TRUNC)
            for _, kind, value in control:
                if kind == SO_RXQ_OVFL:
                    self._drops_now(which, struct.unpack("=I", value)[0])
        return len(burst.length)


def _burst(slab: U8) -> Burst:
    n = len(slab)
    addresses = np.zeros(n, np.uint64), np.zeros(n, np.uint64)
    return Burst(slab, np.zeros(n, np.int32), *addresses, np.zeros(n, np.uint16), count=0, time=0.0)


class _Messages:
    """The kernel's view of a slab: one message header, address and control message per slot."""

    __slots__ = ("_call", "_library", "_told", "_vectors", "_where", "controls", "headers", "names")

    def __init__(self, burst: Burst, call: Any) -> None:
        slab = burst.data
        n, slot = slab.shape
        rows = np.arange(n, dtype=np.uint64)
        self._call = call
        self.names = np.zeros((n, NAME_ROOM), np.uint8)
        self.controls = np.zeros(n, CMSG)
        self.headers = np.zeros(n, MMSGHDR)
        self._vectors = np.zeros(n, IOVEC)
        self._vectors["base"] = slab.ctypes.data + rows * np.uint64(slot)
        self._vectors["length"] = slot
        self.headers["iov"] = self._vectors.ctypes.data + rows * np.uint64(IOVEC.itemsize)
        self.headers["iovlen"] = 1
        self.headers["name"] = self.names.ctypes.data + rows * np.uint64(NAME_ROOM)
        self.headers["control"] = self.controls.ctypes.data + rows * np.uint64(CMSG.itemsize)
        self._library, self._told = native.LIBRARY, np.zeros(3, np.int64)
        written = self.headers, self.names, self.controls
        columns = burst.length, burst.address_hi, burst.address_lo, burst.port, self._told
        self._where = [[int(column.ctypes.data) for column in several] for several in (written, columns)]
        self._make_ready()

    @property
    def is_compiled(self) -> bool:
        """Whether the compiled core reads what the kernel wrote."""
        return self._library is not None

    def read(self, taken: int) -> tuple[int, int, int]:
        """Fill the burst by the compiled core; tell octets, how many are too long, and drops, -1 untold."""
        if self._library is not None:
            written, columns = self._where
            self._library.sk_received(*written, taken, *columns)
        octets, truncated, drops = self._told.tolist()
        return octets, truncated, drops

    def _make_ready(self) -> None:
        self.headers["namelen"] = NAME_ROOM
        self.headers["controllen"] = CONTROL_ROOM

    def receive(self, descriptor: int) -> int:
        """Receive what is there: how many datagrams, 0 for none yet, -1 for a refusal."""
        if not self.is_compiled:
            # The kernel writes back what it used of each room. The core makes ready what it has read.
            self._make_ready()
        taken: int = self._call(
            descriptor, self.headers.ctypes.data, len(self.headers), socket.MSG_DONTWAIT, None
        )
        if taken < 0:
            return 0 if ctypes.get_errno() in _NOTHING_YET else -1
        return taken


_NOTHING_YET: Final = (11, 4)  # EAGAIN, EINTR on Linux


def has_recvmmsg() -> bool:
    """Whether this system has the call, in the layout we know."""
    known = sys.platform == "linux" and ctypes.sizeof(ctypes.c_void_p) == 8
    return known and hasattr(ctypes.CDLL(None), "recvmmsg")


def _wants_recvmmsg(method: str) -> bool:
    return method == "recvmmsg" or (method in ("auto", "ring") and has_recvmmsg())


def _messages(burst: Burst) -> _Messages:
    call = ctypes.CDLL(None, use_errno=True).recvmmsg
    call.argtypes = (ctypes.c_int, ctypes.c_void_p, ctypes.c_uint, ctypes.c_int, ctypes.c_void_p)
    call.restype = ctypes.c_int
    return _Messages(burst, call)


def _number(text: str) -> tuple[int, int]:
    """Address as text to (hi, lo)."""
    if ":" not in text:
        return 0, 0xFFFF_0000_0000 | int.from_bytes(socket.inet_pton(socket.AF_INET, text))
    whole = int.from_bytes(socket.inet_pton(socket.AF_INET6, text.split("%", maxsplit=1)[0]))
    return whole >> 64, whole & 0xFFFF_FFFF_FFFF_FFFF


def open_rings(settings: ReceiveSettings, sockets: Sequence[socket.socket]) -> list[Ring]:
    """Have what comes to sockets put into a ring each, where the method says so and the kernel allows it.

    Nothing is given where it does not, and the sockets have their own: also one that somebody before us left
    with a ring, which nobody would read. Raises Unavailable then where nothing but rings is wanted.
    """
    if settings.method not in ("ring", "auto"):
        _detach(sockets)
        return []
    opened: list[Ring] = []
    try:
        for sock in sockets:
            opened.append(Ring(settings.slot, 2 * settings.buffer))
            opened[-1].attach(sock)
    except Unavailable as error:
        _detach(sockets)
        for ring in opened:
            ring.close()
        if settings.method == "ring":
            raise
        log.info("Datagrams are received by system calls. %s", error.fixer)
        return []
    return opened


def _detach(sockets: Sequence[socket.socket]) -> None:
    if sys.platform == "linux":
        for sock in sockets:
            detach(sock)


def open_shared(settings: ReceiveSettings) -> list[list[socket.socket]]:
    """Open every port once for each of `settings.workers`, in the order in which the kernel numbers them.

    Raises Unavailable where a port cannot be had.
    """
    opened: list[list[socket.socket]] = []
    try:
        for _ in range(settings.workers):
            opened.append(_open_all(settings))
            # A port that the kernel chose is the same one for all.
            settings = replace(settings, ports=tuple(sock.getsockname()[1] for sock in opened[0]))
    except Unavailable:
        for sock in (sock for several in opened for sock in several):
            sock.close()
        raise
    return opened


def _open_all(settings: ReceiveSettings) -> list[socket.socket]:
    opened: list[socket.socket] = []
    try:
        for port in settings.ports:
            opened.append(_open(settings, port))  # noqa: PERF401 - those opened are closed when one fails
    except (OSError, Unavailable) as error:
        for sock in opened:
            sock.close()
        if isinstance(error, Unavailable):
            raise
        where = f"{settings.host}, ports {', '.join(map(str, settings.ports))}"
        raise Unavailable(
            "The collector cannot listen for flows.",
            f"Cannot bind UDP on {where}: {os.strerror(error.errno or 0)}.",
        ) from error
    return opened


def _open(settings: ReceiveSettings, port: int) -> socket.socket:
    family, kind, protocol, _, address = socket.getaddrinfo(
        settings.host, port, type=socket.SOCK_DGRAM, flags=socket.AI_PASSIVE
    )[0]
    sock = socket.socket(family, kind, protocol)
    try:
        _prepare(sock, settings)
        sock.bind(address)
        if settings.reuse_port and settings.workers > 1 and sys.platform == "linux":
            _spread_by_source(sock, settings.workers)
    except (OSError, Unavailable):
        sock.close()
        raise
    return sock


def _spread_by_source(sock: socket.socket, workers: int) -> None:
    """Have the kernel choose among the sockets of a port by source address (classic BPF, socket(7))."""
    steps = (
        (0x30, 0, 0, NETWORK_HEADER),  # version of IP
        (0x54, 0, 0, 0xF0),
        (0x15, 2, 0, 0x60),
        (0x20, 0, 0, NETWORK_HEADER + 12),  # IPv4: the source
        (0x05, 0, 0, 1),
        (0x20, 0, 0, NETWORK_HEADER + 20),  # IPv6: its last 32 bits
        (0x24, 0, 0, 0x9E37_79B1),  # spread what differs in few bits
        (0x74, 0, 0, 16),
        (0x94, 0, 0, workers),
        (0x16, 0, 0, 0),  # the socket's number, in order of binding
    )
    program = b"".join(struct.pack("=HBBI", *step) for step in steps)
    room = ctypes.create_string_buffer(program)
    sock.setsockopt(
        socket.SOL_SOCKET,
        SO_ATTACH_REUSEPORT_CBPF,
        struct.pack("@HP", len(steps), ctypes.addressof(room)),
    )


def _prepare(sock: socket.socket, settings: ReceiveSettings) -> None:
    sock.setblocking(False)
    if sock.family == socket.AF_INET6:
        sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
    if settings.reuse_port:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
    if settings.busy_poll:
        _poll_busily(sock, settings.busy_poll)
    try:
        sock.setsockopt(socket.SOL_SOCKET, SO_RCVBUFFORCE, settings.buffer)
    except OSError:  # not privileged: the kernel grants at most net.core.rmem_max
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, settings.buffer)
    if sys.platform == "linux":
        sock.setsockopt(socket.SOL_SOCKET, SO_RXQ_OVFL, 1)


def _poll_busily(sock: socket.socket, microseconds: int) -> None:
    try:
        sock.setsockopt(socket.SOL_SOCKET, SO_BUSY_POLL, microseconds)
    except (OSError, OverflowError) as error:
        raise Unavailable(
            "The collector cannot listen for flows.",
            f"receive.busy_poll = {microseconds}: {error}. More than net.core.busy_read needs CAP_NET_ADMIN; "
            "0 does without.",
        ) from error
