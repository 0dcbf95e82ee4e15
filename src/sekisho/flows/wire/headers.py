"""Packet headers as captured, cut anywhere: Ethernet, VLAN, IPv4, IPv6, TCP, UDP, ICMP, SCTP.

All functions fill rows of a FlowBatch from packets that begin at `start` and end before `end`
(offsets in the slab, int64[n], one per row). What a cut packet does not have is left as it was.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import numpy as np

from sekisho.flows.wire.gather import field16, field32, field48, field64
from sekisho.tables import FLAGS_KNOWN, map_v4

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from sekisho.flows.wire.gather import Octets
    from sekisho.tables import I64, U8, Bool, FlowBatch

IPV4: Final = 0x0800
IPV6: Final = 0x86DD
TAGS: Final = (0x8100, 0x88A8, 0x9100)  # 802.1Q, 802.1ad, and what came before it
TCP: Final = 6
# At most this many IPv6 extension headers are walked; RFC 8200 allows seven in their order.
EXTENSIONS: Final = 8
FRAGMENT: Final = 44
AUTHENTICATION: Final = 51


def _numbers(*protocols: int) -> Bool:
    chosen = np.zeros(256, np.bool_)
    chosen[list(protocols)] = True
    return chosen


WITH_PORTS: Final = _numbers(TCP, 17, 33, 132, 136)  # TCP, UDP, DCCP, SCTP, UDP-Lite
ICMPS: Final = _numbers(1, 58)
# Hop-by-hop, routing, fragment, authentication, destination, mobility, HIP, shim6.
EXTENSION: Final = _numbers(0, 43, FRAGMENT, AUTHENTICATION, 60, 135, 139, 140)


def fill_ethernet(batch: FlowBatch, rows: I64, octets: Octets, start: I64, end: I64) -> None:
    """Fill from Ethernet II frames (IEEE 802.3, 802.1Q, 802.1ad), with up to two VLAN tags."""
    if not len(rows):
        return
    head = octets.take(start, 22)
    room = end - start
    _put(batch.dst_mac, rows, field48(head, 0), room, 6)
    _put(batch.src_mac, rows, field48(head, 6), room, 12)
    kind = np.where(room >= 14, field16(head, 12), np.uint16(0))
    packet = start + 14
    tagged = _is_tag(kind)
    if tagged.any():
        tagged_rows = np.nonzero(tagged)[0]
        vlan = field16(head[tagged_rows], 14) & np.uint16(0xFFF)
        _put(batch.vlan, rows[tagged_rows], vlan, room[tagged_rows], 16)
        for at in (16, 20):
            kind = np.where(tagged, np.where(room >= at + 2, field16(head, at), np.uint16(0)), kind)
            packet = packet + 4 * tagged
            tagged &= _is_tag(kind)
    for version, fill in ((IPV4, fill_ipv4), (IPV6, fill_ipv6)):
        mine = kind == version
        if mine.all():
            fill(batch, rows, octets, packet, end)
        elif mine.any():
            fill(batch, rows[mine], octets, packet[mine], end[mine])


def fill_ipv4(batch: FlowBatch, rows: I64, octets: Octets, start: I64, end: I64) -> None:
    """Fill from IPv4 packets (RFC 791); fragments but the first have no ports."""
    if not len(rows):
        return
    head = octets.take(start, 20)
    right = ((head[:, 0] >> 4) == 4) | (end <= start)
    if not right.all():
        fill_ipv4(batch, rows[right], octets, start[right], end[right])
        return
    total = field16(head, 2).astype(np.int64)
    # A total length of 0 is what segmentation offload shows; behind the length is padding.
    end = np.where((total >= 20) & (end - start >= 4), np.minimum(end, start + total), end)
    room = end - start
    batch.ip_version[rows] = 4
    _put(batch.protocol, rows, head[:, 9], room, 10)
    _put_v4(batch.src_hi, batch.src_lo, rows, head[:, 12:16], room, 16)
    _put_v4(batch.dst_hi, batch.dst_lo, rows, head[:, 16:20], room, 20)
    header = (head[:, 0] & np.uint8(15)).astype(np.int64) * 4
    first = (field16(head, 6) & np.uint16(0x1FFF)) == 0
    goes_on = first & (header >= 20) & (room > header)
    _transport(batch, rows, octets, start + header, end, head[:, 9], goes_on)


def fill_ipv6(batch: FlowBatch, rows: I64, octets: Octets, start: I64, end: I64) -> None:
    """Fill from IPv6 packets (RFC 8200), walking a bounded number of extension headers."""
    if not len(rows):
        return
    head = octets.take(start, 40)
    right = ((head[:, 0] >> 4) == 6) | (end <= start)
    if not right.all():
        fill_ipv6(batch, rows[right], octets, start[right], end[right])
        return
    payload = field16(head, 4).astype(np.int64)
    end = np.where((payload > 0) & (end - start >= 6), np.minimum(end, start + 40 + payload), end)
    room = end - start
    batch.ip_version[rows] = 6
    _put(batch.src_hi, rows, field64(head, 8), room, 16)
    _put(batch.src_lo, rows, field64(head, 16), room, 24)
    _put(batch.dst_hi, rows, field64(head, 24), room, 32)
    _put(batch.dst_lo, rows, field64(head, 32), room, 40)
    protocol, at, first = _past_extensions(octets, head[:, 6].copy(), start + 40, end)
    _put(batch.protocol, rows, protocol, room, 7)
    _transport(batch, rows, octets, at, end, protocol, first & (at < end) & ~EXTENSION[protocol])


def _past_extensions(octets: Octets, protocol: U8, at: I64, end: I64) -> tuple[U8, I64, Bool]:
    """Protocol and offset behind the extension headers, and whether a transport header stands there."""
    first = np.ones(len(at), np.bool_)
    at = at.copy()
    for _ in range(EXTENSIONS):
        walking = np.nonzero(EXTENSION[protocol] & first & (at + 8 <= end))[0]
        if not len(walking):
            break
        head = octets.take(at[walking], 8)
        kind = protocol[walking]
        size = (head[:, 1].astype(np.int64) + 1) * 8
        size[kind == AUTHENTICATION] = (head[kind == AUTHENTICATION, 1].astype(np.int64) + 2) * 4
        size[kind == FRAGMENT] = 8
        first[walking] = (kind != FRAGMENT) | (field16(head, 2) & np.uint16(0xFFF8) == 0)
        protocol[walking] = head[:, 0]
        at[walking] += size
    return protocol, at, first


def _transport(
    batch: FlowBatch, rows: I64, octets: Octets, at: I64, end: I64, protocol: U8, there: Bool
) -> None:
    """Fill ports, flags and ICMP types of the packets whose transport header is `there`."""
    if not there.all():
        rows, at, end, protocol = rows[there], at[there], end[there], protocol[there]
    if not len(rows):
        return
    head = octets.take(at, 14)
    room = end - at
    ports = WITH_PORTS[protocol]
    if not ports.all():
        icmp = ICMPS[protocol]
        _put(batch.dst_port, rows[icmp], field16(head[icmp], 0), room[icmp], 2)
        rows, head, room, protocol = rows[ports], head[ports], room[ports], protocol[ports]
    _put(batch.src_port, rows, field16(head, 0), room, 2)
    _put(batch.dst_port, rows, field16(head, 2), room, 4)
    tcp = protocol == TCP
    if not tcp.all():
        rows, head, room = rows[tcp], head[tcp], room[tcp]
    flags = field16(head, 12) & np.uint16(0xFFF) | np.uint16(FLAGS_KNOWN)
    _put(batch.tcp_flags, rows, flags, room, 14)


def _is_tag(kind: NDArray[Any]) -> Bool:
    tag: Bool = (kind == TAGS[0]) | (kind == TAGS[1]) | (kind == TAGS[2])
    return tag


def _put(column: NDArray[Any], rows: I64, value: NDArray[Any], room: I64, need: int) -> None:
    """Write the values of the packets that are at least `need` octets long."""
    if len(rows) and int(room.min()) >= need:
        column[rows] = value
    else:
        has = room >= need
        column[rows[has]] = value[has]


def _put_v4(hi: NDArray[Any], lo: NDArray[Any], rows: I64, address: U8, room: I64, need: int) -> None:
    _put(hi, rows, np.zeros(len(rows), np.uint64), room, need)
    _put(lo, rows, map_v4(field32(address, 0)), room, need)
