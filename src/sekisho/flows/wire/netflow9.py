"""NetFlow version 9 (RFC 3954)."""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING, Final

import numpy as np

from sekisho.flows.wire.gather import Octets, field32, starts
from sekisho.flows.wire.layout import VARIABLE, Field
from sekisho.flows.wire.plain import Header, plain_bursts
from sekisho.flows.wire.protocol import NETFLOW9, Counters
from sekisho.flows.wire.records import Dialect, Messages, RecordDecoder
from sekisho.flows.wire.templates import FIRST_ID, Definition

if TYPE_CHECKING:
    from sekisho.flows.exporters import Exporters
    from sekisho.flows.wire.protocol import DecodeSettings
    from sekisho.tables import I64, Burst, FlowBatch

_HEADER: Final = 20
# Scope types (6.1) as the information elements that say the same: the exporter, an input interface, a
# line card, a cache, a template.
_SCOPES: Final = {1: 144, 2: 10, 3: 141, 4: 0, 5: 145}


class Netflow9:
    """Decodes NetFlow v9 export packets; the sequence number counts packets per source id (5.1)."""

    name = "netflow9"
    mark = (0xFFFF_0000, 0x0009_0000)

    def __init__(self, exporters: Exporters, settings: DecodeSettings) -> None:
        self.counters = Counters()
        self._exporters = exporters
        self._records = RecordDecoder(exporters, settings, self.counters, Dialect(0, 1, parse))
        self._plain = plain_bursts(
            exporters, self._records, Header(NETFLOW9, _HEADER, 12, 16, -1, counts_records=False)
        )

    def decode(self, burst: Burst, rows: I64, now: float) -> FlowBatch:
        """Decode datagrams `rows` of the burst, in arrival order."""
        self.counters.count("datagrams", len(rows))
        if self._plain is not None and (batch := self._plain.decode(burst, rows, now)) is not None:
            return batch
        whole = burst.length[rows] >= _HEADER
        self.counters.count("datagram_cut", len(rows) - int(np.count_nonzero(whole)))
        rows = rows[whole]
        start = starts(burst, rows)
        header = Octets(burst.data).take(start, _HEADER)
        domain, zero = field32(header, 16), np.zeros(len(rows), np.uint64)
        exporter = self._exporters.rows(
            NETFLOW9, burst.address_hi[rows], burst.address_lo[rows], zero, zero, domain, now
        )
        self._exporters.sequence(exporter, field32(header, 12), np.ones(len(rows), np.uint32), now)
        known = exporter >= 0
        self.counters.count("exporter_refused", len(known) - int(np.count_nonzero(known)))
        end = start + burst.length[rows]
        messages = Messages(exporter[known].astype(np.int64), start[known] + _HEADER, end[known])
        heard = self._records.decode(burst.data.reshape(-1), messages, burst.time, now)
        self.counters.count("records", int(heard.records.sum()))
        self._exporters.counted(exporter[known], heard.records)
        return heard.batch


def parse(content: bytes, *, options: bool, counters: Counters, fields: int) -> list[Definition]:
    """Read the templates of one FlowSet (5.2), or options templates (6.1)."""
    found: list[Definition] = []
    at, head = 0, 6 if options else 4
    while at + head <= len(content):
        if not any(content[at:]):
            return found  # padding
        if options:
            template, scope, option = struct.unpack_from(">HHH", content, at)
            scopes, count = scope // 4, scope // 4 + option // 4
        else:
            template, count = struct.unpack_from(">HH", content, at)
            scopes = 0
        at += head
        if at + count * 4 > len(content):
            counters.count("template_cut")
            return found
        specifiers = [Field(*f) for f in _specifiers(content, at, count)]
        at += count * 4
        if _acceptable(template, specifiers, counters, fields):
            found.append(_definition(template, specifiers, scopes, options=options))
    return found


def _specifiers(content: bytes, at: int, count: int) -> list[tuple[int, int, int]]:
    numbers = struct.unpack_from(f">{count * 2}H", content, at)
    return [(element, 0, length) for element, length in zip(numbers[::2], numbers[1::2], strict=True)]


def _acceptable(template: int, specifiers: list[Field], counters: Counters, fields: int) -> bool:
    reasons = {
        "template_id": template < FIRST_ID,
        "template_fields": len(specifiers) > fields,
        "template_empty": not specifiers,
        # There is no variable length in version 9.
        "template_size": any(f.length == VARIABLE for f in specifiers),
    }
    for reason in (r for r, is_so in reasons.items() if is_so):
        counters.count(reason)
        return False
    return True


def _definition(template: int, specifiers: list[Field], scopes: int, *, options: bool) -> Definition:
    scoped = [Field(_SCOPES.get(f.element, 0), 0, f.length) for f in specifiers[:scopes]]
    if options and not scopes:
        scoped = [Field(144, 0, 0)]  # of the exporter as a whole
    return Definition(template, (*scoped, *specifiers[scopes:]), len(scoped))
