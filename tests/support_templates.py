"""Writes NetFlow v9 and IPFIX datagrams, and hears them."""

from __future__ import annotations

import struct
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

import numpy as np

from sekisho.flows.exporters import Exporters
from sekisho.flows.wire.ipfix import Ipfix
from sekisho.flows.wire.netflow9 import Netflow9
from sekisho.flows.wire.protocol import DecodeSettings
from sekisho.tables import V4_MAPPED, Burst, FlowBatch

if TYPE_CHECKING:
    from collections.abc import Sequence

CAPTURES = Path(__file__).parent / "data" / "captures"
VAR = 0xFFFF
Spec: TypeAlias = "tuple[int, int] | tuple[int, int, int]"

# A flow as routers tell it: addresses, ports, protocol, flags, interfaces, counts.
FLOW: tuple[Spec, ...] = ((8, 4), (12, 4), (7, 2), (11, 2), (4, 1), (6, 1), (10, 4), (14, 4), (1, 8), (2, 8))
_FLOW = struct.Struct(">IIHHBBIIQQ")


def flow(
    source: int = 0x0A000001,
    destination: int = 0x08080808,
    ports: tuple[int, int] = (1234, 25),
    protocol: int = 6,
    counts: tuple[int, int] = (1500, 3),
    interfaces: tuple[int, int] = (1, 2),
) -> bytes:
    """One record of FLOW."""
    return _FLOW.pack(source, destination, *ports, protocol, 2, *interfaces, *counts)


def a_set(ident: int, content: bytes) -> bytes:
    return struct.pack(">HH", ident, 4 + len(content)) + content


def specifiers(fields: Sequence[Spec]) -> bytes:
    """Field specifiers: (element, length) or (element, length, enterprise)."""
    written = b""
    for element, length, *enterprise in fields:
        written += struct.pack(">HH", element | (0x8000 if enterprise else 0), length)
        written += b"".join(struct.pack(">I", number) for number in enterprise)
    return written


def template(ident: int, fields: Sequence[Spec], count: int | None = None) -> bytes:
    """One template record, the same in both protocols."""
    return struct.pack(">HH", ident, len(fields) if count is None else count) + specifiers(fields)


def ipfix_options(ident: int, scopes: Sequence[Spec], fields: Sequence[Spec]) -> bytes:
    head = struct.pack(">HHH", ident, len(scopes) + len(fields), len(scopes))
    return head + specifiers(scopes) + specifiers(fields)


def v9_options(ident: int, scopes: Sequence[Spec], fields: Sequence[Spec]) -> bytes:
    head = struct.pack(">HHH", ident, 4 * len(scopes), 4 * len(fields))
    return head + specifiers(scopes) + specifiers(fields)


def variable(value: bytes, *, long: bool = False) -> bytes:
    """A variable-length value (RFC 7011 section 7)."""
    if long or len(value) > 254:
        return b"\xff" + struct.pack(">H", len(value)) + value
    return bytes([len(value)]) + value


def ipfix(*sets: bytes, domain: int = 1, sequence: int = 0, length: int | None = None) -> bytes:
    body = b"".join(sets)
    return struct.pack(">HHIII", 10, 16 + len(body) if length is None else length, 0, sequence, domain) + body


def v9(*sets: bytes, domain: int = 1, sequence: int = 0) -> bytes:
    return struct.pack(">HHIIII", 9, len(sets), 0, 0, sequence, domain) + b"".join(sets)


def burst(
    datagrams: Sequence[bytes], *, address: int = 0x0A0000FE, ports: Sequence[int] = (), time: float = 1000.0
) -> Burst:
    """A burst from one IPv4 address; `ports` default to 40000."""
    n, slot = len(datagrams), 2048
    made = Burst(
        data=np.full((n, slot), 0xA5, np.uint8),
        length=np.array([len(d) for d in datagrams], np.int32),
        address_hi=np.zeros(n, np.uint64),
        address_lo=np.full(n, V4_MAPPED | address, np.uint64),
        port=np.array(ports or [40000] * n, np.uint16),
        count=n,
        time=time,
    )
    for row, datagram in enumerate(datagrams):
        made.data[row, : len(datagram)] = np.frombuffer(datagram, np.uint8)
    return made


class Ear:
    """One decoder with its exporters."""

    def __init__(self, kind: type[Ipfix | Netflow9], settings: DecodeSettings | None = None) -> None:
        self.exporters = Exporters()
        self.decoder = kind(self.exporters, settings or DecodeSettings())

    def hear(
        self,
        *datagrams: bytes,
        now: float = 1000.0,
        address: int = 0x0A0000FE,
        ports: Sequence[int] = (),
    ) -> FlowBatch:
        heard = burst(datagrams, address=address, ports=ports, time=now)
        return self.decoder.decode(heard, np.arange(len(datagrams)), now)

    def count(self, kind: str) -> int:
        return self.decoder.counters[kind]


def captured(name: str) -> list[bytes]:
    """UDP payloads of a raw-IP capture."""
    data, at, found = (CAPTURES / name).read_bytes(), 24, []
    while at < len(data):
        size = struct.unpack_from("<I", data, at + 8)[0]
        found.append(data[at + 16 + 28 : at + 16 + size])
        at += 16 + size
    return found
