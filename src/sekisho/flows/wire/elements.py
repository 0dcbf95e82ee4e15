"""Information elements (IANA IPFIX registry; NetFlow v9 field types share their numbers) to columns."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import numpy as np

from sekisho.tables import FLAGS_KNOWN, FlowBatch, map_v4

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    from sekisho.tables import F64, U64, Bool

PROTOCOL: Final = 4
TCP_FLAGS: Final = 6
DIRECTION: Final = 61
POINT: Final = 138
IP_VERSION: Final = 60
V4_SOURCE, V4_DESTINATION, V6_SOURCE, V6_DESTINATION = 8, 12, 27, 28
ADDRESS_LENGTH: Final = {V4_SOURCE: 4, V4_DESTINATION: 4, V6_SOURCE: 16, V6_DESTINATION: 16}
SAMPLING_INTERVAL, SAMPLER_INTERVAL = 34, 50
PACKET_INTERVAL, PACKET_SPACE, SAMPLING_SIZE, SAMPLING_POPULATION = 305, 306, 309, 310
SAMPLING_PROBABILITY: Final = 311
TEMPLATE_ID: Final = 145
SELECTORS: Final = (302, 48)

# Each tuple is in order of preference: the first that a template has is taken.
IN_IF: Final = (10, 252)
OUT_IF: Final = (14, 253)
SOURCE_MAC: Final = (56, 81)
DESTINATION_MAC: Final = (80, 57)
VLAN: Final = (58, 243, 59)
SOURCE_PORT: Final = (7, 182, 180)
DESTINATION_PORT: Final = (11, 183, 181)
ICMP: Final = ((32, 176, 177), (139, 178, 179))  # type and code in one, type, code; IPv4 and IPv6
# Delta counts first; what left the exporter, what the initiator sent (ASA), one packet's own length.
PACKETS: Final = (2, 24, 298)
BYTES: Final = (1, 352, 23, 231, 224, 312)
# Totals since the exporter began the flow: only where there is no delta, and never of Open vSwitch,
# whose totals are the exporter's.
TOTAL_PACKETS: Final = (86,)
TOTAL_BYTES: Final = (85, 353)

_TCP: Final = 6
ICMP_PROTOCOLS: Final = (1, 58)  # as in ICMP
_MOST: Final = 1e9  # a larger sampling interval is a lie

WANTED: Final = frozenset(
    {
        *(PROTOCOL, TCP_FLAGS, DIRECTION, POINT, IP_VERSION, TEMPLATE_ID, *ADDRESS_LENGTH, *SELECTORS),
        *(SAMPLING_INTERVAL, SAMPLER_INTERVAL, PACKET_INTERVAL, PACKET_SPACE),
        *(SAMPLING_SIZE, SAMPLING_POPULATION, SAMPLING_PROBABILITY),
        *(*IN_IF, *OUT_IF, *SOURCE_MAC, *DESTINATION_MAC, *VLAN, *SOURCE_PORT, *DESTINATION_PORT),
        *(*ICMP[0], *ICMP[1], *PACKETS, *BYTES, *TOTAL_PACKETS, *TOTAL_BYTES),
    }
)


def fill(values: Mapping[int, NDArray[Any]], n: int, *, totals: bool) -> FlowBatch:
    """Make a FlowBatch of n records from their elements, unscaled; `totals` may stand in for deltas.

    exporter, time and rate are left to the caller.
    """
    batch = FlowBatch.empty(n)
    _put(batch.in_if, values, IN_IF)
    _put(batch.out_if, values, OUT_IF)
    _put(batch.point, values, (POINT,))
    _put(batch.protocol, values, (PROTOCOL,))
    _put(batch.src_mac, values, SOURCE_MAC)
    _put(batch.dst_mac, values, DESTINATION_MAC)
    _put(batch.vlan, values, VLAN)
    batch.vlan &= 0xFFF
    _addresses(batch, values)
    _ports(batch, values)
    _flags(batch, values)
    _counts(batch, values, totals=totals)
    return batch


def first(values: Mapping[int, NDArray[Any]], elements: tuple[int, ...]) -> U64 | None:
    """Take the first of the elements that is there."""
    return next((values[e] for e in elements if e in values), None)


def _put(column: NDArray[Any], values: Mapping[int, NDArray[Any]], elements: tuple[int, ...]) -> None:
    found = first(values, elements)
    if found is not None:
        column[:] = found  # wraps what a wider field than the element's own may carry


def _addresses(batch: FlowBatch, values: Mapping[int, NDArray[Any]]) -> None:
    v4, v6 = V4_SOURCE in values or V4_DESTINATION in values, V6_SOURCE in values or V6_DESTINATION in values
    is_v6 = np.full(len(batch), v6)
    if v4 and v6:
        # Some exporters put both in one template and leave one of them zero.
        is_v6 = ~_is_zero(values, (V6_SOURCE, V6_DESTINATION))
    if IP_VERSION in values:
        told = values[IP_VERSION]
        is_v6 = np.where((told == 4) & v4, False, np.where((told == 6) & v6, True, is_v6))
    if v4 or v6:
        batch.ip_version[:] = np.where(is_v6, 6, 4)
    elif IP_VERSION in values:
        batch.ip_version[:] = values[IP_VERSION]
    _address(values, V4_SOURCE, V6_SOURCE, is_v6, (batch.src_hi, batch.src_lo))
    _address(values, V4_DESTINATION, V6_DESTINATION, is_v6, (batch.dst_hi, batch.dst_lo))


def _address(
    values: Mapping[int, NDArray[Any]], v4: int, v6: int, is_v6: Bool, into: tuple[U64, U64]
) -> None:
    hi, lo = into
    if v6 in values:
        hi[is_v6], lo[is_v6] = values[v6][is_v6, 0], values[v6][is_v6, 1]
    if v4 in values:
        lo[~is_v6] = map_v4(values[v4][~is_v6])


def _is_zero(values: Mapping[int, NDArray[Any]], elements: tuple[int, ...]) -> Bool:
    found = [values[e] for e in elements if e in values]
    zero: Bool = ~np.logical_or.reduce([v.any(axis=1) for v in found])
    return zero


def _ports(batch: FlowBatch, values: Mapping[int, NDArray[Any]]) -> None:
    _port(batch.src_port, values, SOURCE_PORT)
    _port(batch.dst_port, values, DESTINATION_PORT)
    for protocol, (both, kind, code) in zip(ICMP_PROTOCOLS, ICMP, strict=True):
        told = values.get(both)
        if told is None and kind in values:
            told = values[kind] << np.uint64(8) | values.get(code, np.uint64(0))
        if told is not None:
            # Many exporters leave 32 at zero and put type and code where the port would be.
            rows = (told != 0) & ((batch.protocol == protocol) | (PROTOCOL not in values))
            batch.dst_port[rows] = told[rows]


def _port(column: NDArray[np.uint16], values: Mapping[int, NDArray[Any]], elements: tuple[int, ...]) -> None:
    plain, tcp, udp = elements
    if plain in values:
        column[:] = values[plain]
        return
    for element in (tcp, udp):
        if element in values:
            column[:] = np.where(column == 0, values[element], column)


def _flags(batch: FlowBatch, values: Mapping[int, NDArray[Any]]) -> None:
    if TCP_FLAGS in values:
        # RFC 7125: the upper four bits of a two-octet field are not flags.
        told = values[TCP_FLAGS].astype(np.uint16) & np.uint16(0x0FFF) | np.uint16(FLAGS_KNOWN)
        batch.tcp_flags[:] = np.where(batch.protocol == _TCP, told, 0)


def _counts(batch: FlowBatch, values: Mapping[int, NDArray[Any]], *, totals: bool) -> None:
    packets = first(values, PACKETS + TOTAL_PACKETS * totals)
    octets = first(values, BYTES + TOTAL_BYTES * totals)
    # A record that tells no count (a PSAMP packet report) is one packet.
    batch.packets[:] = 1.0 if packets is None else packets
    batch.bytes[:] = 0.0 if octets is None else octets


def told_rate(values: Mapping[int, NDArray[Any]], n: int) -> F64:
    """N of 1:N as the records themselves tell it (RFC 5477, NetFlow v9 34 and 50); 0 where they do not."""
    rate = np.zeros(n)
    for found in (
        values.get(SAMPLING_INTERVAL),
        values.get(SAMPLER_INTERVAL),
        _spaced(values),
        _drawn(values),
        _probable(values),
    ):
        if found is not None:
            rate = np.where(rate == 0, found, rate)
    return np.where(rate <= _MOST, rate, 0.0)


def _spaced(values: Mapping[int, NDArray[Any]]) -> F64 | None:
    if PACKET_INTERVAL not in values:
        return None
    interval: F64 = values[PACKET_INTERVAL].astype(np.float64)
    if PACKET_SPACE not in values:
        return interval  # without a space, exporters mean 1 of N by it
    spaced: F64 = (interval + values[PACKET_SPACE]) / np.where(interval, interval, np.inf)
    return spaced


def _drawn(values: Mapping[int, NDArray[Any]]) -> F64 | None:
    if SAMPLING_SIZE not in values or SAMPLING_POPULATION not in values:
        return None
    size = values[SAMPLING_SIZE].astype(np.float64)
    return np.where(size, values[SAMPLING_POPULATION] / np.where(size, size, np.inf), 0.0)


def _probable(values: Mapping[int, NDArray[Any]]) -> F64 | None:
    if SAMPLING_PROBABILITY not in values:
        return None
    chance: F64 = values[SAMPLING_PROBABILITY]
    usable = (chance >= 1 / _MOST) & (chance <= 1)  # also false for NaN
    return np.where(usable, 1 / np.where(usable, chance, 1.0), 0.0)
