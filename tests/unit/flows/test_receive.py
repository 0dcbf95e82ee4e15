from __future__ import annotations

import socket
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from sekisho import native
from sekisho.flows.memory import keep_freed
from sekisho.flows.receive import SO_BUSY_POLL, Receiver, ReceiveSettings, has_recvmmsg
from sekisho.model.errors import Unavailable
from support_datagrams import payloads, split
from support_ring import has_ring

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    Listen = Callable[..., Receiver]

METHODS = ["recv_into", *(["recvmmsg"] if has_recvmmsg() else []), *(["ring"] if has_ring() else [])]


@pytest.fixture(params=METHODS)
def listen(request: pytest.FixtureRequest) -> Iterator[Listen]:
    # Without the core there is no ring: then what stands in for it.
    method = "auto" if request.param == "ring" and native.LIBRARY is None else request.param
    opened: list[Receiver] = []

    def listening(**settings: object) -> Receiver:
        given: dict[str, Any] = {"ports": (0,), "burst": 64, "buffer": 1 << 20, "method": method, **settings}
        opened.append(Receiver(ReceiveSettings(**given)))
        return opened[-1]

    yield listening
    for receiver in opened:
        receiver.close()


def test_a_burst_has_what_was_sent(listen: Listen, sender: socket.socket) -> None:
    receiver = listen()
    for payload in (b"one", b"", b"three" * 100):
        sender.sendto(payload, receiver.addresses[0])
    assert receiver.wait(5.0)
    burst = receiver.receive(123.5)
    assert payloads(burst) == [b"one", b"", b"three" * 100]
    assert burst is not None
    assert burst.time == 123.5
    assert set(burst.port[:3].tolist()) == {sender.getsockname()[1]}
    assert burst.address_hi[:3].tolist() == [0] * 3
    assert burst.address_lo[:3].tolist() == [split("127.0.0.1")[1]] * 3
    assert (receiver.datagrams, receiver.octets, receiver.truncated, receiver.errors) == (3, 503, 0, 0)


def test_nothing_there_is_none_at_once(listen: Listen) -> None:
    receiver = listen()
    assert receiver.receive(1.0) is None
    assert not receiver.wait(0.0)


def test_bursts_follow_each_other(listen: Listen, sender: socket.socket) -> None:
    receiver = listen(burst=4)
    for i in range(10):
        sender.sendto(bytes([i]) * (i + 1), receiver.addresses[0])
    heard: list[bytes] = []
    sizes: list[int] = []
    while (burst := receiver.receive(1.0)) is not None:
        heard += payloads(burst)
        sizes.append(burst.count)
    assert heard == [bytes([i]) * (i + 1) for i in range(10)]
    assert sizes == ([10] if receiver.has_rings else [4, 4, 2])  # short ones, and in nobody's way


def test_longer_than_the_slot_is_cut_and_counted(listen: Listen, sender: socket.socket) -> None:
    receiver = listen(slot=64)
    sender.sendto(b"x" * 65, receiver.addresses[0])
    sender.sendto(b"y" * 64, receiver.addresses[0])
    assert payloads(receiver.receive(1.0)) == [b"x" * 64, b"y" * 64]
    assert receiver.truncated == 1


def test_several_ports_are_all_heard(listen: Listen, sender: socket.socket) -> None:
    receiver = listen(ports=(0, 0))
    assert len(set(receiver.addresses)) == 2
    sender.sendto(b"b", receiver.addresses[1])
    assert receiver.wait(5.0)
    assert payloads(receiver.receive(1.0)) == [b"b"]
    for address in receiver.addresses:
        sender.sendto(b"c", address)
    assert [payloads(receiver.receive(1.0)) for _ in range(2)] == [[b"c"], [b"c"]]
    assert receiver.receive(1.0) is None


def test_one_busy_port_does_not_silence_another(listen: Listen, sender: socket.socket) -> None:
    receiver = listen(ports=(0, 0), burst=2)
    for _ in range(6):
        sender.sendto(b"busy", receiver.addresses[0])
    sender.sendto(b"quiet", receiver.addresses[1])
    heard = [payloads(receiver.receive(1.0)) for _ in range(2)]
    assert [b"quiet"] in heard


def test_ipv6_and_ipv4_on_one_socket(listen: Listen, sender: socket.socket) -> None:
    try:
        receiver = listen(host="::")
    except Unavailable:
        pytest.skip("no IPv6 here")
    port = receiver.addresses[0][1]
    sender.sendto(b"four", ("127.0.0.1", port))
    with socket.socket(socket.AF_INET6, socket.SOCK_DGRAM) as six:
        six.sendto(b"six", ("::1", port))
    burst = receiver.receive(1.0)
    assert payloads(burst) == [b"four", b"six"]
    assert burst is not None
    told = list(zip(burst.address_hi[:2].tolist(), burst.address_lo[:2].tolist(), strict=True))
    assert told == [split("127.0.0.1"), (0, 1)]


def test_what_the_kernel_drops_is_known(listen: Listen, sender: socket.socket) -> None:
    receiver = listen(buffer=4096)
    sent = 200
    for _ in range(sent):
        sender.sendto(bytes(1000), receiver.addresses[0])
    heard = 0
    while (burst := receiver.receive(1.0)) is not None:
        heard += burst.count
    assert heard < sent
    # The kernel tells with the next datagram it takes.
    sender.sendto(b"and now?", receiver.addresses[0])
    assert payloads(receiver.receive(2.0)) == [b"and now?"]
    assert receiver.dropped == sent - heard
    sender.sendto(b"nothing since", receiver.addresses[0])
    receiver.receive(3.0)
    assert receiver.dropped == sent - heard


def test_what_waits_in_the_sockets_is_known(listen: Listen, sender: socket.socket) -> None:
    receiver = listen()
    assert receiver.waiting == 0
    for _ in range(20):
        sender.sendto(bytes(1000), receiver.addresses[0])
    assert 20 * 1000 < receiver.waiting < receiver.buffer
    while receiver.receive(1.0) is not None:
        pass
    # The kernel gives some of it back a little later, at the next look at the latest.
    assert receiver.waiting < 20 * 1000
    receiver.close()
    assert receiver.waiting == 0


def test_the_buffer_is_asked_for(listen: Listen) -> None:
    assert listen(buffer=1 << 16).buffer >= 1 << 16


def test_several_receivers_share_a_port(listen: Listen) -> None:
    first = listen(reuse_port=True)
    port = first.addresses[0][1]
    second = listen(reuse_port=True, ports=(port,))
    assert first.addresses == second.addresses


def test_all_that_an_exporter_sends_comes_to_one_of_several_workers(listen: Listen) -> None:
    first = listen(reuse_port=True, workers=2)
    second = listen(reuse_port=True, workers=2, ports=(first.addresses[0][1],))
    for number in range(1, 41):
        for _ in range(4):  # from another port each time
            with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
                sender.bind((f"127.0.0.{number}", 0))
                sender.sendto(b"flow", first.addresses[0])
    heard = []
    for receiver in (first, second):
        burst = receiver.receive(1.0)
        assert burst is not None
        heard.append(np.unique(burst.address_lo[: burst.count], return_counts=True))
    assert not set(heard[0][0]) & set(heard[1][0])
    assert all((counts == 4).all() for _, counts in heard)
    assert min(len(addresses) for addresses, _ in heard) >= 10


def test_datagrams_gather_until_half_a_burst_is_there(listen: Listen) -> None:
    receiver = listen(burst=100, gather=0.02, buffer=1 << 22)
    assert receiver.pause(1.0) == 0.0  # nothing has come: whoever sends now is heard at once
    receiver.datagrams += 10_000
    assert receiver.pause(2.0) == pytest.approx(50 / 10_000)
    receiver.datagrams += 10
    assert receiver.pause(3.0) == 0.02
    receiver.datagrams += 10
    assert receiver.pause(3.0) == 0.0  # no time, or a clock that was set back
    assert receiver.pause(2.0) == 0.0


def test_no_more_gather_than_a_part_of_the_buffer_holds(listen: Listen) -> None:
    receiver = listen(burst=2048, gather=0.02, buffer=1 << 17)
    receiver.pause(1.0)
    receiver.datagrams += 100_000
    each = receiver.settings.slot + 32 if receiver.has_rings else 4096
    assert receiver.pause(2.0) == pytest.approx(receiver.buffer // 8 // each / 100_000)
    receiver.settings = replace(receiver.settings, gather=0.0)
    receiver.datagrams += 100_000
    assert receiver.pause(3.0) == 0.0


def test_a_port_in_use_is_unavailable(listen: Listen) -> None:
    taken = listen().addresses[0][1]
    with pytest.raises(Unavailable) as raised:
        listen(ports=(0, taken))
    assert str(taken) in raised.value.fixer
    assert isinstance(raised.value.__cause__, OSError)


def test_a_call_the_kernel_refuses_is_counted(listen: Listen) -> None:
    receiver = listen()
    receiver.close()
    assert receiver.receive(1.0) is None
    assert receiver.errors == 1


def test_freed_memory_is_kept_where_that_can_be_said() -> None:
    assert keep_freed() in (True, False)


def test_the_kernel_looks_into_the_card_s_queue_where_that_is_asked_for(listen: Listen) -> None:
    asked = [listen(busy_poll=each)._sockets[0] for each in (0, 50)]
    assert [sock.getsockopt(socket.SOL_SOCKET, SO_BUSY_POLL) for sock in asked][1] == 50
    with pytest.raises(Unavailable) as caught:
        listen(busy_poll=-1)
    assert "busy_poll = -1: " in caught.value.fixer
    assert "CAP_NET_ADMIN" in caught.value.fixer
