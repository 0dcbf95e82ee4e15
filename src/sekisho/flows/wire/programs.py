"""A template as a program of the compiled core: which octets of a record go to which column."""

from __future__ import annotations

from enum import IntEnum
from typing import TYPE_CHECKING, Final

import numpy as np

from sekisho import native
from sekisho.flows.wire import elements as ie

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from sekisho.flows.wire.layout import Layout

# Elements by which a record tells its own sampling: those are read in columns.
_OF_SAMPLING: Final = frozenset(
    {
        *(ie.SAMPLING_INTERVAL, ie.SAMPLER_INTERVAL, ie.PACKET_INTERVAL, ie.PACKET_SPACE),
        *(ie.SAMPLING_SIZE, ie.SAMPLING_POPULATION, ie.SAMPLING_PROBABILITY, *ie.SELECTORS),
    }
)
_SEGMENTS: Final = 256  # the most that native/records.c steps over


class Into(IntEnum):
    """Where a value goes; the same as in native/records.c."""

    IN_IF = 0
    OUT_IF = 1
    POINT = 2
    PROTOCOL = 3
    SRC_MAC = 4
    DST_MAC = 5
    VLAN = 6
    SRC_V4 = 7
    DST_V4 = 8
    SRC_V6 = 9
    DST_V6 = 10
    VERSION = 11
    SRC_PORT = 12
    DST_PORT = 13
    ICMP = 14
    FLAGS = 15
    PACKETS = 16
    BYTES = 17


_COPIED: Final = (
    # Protocol first: what a port or the flags mean hangs on it.
    (Into.PROTOCOL, (ie.PROTOCOL,)),
    (Into.IN_IF, ie.IN_IF),
    (Into.OUT_IF, ie.OUT_IF),
    (Into.POINT, (ie.POINT,)),
    (Into.SRC_MAC, ie.SOURCE_MAC),
    (Into.DST_MAC, ie.DESTINATION_MAC),
    (Into.VLAN, ie.VLAN),
    (Into.SRC_V4, (ie.V4_SOURCE,)),
    (Into.DST_V4, (ie.V4_DESTINATION,)),
    (Into.SRC_PORT, ie.SOURCE_PORT[:1]),
    (Into.DST_PORT, ie.DESTINATION_PORT[:1]),
    (Into.FLAGS, (ie.TCP_FLAGS,)),
)


def compile_program(layout: Layout) -> native.Structure | None:
    """Compile a flow template; None for what is decoded in columns.

    That is options, sampling told in each record, both versions of IP in one template, ports by
    protocol, an ICMP type without its code, and a direction of an unusual size.
    """
    at = _places(layout)
    families = [bool(at.keys() & ie.ADDRESS_LENGTH.keys() & pair) for pair in _FAMILIES]
    unusual = (
        layout.scopes
        or all(families)
        or at.keys() & (_OF_SAMPLING | {*ie.SOURCE_PORT[1:], *ie.DESTINATION_PORT[1:]})
        or len(layout.segments) > _SEGMENTS
        or any(both not in at and kind in at and code not in at for both, kind, code in ie.ICMP)
        or (layout.is_ovs and at.get(ie.DIRECTION, (0, 0, 0))[2] != 1)
    )
    if unusual:
        return None
    steps = np.array(list(_steps(at, totals=not layout.is_ovs, families=families)), np.int32).reshape(-1, 8)
    sizes = np.array([segment.size for segment in layout.segments], np.int64)
    version = 6 if families[1] else 4 if families[0] else 0
    counts_packets = int(bool(len(steps) and (steps[:, 0] == Into.PACKETS).any()))
    segment, offset, _ = at[ie.DIRECTION] if layout.is_ovs else (-1, -1, 0)
    return native.Structure(
        *(sizes, len(sizes), layout.minimum, steps, len(steps), version, counts_packets),
        *(segment, offset),
    )


_FAMILIES: Final = ({ie.V4_SOURCE, ie.V4_DESTINATION}, {ie.V6_SOURCE, ie.V6_DESTINATION})


def _places(layout: Layout) -> dict[int, tuple[int, int, int]]:
    """Segment, offset and octets of each element that is read."""
    found: dict[int, tuple[int, int, int]] = {}
    for number, segment in enumerate(layout.segments):
        for element in segment.elements:
            dtype, offset = dict(segment.dtype.fields or {})[str(element)][:2]
            found[element] = number, int(offset), int(dtype.itemsize)
    return found


def _steps(
    at: Mapping[int, tuple[int, int, int]], *, totals: bool, families: list[bool]
) -> Iterator[tuple[int, ...]]:
    nothing = 0, 0, 0
    for into, elements in _COPIED:
        element = _first(at, elements)
        if element is not None:
            yield into, *at[element], *nothing, 0
    if not any(families) and ie.IP_VERSION in at:
        yield Into.VERSION, *at[ie.IP_VERSION], *nothing, 0
    for into, halves in ((Into.SRC_V6, ie.V6_SOURCE), (Into.DST_V6, ie.V6_DESTINATION)):
        if halves in at:
            segment, offset, _ = at[halves]
            yield into, segment, offset, 8, segment, offset + 8, 8, 0
    yield from _icmp(at)
    for into, counts in (
        (Into.PACKETS, ie.PACKETS + ie.TOTAL_PACKETS * totals),
        (Into.BYTES, ie.BYTES + ie.TOTAL_BYTES * totals),
    ):
        element = _first(at, counts)
        if element is not None:
            yield into, *at[element], *nothing, 0


def _icmp(at: Mapping[int, tuple[int, int, int]]) -> Iterator[tuple[int, ...]]:
    nothing = 0, 0, 0
    for protocol, (both, kind, code) in zip(ie.ICMP_PROTOCOLS, ie.ICMP, strict=True):
        only = protocol if ie.PROTOCOL in at else 0
        if both in at:
            yield Into.ICMP, *at[both], *nothing, only
        elif kind in at and code in at:
            yield Into.ICMP, *at[kind], *at[code], only


def _first(at: Mapping[int, tuple[int, int, int]], elements: tuple[int, ...]) -> int | None:
    return next((element for element in elements if element in at), None)
