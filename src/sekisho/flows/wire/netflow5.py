"""NetFlow version 5 (Cisco, "NetFlow Export Datagram Format"): fixed records, IPv4 only."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np

from sekisho import native
from sekisho.flows.wire.gather import Octets, field16, field32, starts
from sekisho.flows.wire.netflow5_compiled import compiled_netflow5
from sekisho.flows.wire.protocol import NETFLOW5, Counters
from sekisho.tables import FLAGS_KNOWN, FlowBatch, map_v4

if TYPE_CHECKING:
    import ctypes

    from sekisho.flows.exporters import Exporters
    from sekisho.flows.wire.protocol import DecodeSettings
    from sekisho.tables import I32, I64, U8, U16, U32, Burst

HEADER: Final = 24
RECORD: Final = 48
RECORDS: Final = 30  # no datagram has more
SAMPLING: Final = 0x3FFF  # the two bits above say how packets are picked
# How sure we get of one reading of flow_sequence before we stop counting for it.
SURE: Final = 8


class Netflow5:
    """Decoder of NetFlow v5. Counts are scaled by the sampling interval of each header."""

    name = "netflow5"
    mark = (0xFFFF_0000, 0x0005_0000)

    def __init__(self, exporters: Exporters, settings: DecodeSettings) -> None:
        del settings  # nothing is remembered that could grow
        self.counters = Counters()
        self._exporters = exporters
        self._numbering = Numbering(exporters)
        self._compiled = compiled_netflow5(exporters, self._numbering.columns(), (RECORDS, SAMPLING, SURE))

    def decode(self, burst: Burst, rows: I64, now: float) -> FlowBatch:
        """Decode datagrams to one row per flow record."""
        self.counters.count("datagrams", len(rows))
        if self._compiled is not None and (batch := self._compiled.decode(burst, rows, now)) is not None:
            self.counters.count("records", len(batch))
            return batch
        octets = Octets(burst.data)
        whole = burst.length[rows] >= HEADER
        self.counters.count("datagram_cut", int(np.count_nonzero(~whole)))
        rows = rows[whole]
        start = starts(burst, rows)
        head = octets.take(start, HEADER)
        claimed = field16(head, 2).astype(np.int64)
        present = self._present(claimed, burst.length[rows].astype(np.int64))

        sources = burst.address_hi[rows], burst.address_lo[rows]
        no_agent = np.zeros(len(rows), np.uint64)
        engine = field16(head, 20).astype(np.uint32)  # type and id, an octet each
        exporter = self._exporters.rows(NETFLOW5, *sources, no_agent, no_agent, engine, now)
        self._numbering.account(exporter, field32(head, 16), np.minimum(claimed, RECORDS), now)
        ours = exporter >= 0
        self.counters.count("datagrams_refused", int(np.count_nonzero(~ours)))
        present[~ours] = 0
        self._exporters.counted(exporter, present)
        self.counters.count("records", int(present.sum()))

        interval = field16(head, 22) & np.uint16(SAMPLING)
        if native.LIBRARY is not None:
            return _compiled_records(native.LIBRARY, octets, start, (present, exporter, interval), burst.time)
        datagram = np.repeat(np.arange(len(rows)), present)
        nth = np.arange(len(datagram)) - np.repeat(np.cumsum(present) - present, present)
        batch = _records(octets.take(start[datagram] + HEADER + nth * RECORD, RECORD))
        batch.time.fill(burst.time)
        batch.exporter[:] = exporter[datagram]
        _scale(batch, interval[datagram])
        return batch

    def _present(self, claimed: I64, length: I64) -> I64:
        """How many records each datagram really has."""
        room = (length - HEADER) // RECORD
        self.counters.count("count_over_30", int(np.count_nonzero(claimed > RECORDS)))
        claimed = np.minimum(claimed, RECORDS)
        self.counters.count("records_missing", int(np.maximum(claimed - room, 0).sum()))
        self.counters.count("count_zero", int(np.count_nonzero(claimed == 0)))
        return np.minimum(claimed, room)


def _compiled_records(
    library: ctypes.CDLL, octets: Octets, start: I64, told: tuple[I64, I32, U16], time: float
) -> FlowBatch:
    """Let the compiled core read the records; `told`: how many, of which exporter, 1 of how many packets."""
    total = int(told[0].sum())
    block = native.block(total)
    where = [column.ctypes.data for column in (start, *told)]
    library.sk_records5(*octets.memory, *where, len(start), time, block.address, total)
    return block.batch(total)


def _records(told: U8) -> FlowBatch:
    batch = FlowBatch.empty(len(told))
    batch.ip_version.fill(4)
    batch.src_lo[:], batch.dst_lo[:] = map_v4(field32(told, 0)), map_v4(field32(told, 4))
    batch.in_if[:], batch.out_if[:] = field16(told, 12), field16(told, 14)
    batch.packets[:], batch.bytes[:] = field32(told, 16), field32(told, 20)
    batch.src_port[:], batch.dst_port[:] = field16(told, 32), field16(told, 34)
    batch.protocol[:] = told[:, 38]
    flags = told[:, 37].astype(np.uint16) | np.uint16(FLAGS_KNOWN)
    batch.tcp_flags[:] = np.where(batch.protocol == 6, flags, np.uint16(0))
    return batch


def _scale(batch: FlowBatch, interval: U16) -> None:
    # An interval of 0 is an exporter that does not sample: version 5 has no other way to say so.
    batch.rate[:] = np.maximum(interval, 1)
    batch.packets *= batch.rate
    batch.bytes *= batch.rate


class Numbering:
    """What an exporter means by flow_sequence, found out by watching.

    Cisco's is the number of flows sent before the datagram; Open vSwitch's (`netflow_cnt`) that of
    the datagram's own last flow, from 0. The two differ only where datagrams of different sizes
    follow each other: the step between them is the size of the earlier one, or of the later.
    """

    def __init__(self, exporters: Exporters) -> None:
        n = exporters.settings.total
        self._exporters = exporters
        self._generation = np.zeros(n, np.int64)
        self._votes = np.zeros(n, np.int64)  # over 0: as Open vSwitch numbers
        self._sequence, self._count = np.zeros(n, np.int64), np.zeros(n, np.int64)

    def columns(self) -> dict[str, I64]:
        """Give the columns by exporter to the compiled core, by the names they have there."""
        found = {"numbered": self._generation, "votes": self._votes}
        return {**found, "last": self._sequence, "count": self._count}

    def account(self, exporter: I32, sequence: U32, count: I64, now: float) -> None:
        """Account for losses with each datagram's sequence read as the number of flows before it."""
        known = np.nonzero(exporter >= 0)[0]
        order = known[np.argsort(exporter[known], kind="stable")]
        self._watch(exporter[order], sequence[order].astype(np.int64), count[order])
        to_last = self._votes[np.maximum(exporter, 0)] > 0
        before = np.where(to_last, sequence.astype(np.int64) + 1 - count, sequence.astype(np.int64))
        step = count.astype(np.uint32)
        self._exporters.sequence(exporter, (before & 0xFFFF_FFFF).astype(np.uint32), step, now)

    def _watch(self, rows: I32, sequence: I64, count: I64) -> None:
        """Vote on the numbering of datagrams sorted by exporter, each one's in arrival order."""
        if not len(rows):
            return
        opens = np.ones(len(rows), np.bool_)
        opens[1:] = rows[1:] != rows[:-1]
        new = opens & (self._generation[rows] != self._exporters.generation[rows])
        # A numbering that begins with its own count, less one, can only be Open vSwitch's.
        self._votes[rows[new]] = (sequence[new] > 0) & (sequence[new] + 1 == count[new])
        last, size = np.roll(sequence, 1), np.roll(count, 1)
        last[opens], size[opens] = self._sequence[rows[opens]], self._count[rows[opens]]
        step = np.where(new, -1, (sequence - last) & 0xFFFF_FFFF)
        was = self._votes[rows] > 0
        np.add.at(self._votes, rows, (step == count).astype(np.int64) - (step == size))
        self._votes[rows] = np.clip(self._votes[rows], -SURE, SURE)
        self._exporters.resume(rows[was != (self._votes[rows] > 0)])
        self._sequence[rows], self._count[rows] = sequence, count
        self._generation[rows] = self._exporters.generation[rows]
