"""Netlink messages in bytes: attributes, batches with an answer for each, dumps (RFC 3549, netlink(7)).

Many messages go out in one system call, and one thing asked is one message: that is why no library stands
here.
"""

from __future__ import annotations

import os
import socket
import struct
import sys
from typing import TYPE_CHECKING, Final, Protocol

from sekisho.model.errors import Refused, Unavailable

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

REQUEST, ACK, DUMP = 0x1, 0x4, 0x300
NESTED = 0x8000
ERROR, DONE = 2, 3
CTRL, GETFAMILY, FAMILY_ID, FAMILY_NAME = 0x10, 3, 1, 2
# An answer takes about 800 bytes of the socket's receive buffer, which has 200 kB where nobody raised it.
AT_ONCE: Final = 128
HEADER: Final = struct.Struct("=IHHII")
ATTRIBUTE: Final = struct.Struct("=HH")
SOCKET_SECONDS: Final = 5.0


class Carrier(Protocol):
    """A datagram socket."""

    def send(self, data: bytes, /) -> int:
        """Send one datagram."""
        ...

    def recv(self, size: int, /) -> bytes:
        """Take one datagram."""
        ...

    def close(self) -> None:
        """Close it."""
        ...


def attribute(kind: int, value: bytes) -> bytes:
    """Write one attribute, padded to four bytes."""
    size = 4 + len(value)
    return ATTRIBUTE.pack(size, kind) + value + b"\0" * (-size % 4)


def nested(kind: int, *parts: bytes) -> bytes:
    """Write an attribute that holds others."""
    return attribute(kind | NESTED, b"".join(parts))


def attributes(data: bytes) -> dict[int, bytes]:
    """Read attributes into their values by number."""
    found: dict[int, bytes] = {}
    at = 0
    while at + 4 <= len(data):
        size, kind = ATTRIBUTE.unpack_from(data, at)
        if size < 4:
            break
        found[kind & 0x3FFF] = data[at + 4 : at + size]
        at += (size + 3) & ~3
    return found


class Netlink:
    """A netlink socket; used by one thread at a time."""

    def __init__(self, carrier: Carrier) -> None:
        self._carrier = carrier
        self._sequence = 0

    def close(self) -> None:
        """Close the socket."""
        self._carrier.close()

    def family(self, name: str) -> int:
        """Find the number of a generic netlink family; raises Refused or Unavailable without one."""
        ask = struct.pack("=BBxx", GETFAMILY, 1) + attribute(FAMILY_NAME, name.encode() + b"\0")
        for answer in self.ask(CTRL, ask, ACK):
            (number,) = struct.unpack_from("=H", attributes(answer[4:])[FAMILY_ID])
            return int(number)
        raise Unavailable(f"This machine's kernel has no {name}.", retry_after=5.0)

    def ask(self, kind: int, payload: bytes, flags: int = DUMP) -> list[bytes]:
        """Ask, and give the payload of every message of the answer; raises Refused with the kernel's word."""
        self._sequence += 1
        self._send([_message(kind, flags | REQUEST, self._sequence, payload)])
        found: list[bytes] = []
        for number, answer, body in self._messages():
            if number != self._sequence:
                continue
            if answer in (DONE, ERROR):
                code = -struct.unpack_from("=i", body)[0] if len(body) >= 4 else 0
                if code > 0:
                    raise Refused(
                        f"The kernel refused: {os.strerror(code)}.", f"netlink {kind}: errno {code}"
                    )
                return found
            found.append(body)
        return found

    def tell(self, kind: int, payloads: Sequence[bytes]) -> list[int]:
        """Send messages, many to a system call, and give each one's errno, 0 for good."""
        found: list[int] = []
        for start in range(0, len(payloads), AT_ONCE):
            found += self._tell(kind, payloads[start : start + AT_ONCE])
        return found

    def _tell(self, kind: int, payloads: Sequence[bytes]) -> list[int]:
        first = self._sequence + 1
        self._sequence += len(payloads)
        self._send([_message(kind, REQUEST | ACK, first + n, p) for n, p in enumerate(payloads)])
        answers: dict[int, int] = {}
        for number, answer, body in self._messages():
            if answer == ERROR and first <= number <= self._sequence:
                answers[number] = -struct.unpack_from("=i", body)[0]
                if len(answers) == len(payloads):
                    break
        return [answers[first + n] for n in range(len(payloads))]

    def _send(self, messages: Sequence[bytes]) -> None:
        try:
            self._carrier.send(b"".join(messages))
        except OSError as error:
            raise _silent(error) from error

    def _messages(self) -> Iterator[tuple[int, int, bytes]]:
        """Give sequence number, type and payload of what comes, for as long as somebody listens."""
        while True:
            try:
                data = self._carrier.recv(1 << 17)
            except OSError as error:
                raise _silent(error) from error
            at = 0
            while at + 16 <= len(data):
                size, kind, _, number, _ = HEADER.unpack_from(data, at)
                yield number, kind, data[at + 16 : at + size]
                at += (max(size, 16) + 3) & ~3


def connect(protocol: int) -> Netlink:
    """Open a socket in the network namespace of the calling thread; raises Unavailable."""
    try:
        made = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_CLOEXEC, protocol)
        made.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 20)
        made.settimeout(SOCKET_SECONDS)
        made.bind((0, 0))
    except OSError as error:
        raise _silent(error) from error
    return Netlink(made)


def _message(kind: int, flags: int, sequence: int, payload: bytes) -> bytes:
    size = 16 + len(payload)
    return HEADER.pack(size, kind, flags, sequence, 0) + payload + b"\0" * (-size % 4)


def _silent(error: OSError) -> Unavailable:
    return Unavailable("The kernel does not answer over netlink.", f"netlink: {error}")


def integer(found: Mapping[int, bytes], kind: int) -> int:
    """Read an unsigned attribute of any size in the machine's order; 0 when it is not there."""
    return int.from_bytes(found.get(kind, b""), sys.byteorder)
