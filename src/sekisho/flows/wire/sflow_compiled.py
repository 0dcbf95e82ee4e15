"""sFlow by the compiled core: the datagrams of a burst in two calls; as wire/sflow.py does it in columns."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np

from sekisho import native
from sekisho.flows.wire.datagrams import Datagrams
from sekisho.flows.wire.protocol import SFLOW

if TYPE_CHECKING:
    import ctypes

    from sekisho.flows.exporters import Exporters
    from sekisho.flows.exporters_compiled import CompiledExporters
    from sekisho.flows.wire.protocol import Counters
    from sekisho.tables import I32, I64, U32, Burst, FlowBatch

# The structures `opened` and `samples` of native/sflow.c: the names of their places, in order.
_OPENED: Final = (
    *("at", "size", "slot", "length", "address_hi", "address_lo", "chosen", "n"),
    *("known", "protocol", "now", "clock"),
    *("hi", "lo", "agent_hi", "agent_lo", "domain", "sequence", "body", "end", "count", "row"),
    *("unknown", "agents_unknown", "cut"),
)
_TOLD: Final = (
    *("samples_over_cap", "samples_missing", "samples_length_lies", "sample_short", "flow_samples"),
    *("samples_unknown", "records_over_cap", "records_missing", "records_length_lies"),
    *("record_short", "header_length_lies", "header_protocol_unknown"),
    *("sample_implausible", "sample_without_packet"),
)
_SAMPLES: Final = (
    *("at", "size", "body", "end", "count", "row", "n"),
    *("most_samples", "most_records", "most_rate", "most_octets", "records", "time"),
    *("owner", "kind", "begins", "ends", "others", *_TOLD),
)
_WIDE: Final = ("hi", "lo", "agent_hi", "agent_lo")
_PLACES: Final = ("body", "end", "count")
# The fewest octets that an item takes, and a sample of a packet.
_ITEM, _SAMPLE = 8, 40


class CompiledSflow:
    """What the core needs to decode sFlow. `most`: samples, records, rate and octets, as Sflow has them."""

    def __init__(
        self,
        library: ctypes.CDLL,
        core: CompiledExporters,
        exporters: Exporters,
        counters: Counters,
        most: tuple[int, int, int, int],
    ) -> None:
        self._library, self._exporters, self._counters = library, exporters, counters
        self._opened, self._samples = native.Places(*_OPENED), native.Places(*_SAMPLES)
        self._datagrams = Datagrams(self._opened)
        self._opened.point(known=core.table)
        self._opened.put(protocol=SFLOW)
        names = "most_samples", "most_records", "most_rate", "most_octets"
        self._samples.put(**dict(zip(names, most, strict=True)))
        self._samples.point(records=exporters.records)
        self._room = -1

    def decode(
        self, burst: Burst, rows: I64, now: float
    ) -> tuple[FlowBatch, I32, tuple[I64, U32, I64, I64]] | None:
        """Decode samples of packets; tell each datagram's exporter, and which samples of counters there are.

        Of those: the datagram of each, its kind, and where its contents begin and end. None where the burst
        is not as the core needs it.
        """
        if not self._datagrams.are(burst, rows):
            return None
        if len(rows) > self._room:
            self._make_room(len(rows))
        body, end, count, row = self._open(now)
        most = np.minimum(count, self._samples.told("most_samples"))
        octets = np.maximum(end - body, 0)
        others = int(np.minimum(most, octets // _ITEM).sum())
        room = int(np.minimum(most, octets // _SAMPLE).sum())
        samples, kind = np.empty((3, others), np.int64), np.empty(others, np.uint32)
        self._samples.point(at=burst.data, body=body, end=end, count=count, row=row)
        self._samples.point(owner=samples[0], begins=samples[1], ends=samples[2], kind=kind)
        self._samples.put(size=burst.data.size, n=len(row))
        self._samples.put_real(time=burst.time)
        batch, _, columns = native.fresh(room)
        told = int(self._library.sk_sflow_decode(self._samples.address, columns.address, room))
        for complaint, times in zip(_TOLD, self._samples.tail(_TOLD[0]), strict=True):
            self._counters.count(complaint, times)
        n = self._samples.told("others")
        owner, begins, ends = samples[:, :n]
        return batch if told == room else batch.take(slice(told)), row, (owner, kind[:n], begins, ends)

    def _open(self, now: float) -> tuple[I64, I64, I64, I32]:
        """Find where the samples of each whole datagram of an exporter with a row are, and that row."""
        self._exporters.begin(now)
        self._opened.put_real(now=now, clock=self._exporters.clock)
        n = int(self._library.sk_sflow_open(self._opened.address))
        self._counters.count("agent_address_unknown", self._opened.told("agents_unknown"))
        self._counters.count("datagram_cut", self._opened.told("cut"))
        row, domain = self._row[:n], self._domain[:n]
        body, end, count = self._places[:, :n]
        new = self._opened.told("unknown")
        if new:
            hi, lo, agent_hi, agent_lo = self._wide[:, :n]
            self._exporters.meet(row, SFLOW, (hi, lo, agent_hi, agent_lo, domain), now)
        self._exporters.sequence(row, self._sequence[:n], self._steps[:n], now)
        if not new or bool((known := row >= 0).all()):
            return body, end, count, row
        self._counters.count("datagrams_refused", n - int(np.count_nonzero(known)))
        return body[known], end[known], count[known], row[known]

    def _make_room(self, datagrams: int) -> None:
        self._room = datagrams
        self._wide = np.zeros((len(_WIDE), datagrams), np.uint64)
        self._places = np.zeros((len(_PLACES), datagrams), np.int64)
        self._row = np.zeros(datagrams, np.int32)
        self._domain, self._sequence, self._steps = np.ones((3, datagrams), np.uint32)
        self._opened.point(**dict(zip(_WIDE, self._wide, strict=True)))
        self._opened.point(**dict(zip(_PLACES, self._places, strict=True)))
        self._opened.point(row=self._row, domain=self._domain, sequence=self._sequence)


def compiled_sflow(
    exporters: Exporters, counters: Counters, most: tuple[int, int, int, int]
) -> CompiledSflow | None:
    """Make it where there is the compiled core."""
    if native.LIBRARY is None or exporters.core is None:
        return None
    return CompiledSflow(native.LIBRARY, exporters.core, exporters, counters, most)
