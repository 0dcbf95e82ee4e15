from __future__ import annotations

import errno
import socket
import struct
from collections import deque
from collections.abc import Callable

import pytest

from sekisho.devices.balancer.lvs_dsr.ipvs import Ipvs, encode
from sekisho.devices.balancer.lvs_dsr.netlink import (
    AT_ONCE,
    DONE,
    ERROR,
    HEADER,
    Netlink,
    attribute,
    attributes,
    nested,
)
from sekisho.devices.balancer.lvs_dsr.services import HASHED, Dest, Key, Service, Step, Sync, Verb
from sekisho.model.errors import Refused, Unavailable

WEB = Key(6, "10.0.1.1", 80)
FAMILY = 30


class Carrier:
    """A kernel that answers each message by `answer`: payloads of a dump, or an errno."""

    def __init__(self, answer: Callable[[int, bytes], list[bytes] | int]) -> None:
        self.answer = answer
        self.sent: list[int] = []  # how many messages came in each datagram
        self.out: deque[bytes] = deque()

    def send(self, data: bytes, /) -> int:
        at, count = 0, 0
        while at < len(data):
            size, kind, _, number, _ = HEADER.unpack_from(data, at)
            self._one(kind, number, data[at + 16 : at + size])
            at += (size + 3) & ~3
            count += 1
        self.sent.append(count)
        return len(data)

    def _one(self, kind: int, number: int, payload: bytes) -> None:
        answer = self.answer(kind, payload)
        if isinstance(answer, int):
            self.out.append(_packed(ERROR, number, struct.pack("=i", -answer) + bytes(16)))
            return
        self.out.append(b"".join(_packed(kind, number, body) for body in answer))
        self.out.append(_packed(DONE, number, struct.pack("=i", 0)))

    def recv(self, size: int, /) -> bytes:
        if not self.out:
            raise TimeoutError("timed out")
        return self.out.popleft()[:size]

    def close(self) -> None:
        pass


def _packed(kind: int, number: int, body: bytes) -> bytes:
    return HEADER.pack(16 + len(body), kind, 0, number, 0) + body + bytes(-len(body) % 4)


def test_attributes_are_padded_and_read_back() -> None:
    data = attribute(1, b"abc") + nested(2, attribute(3, b"xy"))
    assert len(data) % 4 == 0
    found = attributes(data)
    assert found[1] == b"abc"
    assert attributes(found[2]) == {3: b"xy"}


@pytest.mark.parametrize("data", [b"\x01", b"\0\0\0\0", b"\x02\0\x01\0", b"\xff\xff\x01\0ab"])
def test_broken_attributes_end_the_reading(data: bytes) -> None:
    attributes(data)


def test_many_messages_go_at_once_and_each_has_its_answer() -> None:
    bad = AT_ONCE + 3
    answers = iter([0] * bad + [errno.ENOENT] + [0] * 10)
    carrier = Carrier(lambda _kind, _payload: next(answers))
    found = Netlink(carrier).tell(FAMILY, [b"\x05\x01\0\0"] * (bad + 5))
    assert [n for n, code in enumerate(found) if code] == [bad]
    assert carrier.sent == [AT_ONCE, 8]


def test_who_does_not_answer_is_unavailable() -> None:
    carrier = Carrier(lambda _kind, _payload: [])
    carrier.out.clear()
    with pytest.raises(Unavailable, match="does not answer"):
        next(Netlink(carrier)._messages())


def test_a_kernel_that_says_no_is_refused() -> None:
    with pytest.raises(Refused, match="Operation not permitted"):
        Netlink(Carrier(lambda _kind, _payload: errno.EPERM)).ask(FAMILY, b"")


def test_a_late_answer_to_an_earlier_question_is_passed_over() -> None:
    carrier = Carrier(lambda _kind, _payload: [b"now"])
    carrier.out.append(_packed(FAMILY, 77, b"late"))
    assert Netlink(carrier).ask(FAMILY, b"") == [b"now"]


def test_a_server_goes_in_direct_return_on_the_services_port() -> None:
    body = encode(Step(Verb.NEW_DEST, Service(WEB, "wrr"), Dest("10.0.0.5", 80, 3)))
    assert body[:2] == b"\x05\x01"
    parts = attributes(body[4:])
    assert attributes(parts[1]) == {1: b"\x02\0", 2: b"\x06\0", 3: bytes((10, 0, 1, 1)), 4: b"\0P"}
    dest = attributes(parts[2])
    assert (dest[1], dest[2], dest[3], dest[4]) == (
        bytes((10, 0, 0, 5)),
        b"\0P",
        b"\x03\0\0\0",
        b"\x03\0\0\0",
    )


def test_a_service_says_all_of_itself() -> None:
    six = Service(Key(17, "fd00::1", 53), "mh", 0x19, 60, 64)
    parts = attributes(attributes(encode(Step(Verb.NEW_SERVICE, six))[4:])[1])
    assert parts[1] == struct.pack("=H", socket.AF_INET6)
    assert parts[6] == b"mh\0"
    assert parts[7] == struct.pack("=II", 0x19, 0xFFFFFFFF)
    assert parts[8] == struct.pack("=I", 60)
    assert parts[9] == struct.pack("=I", 64)
    four = Service(WEB, "wrr", 1, 60, 24)
    assert attributes(attributes(encode(Step(Verb.NEW_SERVICE, four))[4:])[1])[9] == bytes((255, 255, 255, 0))


def test_the_table_is_read_as_it_was_written() -> None:
    service, dest = Service(WEB, "wlc", 1, 60, 24), Dest("10.0.0.5", 80, 3)
    stats = nested(12, attribute(1, struct.pack("=Q", 9)), attribute(4, struct.pack("=Q", 900)))

    def answer(_kind: int, payload: bytes) -> list[bytes] | int:
        if payload[0] == 4:
            whole = attributes(encode(Step(Verb.NEW_SERVICE, service))[4:])[1]
            flags = attribute(7, struct.pack("=II", 1 | HASHED, 0xFFFFFFFF))
            marked = nested(1, attribute(1, b"\x02\0"), attribute(5, b"\x07\0\0\0"))
            return [b"\x01\x01\0\0" + nested(1, whole, flags, stats), b"\x01\x01\0\0" + marked]
        server = attributes(encode(Step(Verb.NEW_DEST, service, dest))[4:])[2]
        busy = attribute(7, struct.pack("=I", 4)) + attribute(8, struct.pack("=I", 2))
        strange = attributes(encode(Step(Verb.NEW_DEST, service, Dest("10.0.0.6", 8080, 1)))[4:])[2]
        return [b"\x05\x01\0\0" + nested(2, server, busy), b"\x05\x01\0\0" + nested(2, strange)]

    ipvs = Ipvs(Netlink(Carrier(answer)), FAMILY)
    assert {k: s for k, (s, _) in ipvs.services().items()} == {WEB: service}
    stand = ipvs.stand(WEB)
    assert stand is not None
    assert stand.service == service
    assert stand.dests == {"10.0.0.5": dest}
    assert stand.other == (Dest("10.0.0.6", 8080, 1),)
    assert (stand.counts.total, stand.counts.bytes_in, stand.counts.active, stand.counts.inactive) == (
        9,
        900,
        4,
        2,
    )


def test_a_service_that_is_not_there_is_none() -> None:
    assert Ipvs(Netlink(Carrier(lambda _kind, _payload: errno.ESRCH)), FAMILY).stand(WEB) is None


def test_both_sync_threads_run_once_asked_and_are_left_alone_then() -> None:
    running: dict[int, bytes] = {}

    def answer(_kind: int, payload: bytes) -> list[bytes] | int:
        if payload[0] == 11:
            return [b"\x0b\x01\0\0" + nested(3, body) for body in running.values()]
        body = attributes(payload[4:])[3]
        state = struct.unpack("=I", attributes(body)[1])[0]
        if payload[0] == 9:
            running[state] = body
        else:
            del running[state]
        return 0

    ipvs = Ipvs(Netlink(Carrier(answer)), FAMILY)
    assert ipvs.sync(Sync("eth0", 51))
    assert set(running) == {1, 2}
    assert not ipvs.sync(Sync("eth0", 51))
    assert ipvs.sync(Sync("eth1", 51))
    assert b"eth1\0" in running[1]
    assert ipvs.sync(None)
    assert running == {}


@pytest.mark.parametrize(
    ("code", "word"), [(errno.EEXIST, "already"), (errno.ENOENT, "no such server"), (errno.EBUSY, "busy")]
)
def test_what_the_kernel_says_is_in_words(code: int, word: str) -> None:
    ipvs = Ipvs(Netlink(Carrier(lambda _kind, _payload: code)), FAMILY)
    (said,) = ipvs.apply([Step(Verb.NEW_SERVICE, Service(WEB, "wrr"))])
    assert word in said
