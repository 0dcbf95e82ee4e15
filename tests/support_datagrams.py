"""Packets, sFlow v5 and NetFlow v5 datagrams as they stand on the wire, and bursts of them."""

from __future__ import annotations

import ipaddress
import struct
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from sekisho.tables import Burst

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

CAPTURES = Path(__file__).parent / "data" / "captures"
SRC_MAC = bytes.fromhex("020000000001")
DST_MAC = bytes.fromhex("020000000002")
SOURCE = "192.0.2.1"


def split(address: str) -> tuple[int, int]:
    """An address as its two columns have it."""
    ip = ipaddress.ip_address(address)
    whole = int(ip) if ip.version == 6 else 0xFFFF_0000_0000 | int(ip)
    return whole >> 64, whole & 0xFFFF_FFFF_FFFF_FFFF


def payloads(burst: Burst | None) -> list[bytes]:
    """What the datagrams of a burst hold, which must be there."""
    assert burst is not None
    return [burst.data[i, : burst.length[i]].tobytes() for i in range(burst.count)]


def burst_of(
    payloads: Sequence[bytes], sources: Sequence[str] | str = SOURCE, time: float = 1000.0, slot: int = 2048
) -> Burst:
    """A burst as the receiver makes it; a slab has whatever was there before behind each payload."""
    n = len(payloads)
    data = np.full((max(n, 1), slot), 0xA5, np.uint8)
    for row, payload in enumerate(payloads):
        data[row, : len(payload)] = np.frombuffer(payload[:slot], np.uint8)
    named = [sources] * n if isinstance(sources, str) else sources
    split_up = np.array([split(s) for s in named], np.uint64).reshape(n, 2)
    length = np.array([min(len(p), slot) for p in payloads], np.int32)
    return Burst(data, length, split_up[:, 0], split_up[:, 1], np.full(n, 6343, np.uint16), n, time)


def captured(name: str) -> list[bytes]:
    """UDP payloads of a raw-IP capture."""
    return list(_payloads((CAPTURES / name).read_bytes()))


def _payloads(pcap: bytes) -> Iterator[bytes]:
    at = 24
    while at < len(pcap):
        (length,) = struct.unpack_from("<I", pcap, at + 8)
        yield pcap[at + 16 + 28 : at + 16 + length]
        at += 16 + length


# Packets.


def ethernet(kind: int, payload: bytes, tags: Sequence[tuple[int, int]] = ()) -> bytes:
    """An Ethernet II frame; tags are (type, VLAN id), the outer one first."""
    tagged = b"".join(struct.pack(">HH", tag, vlan) for tag, vlan in tags)
    return DST_MAC + SRC_MAC + tagged + struct.pack(">H", kind) + payload


def ipv4(
    protocol: int, payload: bytes, *, options: bytes = b"", fragment: int = 0, more: bool = False
) -> bytes:
    flags = (0x2000 if more else 0) | fragment
    words = 5 + len(options) // 4
    length = words * 4 + len(payload)
    head = struct.pack(">BBHHHBBH", 0x40 | words, 0, length, 1, flags, 64, protocol, 0)
    return head + bytes([10, 0, 0, 1, 198, 51, 100, 7]) + options + payload


V6_SRC = "2001:db8::1"
V6_DST = "2001:db8:ffff::2"


def ipv6(following: int, payload: bytes) -> bytes:
    addresses = ipaddress.ip_address(V6_SRC).packed + ipaddress.ip_address(V6_DST).packed
    return struct.pack(">IHBB", 0x6000_0000, len(payload), following, 64) + addresses + payload


def extension(following: int, words: int = 0) -> bytes:
    """A hop-by-hop, routing or destination header of 8 + 8 * words octets."""
    return bytes([following, words]) + bytes(6 + 8 * words)


def fragment6(following: int, offset: int) -> bytes:
    return struct.pack(">BBHI", following, 0, offset << 3 | 1, 7)


def authentication(following: int, words: int = 4) -> bytes:
    return bytes([following, words]) + bytes(4 * (words + 2) - 2)


def tcp(src: int = 40000, dst: int = 25, flags: int = 0x02) -> bytes:
    return struct.pack(">HHIIHHHH", src, dst, 1, 0, 0x5000 | flags, 1024, 0, 0)


def udp(src: int = 5353, dst: int = 53) -> bytes:
    return struct.pack(">HHHH", src, dst, 16, 0) + bytes(8)


def icmp(kind: int = 8, code: int = 3) -> bytes:
    return struct.pack(">BBHHH", kind, code, 0, 1, 1)


# sFlow v5.


def record(kind: int, body: bytes) -> bytes:
    """A record or a sample: type, length, contents padded to words."""
    body += bytes(-len(body) % 4)
    return struct.pack(">II", kind, len(body)) + body


def raw_header(frame: bytes, *, protocol: int = 1, frame_length: int | None = None) -> bytes:
    length = len(frame) + 4 if frame_length is None else frame_length
    return record(1, struct.pack(">IIII", protocol, length, 4, len(frame)) + frame)


def sampled_ethernet(length: int) -> bytes:
    return record(2, struct.pack(">I", length) + SRC_MAC + bytes(2) + DST_MAC + bytes(2) + bytes(4))


def sampled_ipv4(length: int, protocol: int = 17) -> bytes:
    addresses = bytes([10, 0, 0, 1, 198, 51, 100, 7])
    return record(
        3, struct.pack(">II", length, protocol) + addresses + struct.pack(">IIII", 5353, 53, 0x12, 0)
    )


def sampled_ipv6(length: int, protocol: int = 6) -> bytes:
    addresses = ipaddress.ip_address(V6_SRC).packed + ipaddress.ip_address(V6_DST).packed
    return record(
        4, struct.pack(">II", length, protocol) + addresses + struct.pack(">IIII", 99, 443, 0x12, 0)
    )


def switch(vlan: int) -> bytes:
    return record(1001, struct.pack(">IIII", vlan, 0, 0, 0))


def flow_sample(
    *records: bytes, rate: int = 400, in_if: int = 10, out_if: int = 11, count: int | None = None
) -> bytes:
    claimed = len(records) if count is None else count
    head = struct.pack(">IIIIIIII", 1, 0x0200_03E8, rate, rate, 0, in_if, out_if, claimed)
    return record(1, head + b"".join(records))


def expanded_sample(
    *records: bytes, rate: int = 400, in_if: tuple[int, int] = (0, 10), out_if: tuple[int, int] = (0, 11)
) -> bytes:
    head = struct.pack(">IIIIII", 1, 2, 1000, rate, rate, 0)
    return record(3, head + struct.pack(">IIIII", *in_if, *out_if, len(records)) + b"".join(records))


def generic_counters(ifindex: int, octets: int = 1000, *, unknown: bool = False) -> bytes:
    """Interface counters: unicast 10, multicast 20, broadcast 30, drops 4, errors 5; twice that out."""
    head = struct.pack(">IIQII", ifindex, 6, 10**9, 1, 3)
    unicast = 0xFFFF_FFFF if unknown else 10
    inbound = struct.pack(">QIIIIII", octets, unicast, 20, 30, 4, 5, 0)
    outbound = struct.pack(">QIIIII", 2 * octets & 0xFFFF_FFFF_FFFF_FFFF, 20, 40, 60, 8, 10)
    return record(1, head + inbound + outbound + struct.pack(">I", 0))


def counter_sample(*records: bytes, source: int = 10, expanded: bool = False) -> bytes:
    where = struct.pack(">II", 0, source) if expanded else struct.pack(">I", source)
    head = struct.pack(">I", 1) + where + struct.pack(">I", len(records))
    return record(4 if expanded else 2, head + b"".join(records))


def sflow(
    *samples: bytes, sequence: int = 1, sub_agent: int = 0, agent: str = "10.9.9.9", count: int | None = None
) -> bytes:
    ip = ipaddress.ip_address(agent)
    claimed = len(samples) if count is None else count
    head = struct.pack(">II", 5, 1 if ip.version == 4 else 2) + ip.packed
    return head + struct.pack(">IIII", sub_agent, sequence, 1000, claimed) + b"".join(samples)


# NetFlow v5.


def record5(
    *,
    packets: int = 3,
    octets: int = 300,
    protocol: int = 6,
    flags: int = 0x12,
    ports: tuple[int, int] = (1, 2),
) -> bytes:
    addresses = bytes([10, 0, 0, 1, 198, 51, 100, 7, 0, 0, 0, 0])
    counts = struct.pack(">HHIIII", 3, 4, packets, octets, 100, 200)
    return addresses + counts + struct.pack(">HHBBBBHHBBH", *ports, 0, flags, protocol, 0, 0, 0, 0, 0, 0)


def netflow5(
    *records: bytes, sequence: int = 0, sampling: int = 0, engine: int = 0x0102, count: int | None = None
) -> bytes:
    claimed = len(records) if count is None else count
    head = struct.pack(">HHIIIIHH", 5, claimed, 1000, 1, 0, sequence, engine, sampling)
    return head + b"".join(records)
