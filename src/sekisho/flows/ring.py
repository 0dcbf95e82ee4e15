"""Datagrams in memory that the kernel shares with us: no system call and no copy for each.

A program of a few steps stands at each socket (SO_ATTACH_BPF, socket(7)). The kernel runs it where it
would put a datagram into the socket's queue, so behind the firewall, reassembly and checksum; it puts
address and payload into a ring (Linux Documentation/bpf/ringbuf.rst), and the socket gets none of it.
The kernel counts each as one that the socket did not take, `InErrors` of `netstat -su`, whatever we do.
"""

from __future__ import annotations

import errno
import mmap
import os
import socket
import struct
import sys
from contextlib import suppress
from types import MappingProxyType
from typing import TYPE_CHECKING, Final, NamedTuple

import numpy as np

from sekisho import native
from sekisho.flows import bpf
from sekisho.model.errors import Unavailable

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    from sekisho.tables import U64, Burst

SO_DETACH_BPF, SO_ATTACH_BPF = 27, 50  # <asm-generic/socket.h>
# struct __sk_buff of <linux/bpf.h>: what a program is told of a datagram.
_LENGTH, _PROTOCOL = 0, 16
_ETHERTYPE_IPV6: Final = 0x86DD
_FROM_NETWORK_HEADER: Final = 1  # BPF_HDR_START_NET
_SOURCE_V4, _SOURCE_V6 = (12, 4), (8, 16)  # where in the header, and octets
_UDP_HEADER: Final = 8
# What lies in front of a payload: native/ring.c has the same. The kernel's own comes first.
_KERNEL: Final = 8
RECORD: Final = np.dtype(
    [("length", "=u4"), ("port", ">u2"), ("version", "u1"), ("cut", "u1"), ("address", "u1", 16)]
)
_PAYLOAD: Final = _KERNEL + RECORD.itemsize
# The structure `ring` of native/ring.c: its places, in order.
PLACES: Final = (
    *("consumed", "produced", "records", "octets", "stride", "most", "most_octets"),
    *("length", "address_hi", "address_lo", "port", "first", "total", "cut"),
)
_FEWEST, _MOST_OCTETS = 4, 1 << 30  # records of a ring, and octets
# Words of the page that the kernel reads our position from: behind it whoever takes over finds these.
_SLOT, _OCTETS = 16, 17
_HINTS: Final[Mapping[int, str]] = MappingProxyType(
    {
        errno.EPERM: "It needs CAP_BPF, bpf(2) let through by filters, and before Linux 5.11 LimitMEMLOCK",
        errno.EINVAL: "It needs Linux 5.8",
        errno.ENOSYS: "It needs Linux 5.8",
        errno.ENOMEM: "It needs that much memory: receive.buffer says how much",
    }
)


class Descriptors(NamedTuple):
    """What a ring is known by to the kernel, and to a process that takes it over."""

    ring: int
    dropped: int


def _refused(error: OSError) -> Unavailable:
    hint = _HINTS.get(error.errno or 0)
    return Unavailable(
        "The collector cannot share a ring with the kernel.",
        f'receive.method = "ring": {error.strerror or error}. '
        + (f"{hint}; " if hint else "")
        + '"auto" does without where there is none.',
    )


def _stride(slot: int) -> int:
    return _KERNEL + -(-(RECORD.itemsize + slot) // 8) * 8


class Ring:
    """A ring of `buffer` octets at least, for datagrams of at most `slot`; longer ones are cut.

    With `taken` it is one that another process made, and is as long as that one wanted it: what is in there
    is heard next, but for a burst that somebody had in hand. Raises Unavailable where the kernel gives none.
    """

    def __init__(self, slot: int, buffer: int = 0, taken: Descriptors | None = None) -> None:
        library = native.LIBRARY
        if library is None or sys.platform != "linux":
            raise _refused(OSError(errno.ENOSYS, "no compiled core, or no Linux"))
        self._library = library
        self.is_open = False
        try:
            octets = _whole(max(buffer, _FEWEST * _stride(slot)))
            self.descriptors = taken or _create(octets)
            self.is_open = True
            self._consumed: U64 = np.frombuffer(mmap.mmap(self.descriptors.ring, mmap.PAGESIZE), np.uint64)
            if not taken:
                self._consumed[_SLOT], self._consumed[_OCTETS] = slot, octets
            self.slot, self.octets = int(self._consumed[_SLOT]), int(self._consumed[_OCTETS])
            self.stride = _stride(self.slot)
            self._map()
        except OSError as error:
            self.close()
            raise _refused(error) from error
        self._places = native.Places(*PLACES)
        self._burst: Burst | None = None
        self.is_broken_off = False  # the last burst, by the end of the ring: it goes on at its beginning
        self._places.point(consumed=self._consumed, produced=self._produced, records=self._records)
        self._places.put(octets=self.octets, stride=self.stride)

    def _map(self) -> None:
        page = mmap.PAGESIZE
        ring, dropped = self.descriptors
        # Behind the page that we write to is one with the kernel's position, and then the records; behind
        # those they begin again, so that the last one has no break.
        behind = -(-(self.stride + _PAYLOAD) // page) * page
        theirs = mmap.mmap(ring, page + self.octets + behind, prot=mmap.PROT_READ, offset=page)
        self._produced: U64 = np.frombuffer(theirs, np.uint64, 1)
        self._records: NDArray[np.uint8] = np.frombuffer(theirs, np.uint8, offset=page)
        self._dropped: U64 = np.frombuffer(mmap.mmap(dropped, page, prot=mmap.PROT_READ), np.uint64, 1)

    def attach(self, sock: socket.socket) -> None:
        """Have what comes to a socket put into the ring. Raises Unavailable where the kernel refuses."""
        try:
            program = bpf.load(self._program())
            try:
                sock.setsockopt(socket.SOL_SOCKET, SO_ATTACH_BPF, struct.pack("=i", program))
            finally:
                os.close(program)
        except OSError as error:
            raise _refused(error) from error

    def _program(self) -> bpf.Program:
        p = bpf.Program()
        length, port, version, cut, address = (_at(name) for name in RECORD.names or ())
        p.copy(bpf.R6, bpf.R1)
        p.load(bpf.WORD, bpf.R7, bpf.R6, _LENGTH)
        p.map(bpf.R1, self.descriptors.ring)
        p.set(bpf.R2, self.stride - _KERNEL)
        p.set(bpf.R3, 0)
        p.call(bpf.Call.RINGBUF_RESERVE)
        p.jump_if_equal(bpf.R0, 0, "full")
        p.copy(bpf.R8, bpf.R0)
        p.set(bpf.R4, 2)
        _copy(p, bpf.Call.SKB_LOAD_BYTES, 0, port)  # UDP's header begins with the source's
        p.load(bpf.WORD, bpf.R1, bpf.R6, _PROTOCOL)
        p.jump_if_equal(bpf.R1, socket.htons(_ETHERTYPE_IPV6), "ipv6")
        p.put(bpf.BYTE, bpf.R8, version, 4)
        _copy_from_network_header(p, *_SOURCE_V4, address)
        p.jump("payload")
        p.label("ipv6")
        p.put(bpf.BYTE, bpf.R8, version, 6)
        _copy_from_network_header(p, *_SOURCE_V6, address)
        p.label("payload")
        p.put(bpf.BYTE, bpf.R8, cut, 0)
        p.put(bpf.WORD, bpf.R8, length, 0)
        p.jump_if_at_most(bpf.R7, _UDP_HEADER, "there")  # nothing in it
        p.copy(bpf.R9, bpf.R7)
        p.add(bpf.R9, -_UDP_HEADER)
        p.jump_if_at_most(bpf.R9, self.slot, "fits")
        p.put(bpf.BYTE, bpf.R8, cut, 1)
        p.set(bpf.R9, self.slot)
        p.label("fits")
        p.store(bpf.WORD, bpf.R8, length, bpf.R9)
        p.copy(bpf.R4, bpf.R9)
        _copy(p, bpf.Call.SKB_LOAD_BYTES, _UDP_HEADER, RECORD.itemsize)
        p.label("there")
        p.copy(bpf.R1, bpf.R8)
        p.set(bpf.R2, 0)  # whoever sleeps is woken
        p.call(bpf.Call.RINGBUF_SUBMIT)
        p.jump("done")
        p.label("full")
        p.value(bpf.R1, self.descriptors.dropped)
        p.set(bpf.R2, 1)
        p.count(bpf.R1, bpf.R2)
        p.label("done")
        p.set(bpf.R0, 0)  # nothing of it for the socket
        p.end()
        return p

    def take(self, burst: Burst, most_octets: int) -> int:
        """Have what came put into a burst, at most as many as it has rows; the number of datagrams.

        They stand in the ring until this is called again, or `release`.
        """
        if burst is not self._burst:
            self._burst = burst
            columns = {name: getattr(burst, name) for name in ("length", "address_hi", "address_lo", "port")}
            self._places.point(**columns)
            self._places.put(most=len(burst.length), most_octets=most_octets)
        taken = int(self._library.sk_ring_take(self._places.address))
        self.is_broken_off = False
        if taken:
            first = self._places.told("first")
            self.is_broken_off = first - _PAYLOAD + taken * self.stride >= self.octets
            burst.data = self._records[first:][: taken * self.stride].reshape(taken, self.stride)
        return taken

    def release(self) -> None:
        """Give what was taken last back to the kernel."""
        self._library.sk_ring_release(self._places.address)

    @property
    def told(self) -> tuple[int, int]:
        """Octets of the payloads that were taken last, and how many datagrams were cut."""
        return self._places.told("total"), self._places.told("cut")

    @property
    def dropped(self) -> int:
        """Datagrams that found no room in it, since it was made."""
        return int(self._dropped[0])

    @property
    def waiting(self) -> int:
        """Octets that are in use, what was taken last among them."""
        return int(self._produced[0]) - int(self._consumed[0])

    def fileno(self) -> int:
        """Name what can be waited for: it is readable while something is in there."""
        return self.descriptors.ring

    def close(self) -> None:
        """Let go of it; the memory goes when the last socket does."""
        if self.is_open:
            self.is_open = False
            for descriptor in self.descriptors:
                os.close(descriptor)


def detach(sock: socket.socket) -> None:
    """Let a socket have its own again, whoever put it into a ring before."""
    with suppress(OSError):  # nothing is attached to it
        sock.setsockopt(socket.SOL_SOCKET, SO_DETACH_BPF, 0)


def _whole(octets: int) -> int:
    return min(1 << (max(octets, mmap.PAGESIZE) - 1).bit_length(), _MOST_OCTETS)


def _create(octets: int) -> Descriptors:
    ring = bpf.create(bpf.Map.RINGBUF, entries=octets)
    try:
        dropped = bpf.create(bpf.Map.ARRAY, key=4, value=8, entries=1, flags=bpf.MMAPABLE)
    except OSError:
        os.close(ring)
        raise
    return Descriptors(ring, dropped)


def _at(name: str) -> int:
    return int(RECORD.fields[name][1]) if RECORD.fields else 0


def _copy(p: bpf.Program, call: bpf.Call, offset: int, to: int) -> None:
    """Copy octets of a datagram, as many as R4 says, from an offset to a place in its record."""
    p.copy(bpf.R1, bpf.R6)
    p.set(bpf.R2, offset)
    p.copy(bpf.R3, bpf.R8)
    p.add(bpf.R3, to)
    p.call(call)


def _copy_from_network_header(p: bpf.Program, offset: int, octets: int, to: int) -> None:
    p.set(bpf.R4, octets)
    p.set(bpf.R5, _FROM_NETWORK_HEADER)
    _copy(p, bpf.Call.SKB_LOAD_BYTES_RELATIVE, offset, to)
