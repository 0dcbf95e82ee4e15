"""IPFIX (RFC 7011), and what Open vSwitch makes of it."""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING, Final

import numpy as np

from sekisho.flows.wire.gather import Octets, field16, field32, starts
from sekisho.flows.wire.layout import Field
from sekisho.flows.wire.plain import Header, plain_bursts
from sekisho.flows.wire.protocol import IPFIX, Counters
from sekisho.flows.wire.records import Dialect, Messages, RecordDecoder
from sekisho.flows.wire.templates import FIRST_ID, Definition

if TYPE_CHECKING:
    from sekisho.flows.exporters import Exporters
    from sekisho.flows.wire.protocol import DecodeSettings
    from sekisho.flows.wire.records import Heard
    from sekisho.tables import I32, I64, U32, Burst, FlowBatch

_HEADER: Final = 16
_TEMPLATE_SET, _OPTIONS_SET = 2, 3
_ENTERPRISE: Final = 0x8000
_MAX_REPORTS: Final = 4096  # in one burst: each bridge sends one in ten minutes


class Ipfix:
    """Decodes IPFIX messages; the sequence number counts data records per observation domain (3.1)."""

    name = "ipfix"
    mark = (0xFFFF_0000, 0x000A_0000)

    def __init__(self, exporters: Exporters, settings: DecodeSettings) -> None:
        self.counters = Counters()
        self._exporters = exporters
        self._records = RecordDecoder(
            exporters, settings, self.counters, Dialect(_TEMPLATE_SET, _OPTIONS_SET, parse)
        )
        self._plain = plain_bursts(
            exporters, self._records, Header(IPFIX, _HEADER, 8, 12, 2, counts_records=True)
        )
        # Row of the Open vSwitch bridge behind each (address, UDP port).
        self._bridges: dict[tuple[int, int, int], int] = {}

    def decode(self, burst: Burst, rows: I64, now: float) -> FlowBatch:
        """Decode datagrams `rows` of the burst, in arrival order."""
        self.counters.count("datagrams", len(rows))
        if self._plain is not None and (batch := self._plain.decode(burst, rows, now)) is not None:
            return batch
        whole = burst.length[rows] >= _HEADER
        self.counters.count("datagram_cut", len(rows) - int(np.count_nonzero(whole)))
        rows = rows[whole]
        header = Octets(burst.data).take(starts(burst, rows), _HEADER)
        domain, zero = field32(header, 12), np.zeros(len(rows), np.uint64)
        exporter = self._exporters.rows(
            IPFIX, burst.address_hi[rows], burst.address_lo[rows], zero, zero, domain, now
        )
        known = exporter >= 0
        self.counters.count("exporter_refused", len(known) - int(np.count_nonzero(known)))
        rows, header, exporter = rows[known], header[known], exporter[known]
        start = starts(burst, rows)
        told, there = field16(header, 2).astype(np.int64), burst.length[rows].astype(np.int64)
        self.counters.count("message_cut", int(np.count_nonzero(told > there)))
        self.counters.count("message_trailing", int(np.count_nonzero(told < there)))
        messages = Messages(exporter.astype(np.int64), start + _HEADER, start + np.minimum(told, there))
        heard = self._records.decode(burst.data.reshape(-1), messages, burst.time, now)
        heard.undecoded |= told > there
        self.counters.count("records", int(heard.records.sum()))
        self._exporters.counted(exporter, heard.records)
        self._sequence(burst, rows, exporter, field32(header, 8), heard, now)
        return heard.batch

    def _sequence(self, burst: Burst, rows: I64, exporter: I32, seq: U32, heard: Heard, now: float) -> None:
        """Account for losses; a message moves the counter by its data records, those of options included."""
        counted = self._counted_with(burst, rows, exporter)
        order = np.argsort(counted, kind="stable")
        row, step, blind = counted[order], heard.records[order], heard.undecoded[order]
        goes_on = row[1:] == row[:-1]
        # How many records a message has whose template is not known, only the message behind it tells.
        gap = (seq[order][1:] - seq[order][:-1]).astype(np.int64)
        step[:-1] = np.where(goes_on & blind[:-1] & (gap >= step[:-1]) & (gap < 1 << 16), gap, step[:-1])
        self._exporters.sequence(row, seq[order], step.astype(np.uint32), now)
        newest = ~np.append(goes_on, np.False_)[: len(row)]
        self._exporters.resume(row[blind & newest & (row >= 0)])

    def _counted_with(self, burst: Burst, rows: I64, exporter: I32) -> I32:
        """Row that each message counts with: its own, but for Open vSwitch's reports on itself.

        Those come in domain 0 and move the counter of the bridge that sends them, which is known by
        its UDP port; where it is not known they count with nobody (row -1).
        """
        bridge, report = self._records.ovs[exporter], self._records.ovs_statistics[exporter]
        defining = np.nonzero(bridge & self._records.defined[exporter])[0]
        for at in defining[np.unique(exporter[defining], return_index=True)[1]]:
            self._meet_bridge(_process(burst, int(rows[at])), int(exporter[at]))
        counted = exporter.copy()
        for at in np.nonzero(report & ~bridge)[0][:_MAX_REPORTS]:
            counted[at] = self._bridges.get(_process(burst, int(rows[at])), -1)
        return counted

    def _meet_bridge(self, process: tuple[int, int, int], row: int) -> None:
        if len(self._bridges) >= len(self._records.ovs):
            self._bridges.clear()
        self._bridges[process] = row


def _process(burst: Burst, at: int) -> tuple[int, int, int]:
    return int(burst.address_hi[at]), int(burst.address_lo[at]), int(burst.port[at])


def parse(content: bytes, *, options: bool, counters: Counters, fields: int) -> list[Definition]:
    """Read the templates of one set (3.4.1), or options templates (3.4.2); no fields is a withdrawal."""
    found: list[Definition] = []
    at, own = 0, _OPTIONS_SET if options else _TEMPLATE_SET
    while at + 4 <= len(content) and any(content[at:]):
        template, count = struct.unpack_from(">HH", content, at)
        at += 4
        if not count:
            if template >= FIRST_ID or template == own:
                found.append(Definition(template))
            else:
                counters.count("template_id")
            continue
        scopes = 0
        if options:
            scopes = int.from_bytes(content[at : at + 2])
            at += 2
        specifiers, at = _specifiers(content, at, count)
        if len(specifiers) < count:
            counters.count("template_cut")
            return found
        if _acceptable(template, specifiers, scopes, counters, options=options, fields=fields):
            found.append(Definition(template, tuple(specifiers), scopes))
    return found


def _specifiers(content: bytes, at: int, count: int) -> tuple[list[Field], int]:
    """Read field specifiers (3.2), fewer than `count` where the set ends before."""
    found = []
    for _ in range(count):
        if at + 4 > len(content):
            break
        element, length = struct.unpack_from(">HH", content, at)
        at += 4
        enterprise = 0
        if element & _ENTERPRISE:
            if at + 4 > len(content):
                break
            enterprise = int.from_bytes(content[at : at + 4])
            at += 4
        found.append(Field(element & ~_ENTERPRISE, enterprise, length))
    return found, at


def _acceptable(
    template: int, specifiers: list[Field], scopes: int, counters: Counters, *, options: bool, fields: int
) -> bool:
    reasons = {
        "template_id": template < FIRST_ID,
        "template_fields": len(specifiers) > fields,
        "template_scopes": options and not 0 < scopes <= len(specifiers),
    }
    for reason in (r for r, is_so in reasons.items() if is_so):
        counters.count(reason)
        return False
    return True
