"""The ring that the kernel puts datagrams into: all that a socket would have given, and nothing lost."""

from __future__ import annotations

import errno
import gc
import mmap
import os
import socket
import struct
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest

from sekisho import native
from sekisho.flows import bpf
from sekisho.flows.receive import Receiver, ReceiveSettings, open_rings, open_shared
from sekisho.flows.ring import PLACES, Descriptors, Ring
from sekisho.model.errors import Unavailable
from support_datagrams import payloads
from support_ring import has_ring

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    Listen = Callable[..., Receiver]

UDP_SEGMENT = 103  # <linux/udp.h>

# What a burst is told of each datagram.
COLUMNS = {"length": np.int32, "address_hi": np.uint64, "address_lo": np.uint64, "port": np.uint16}

needs_ring = pytest.mark.skipif(not has_ring(), reason="the kernel shares no ring with whoever runs this")


@pytest.fixture(scope="module", autouse=True)
def ways() -> None:
    """Without the core there is none: one test says so."""


@pytest.fixture
def listen() -> Iterator[Listen]:
    opened: list[Receiver] = []

    def listening(**settings: object) -> Receiver:
        given = {"ports": (0,), "burst": 64, "buffer": 1 << 18, "method": "ring", **settings}
        opened.append(Receiver(ReceiveSettings(**given)))  # type: ignore[arg-type] # by name
        return opened[-1]

    yield listening
    for receiver in opened:
        receiver.close()


def all_of(receiver: Receiver) -> list[bytes]:
    heard: list[bytes] = []
    while burst := receiver.receive(1.0):
        heard += payloads(burst)
    return heard


@needs_ring
def test_rounds_of_the_ring_lose_nothing_and_mix_nothing_up(listen: Listen, sender: socket.socket) -> None:
    receiver = listen(slot=1500, buffer=1 << 15)  # room for some 40
    sent = [bytes([i % 251]) * (i * 37 % 1500 + 1) for i in range(1000)]
    heard = []
    for begin in range(0, len(sent), 25):
        for payload in sent[begin : begin + 25]:
            sender.sendto(payload, receiver.addresses[0])
        heard += all_of(receiver)
    assert heard == sent
    assert receiver.dropped == 0


@needs_ring
def test_a_full_ring_drops_and_counts_and_takes_again(listen: Listen, sender: socket.socket) -> None:
    receiver = listen(slot=1000, buffer=1 << 14)
    for i in range(100):
        sender.sendto(struct.pack(">I", i), receiver.addresses[0])
    heard = all_of(receiver)
    assert heard == [
        struct.pack(">I", i) for i in range(len(heard))
    ]  # the first ones: what came later found none
    assert 0 < len(heard) < 100
    assert receiver.dropped == 100 - len(heard)
    sender.sendto(b"again", receiver.addresses[0])
    assert all_of(receiver) == [b"again"]
    assert receiver.dropped == 100 - len(heard)


@needs_ring
def test_what_is_in_hand_is_not_written_over(listen: Listen, sender: socket.socket) -> None:
    receiver = listen(slot=1000, buffer=1 << 14)
    for _ in range(10):
        sender.sendto(b"first", receiver.addresses[0])
    burst = receiver.receive(1.0)
    for _ in range(100):
        sender.sendto(b"later", receiver.addresses[0])
    assert payloads(burst) == [b"first"] * 10
    assert receiver.wait(0.0)
    assert set(all_of(receiver)) == {b"later"}


@needs_ring
def test_nobody_waits_for_what_was_taken(listen: Listen, sender: socket.socket) -> None:
    receiver = listen()
    sender.sendto(b"one", receiver.addresses[0])
    assert receiver.wait(5.0)
    assert payloads(receiver.receive(1.0)) == [b"one"]
    assert not receiver.wait(0.0)
    assert receiver.waiting == 0


@needs_ring
@pytest.mark.parametrize("slot", [1, 7, 8, 511, 9000, 65_000])
def test_slots_of_any_length(listen: Listen, sender: socket.socket, slot: int) -> None:
    receiver = listen(slot=slot)
    longest = bytes(i % 255 + 1 for i in range(slot))
    sender.sendto(longest, receiver.addresses[0])
    sender.sendto(longest + b"x", receiver.addresses[0])
    assert all_of(receiver) == [longest, longest]
    assert (receiver.truncated, receiver.octets) == (1, 2 * slot)


@needs_ring
def test_many_datagrams_in_one_packet_are_many(listen: Listen, sender: socket.socket) -> None:
    # As network cards and drivers hand them over (generic receive offload), or senders make them.
    receiver = listen()
    sender.setsockopt(socket.SOL_UDP, UDP_SEGMENT, 100)
    sender.sendto(b"a" * 100 + b"b" * 100 + b"c" * 30, receiver.addresses[0])
    assert all_of(receiver) == [b"a" * 100, b"b" * 100, b"c" * 30]


@needs_ring
def test_a_port_that_gets_too_much_takes_nothing_from_another(listen: Listen, sender: socket.socket) -> None:
    receiver = listen(ports=(0, 0), slot=1000, buffer=1 << 14)
    for _ in range(100):
        sender.sendto(b"too much", receiver.addresses[0])
    for _ in range(5):
        sender.sendto(b"little", receiver.addresses[1])
    heard = all_of(receiver)
    assert heard.count(b"little") == 5
    assert receiver.dropped == 105 - len(heard) > 0


@needs_ring
def test_bursts_end_with_octets_where_datagrams_are_long(
    listen: Listen, sender: socket.socket, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sekisho.flows.receive.MOST_OCTETS", 10_000)
    receiver = listen()
    for _ in range(30):
        sender.sendto(bytes(1000), receiver.addresses[0])
    sizes = []
    while burst := receiver.receive(1.0):
        sizes.append(burst.count)
    assert sizes == [10, 10, 10]
    assert receiver.enough == 5
    for _ in range(300):
        sender.sendto(b"short", receiver.addresses[0])
    receiver.receive(1.0)
    assert receiver.enough > 5


@needs_ring
def test_what_came_to_a_socket_before_is_heard_first(sender: socket.socket) -> None:
    settings = ReceiveSettings(ports=(0,), buffer=1 << 16, reuse_port=True, method="ring")
    [sockets] = open_shared(settings)
    sender.sendto(b"before", sockets[0].getsockname())
    receiver = Receiver(settings, sockets)
    sender.sendto(b"after", sockets[0].getsockname())
    try:
        assert all_of(receiver) == [b"before", b"after"]
        assert receiver.dropped == 0
    finally:
        receiver.close()


@needs_ring
def test_who_takes_over_goes_on_behind_what_was_in_hand(sender: socket.socket) -> None:
    settings = ReceiveSettings(ports=(0,), burst=1, buffer=1 << 16, reuse_port=True, method="ring")
    [sockets] = open_shared(settings)
    [ring] = open_rings(settings, sockets)
    port = sockets[0].getsockname()
    many = ring.octets // ring.stride + 3
    for i in range(many):
        sender.sendto(struct.pack(">I", i), port)
    copies = [Descriptors(*map(os.dup, ring.descriptors)) for _ in range(2)]
    # One of another mind about their length: what is in there stays as it was made.
    first, second = (Receiver(settings, sockets, [Ring(100, taken=copy)]) for copy in copies)
    try:
        in_hand = payloads(first.receive(1.0))[0]
        rest = all_of(second)
        whole = many - ring.dropped
        assert in_hand == struct.pack(">I", 0)
        assert rest[0] > in_hand
        assert len(rest) < whole
        assert rest[-1] == struct.pack(">I", whole - 1)
        # Also what was dropped before it came, while nobody was there: as sockets tell it.
        assert second.dropped == ring.dropped > 0
    finally:
        first.close()
        second.close()
        ring.close()


def descriptors() -> int:
    return sum(1 for _ in Path("/proc/self/fd").iterdir())


class Refusing:
    """Memory as it is, but for one of the times it is mapped."""

    PAGESIZE, PROT_READ = mmap.PAGESIZE, mmap.PROT_READ

    def __init__(self, which: int) -> None:
        self._which, self._times = which, 0

    def mmap(self, *args: int, **named: int) -> mmap.mmap:
        self._times += 1
        if self._times == self._which:
            raise OSError(errno.ENOMEM, os.strerror(errno.ENOMEM))
        return mmap.mmap(*args, **named)


@needs_ring
@pytest.mark.parametrize("which", [1, 2, 3])
def test_a_ring_that_cannot_be_mapped_is_given_back(
    listen: Listen, monkeypatch: pytest.MonkeyPatch, which: int
) -> None:
    gc.collect()
    before, said = descriptors(), ""
    monkeypatch.setattr("sekisho.flows.ring.mmap", Refusing(which))
    try:
        listen()
    except Unavailable as error:
        said = error.fixer
    assert "memory" in said
    gc.collect()
    assert descriptors() == before


@needs_ring
@pytest.mark.parametrize("method", ["recvmmsg", "auto"])
def test_a_socket_left_with_a_ring_that_nobody_reads_has_its_own_again(
    sender: socket.socket, monkeypatch: pytest.MonkeyPatch, method: str
) -> None:
    settings = ReceiveSettings(ports=(0,), buffer=1 << 16, reuse_port=True, method=method)
    [sockets] = open_shared(settings)
    Receiver(replace(settings, method="ring"), [sock.dup() for sock in sockets]).close()
    monkeypatch.setattr(bpf, "create", refuse(errno.ENOMEM))
    receiver = Receiver(settings, sockets)
    try:
        sender.sendto(b"heard", receiver.addresses[0])
        assert all_of(receiver) == [b"heard"]
    finally:
        receiver.close()


def refuse(number: int) -> Callable[..., int]:
    def refused(*_: object, **__: object) -> int:
        raise OSError(number, os.strerror(number))

    return refused


@pytest.mark.parametrize("what", ["create", "load"])
def test_where_the_kernel_allows_none_a_system_call_does(
    listen: Listen, sender: socket.socket, what: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    if what == "load" and not has_ring():
        pytest.skip("no ring to refuse a program for")
    before, said = descriptors(), ""
    monkeypatch.setattr(bpf, what, refuse(errno.EPERM))
    try:
        listen()
    except Unavailable as error:
        said = error.fixer
    assert "CAP_BPF" in said
    assert descriptors() == before
    receiver = listen(method="auto")
    assert not receiver.has_rings
    sender.sendto(b"heard", receiver.addresses[0])
    assert receiver.wait(5.0)
    assert payloads(receiver.receive(1.0)) == [b"heard"]


def test_without_the_core_there_is_none(listen: Listen, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(native, "LIBRARY", None)
    with pytest.raises(Unavailable, match="ring") as caught:
        listen()
    assert "compiled core" in caught.value.fixer
    assert not listen(method="auto").has_rings


@needs_ring
def test_a_socket_that_refuses_leaves_the_others_as_they_were(sender: socket.socket) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as whole:
        whole.bind(("127.0.0.1", 0))
        whole.settimeout(5.0)
        closed = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        closed.close()
        assert open_rings(ReceiveSettings(buffer=1 << 14), [whole, closed]) == []
        sender.sendto(b"mine", whole.getsockname())
        assert whole.recv(100) == b"mine"


class Memory:
    """What the kernel shares, without the kernel: a ring of 4 KiB in records of 104 octets, as in use."""

    OCTETS, STRIDE = 4096, 104

    def __init__(self, at: int) -> None:
        self.consumed, self.produced = np.zeros(512, np.uint64), np.zeros(1, np.uint64)
        self.records = np.zeros(2 * self.OCTETS, np.uint8)
        self.consumed[0] = self.produced[0] = at
        self.columns = {name: np.zeros(64, kind) for name, kind in COLUMNS.items()}
        self.places = native.Places(*PLACES)
        self.places.point(
            consumed=self.consumed, produced=self.produced, records=self.records, **self.columns
        )
        self.places.put(octets=self.OCTETS, stride=self.STRIDE, most=64, most_octets=1 << 20)

    def write(self, port: int, *, is_done: bool = True) -> None:
        """Have a datagram come, or begin to."""
        at = int(self.produced[0]) % self.OCTETS
        state = self.STRIDE - 8 | (0 if is_done else 1 << 31)
        record = struct.pack("=II", state, 0) + struct.pack("=I", 4) + struct.pack(">HBB", port, 4, 0)
        for i, octet in enumerate(record):  # the memory behind the end is that at the beginning
            self.records[(at + i) % self.OCTETS] = self.records[(at + i) % self.OCTETS + self.OCTETS] = octet
        self.produced[0] += np.uint64(self.STRIDE)

    def take(self) -> list[int]:
        """Take up what has come: the ports that it came from."""
        assert native.LIBRARY is not None
        taken = int(native.LIBRARY.sk_ring_take(self.places.address))
        return [int(port) for port in self.columns["port"][:taken]]


needs_core = pytest.mark.skipif(native.LIBRARY is None, reason="the compiled core is not there")


@needs_core
def test_a_burst_ends_before_what_is_being_written() -> None:
    ring = Memory(0)
    ring.write(1)
    ring.write(2, is_done=False)
    ring.write(3)
    assert ring.take() == [1]
    assert ring.take() == []
    assert int(ring.consumed[0]) == ring.STRIDE
    ring.records[ring.STRIDE + 3] = ring.records[ring.OCTETS + ring.STRIDE + 3] = 0
    assert ring.take() == [2, 3]


@needs_core
def test_a_burst_ends_where_the_ring_does_wherever_that_is() -> None:
    ports = list(range(1, 31))
    for at in (*range(0, Memory.OCTETS, 8), (1 << 40) - 8):
        ring = Memory(at)
        for port in ports:
            ring.write(port)
        to_end = -(-(ring.OCTETS - at % ring.OCTETS) // ring.STRIDE)
        assert ring.take() == ports[:to_end], at
        assert ring.take() == ports[to_end:], at
        assert ring.take() == []
        assert ring.consumed[0] == ring.produced[0]


@needs_ring
def test_what_the_kernel_has_against_a_program_is_told() -> None:
    wrong = bpf.Program()
    wrong.copy(bpf.R0, bpf.R9)  # which nobody has set
    wrong.end()
    with pytest.raises(OSError, match=r"R9 !read_ok|processed"):
        bpf.load(wrong)
