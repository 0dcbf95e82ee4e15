"""sFlow by the compiled core: the datagrams of a burst in two calls; as wire/sflow.py does it in columns."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, TypeAlias

import numpy as np

from sekisho import native
from sekisho.flows.wire.datagrams import PLACES, Datagrams
from sekisho.flows.wire.protocol import SFLOW

if TYPE_CHECKING:
    import ctypes

    from sekisho.flows.exporters import Exporters
    from sekisho.flows.exporters_compiled import CompiledExporters
    from sekisho.flows.wire.protocol import Counters
    from sekisho.tables import I32, I64, U32, Burst, FlowBatch

# The structures `opened` and `samples` of native/sflow.c: the names of their places, in order.
_OPENED: Final = (
    *PLACES,
    *("known", "sequences", "steps", "protocol", "most_samples"),
    *("hi", "lo", "agent_hi", "agent_lo", "domain", "sequence", "body", "end", "count", "row"),
    *("unknown", "agents_unknown", "cut", "items", "packets"),
)
_TOLD: Final = (
    *("flow_samples", "samples_over_cap", "samples_missing", "samples_length_lies", "sample_short"),
    *("samples_unknown", "records_over_cap", "records_missing", "records_length_lies"),
    *("record_short", "header_length_lies", "header_protocol_unknown"),
    *("sample_implausible", "sample_without_packet"),
)
_SAMPLES: Final = (
    *("from", "body", "end", "count", "row"),
    *("most_samples", "most_records", "most_rate", "most_octets", "records"),
    *("owner", "kind", "begins", "ends", "others", "wrong", *_TOLD),
)
_WIDE: Final = ("hi", "lo", "agent_hi", "agent_lo")
_PLACES: Final = ("body", "end", "count")


# Samples of counters: exporters by datagram; the datagram and kind of each sample, where it begins and ends.
Counting: TypeAlias = "tuple[I32, tuple[I64, U32, I64, I64]]"


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
        self._opened.point(known=core.table, sequences=core.sequences)
        self._opened.put(protocol=SFLOW, most_samples=most[0])
        names = "most_samples", "most_records", "most_rate", "most_octets"
        self._samples.put(**dict(zip(names, most, strict=True)))
        self._samples.point(records=exporters.records, **{"from": self._opened.structure})
        self._room = self._items = -1

    def decode(self, burst: Burst, rows: I64, now: float) -> tuple[FlowBatch, Counting | None] | None:
        """Decode samples of packets, and find those of counters; None where the burst is not as needed."""
        if not self._datagrams.are(burst, rows):
            return None
        if len(rows) > self._room:
            self._make_room(len(rows))
        n, items, room = self._open(now)
        if items > self._items:
            self._make_items(items)
        block = native.block(room)
        told = self._library.sk_sflow_decode(self._samples.address, block.address, room, n, burst.time)
        counting = self._samples.told("others")
        self._counters.count("flow_samples", self._samples.told("flow_samples"))
        if self._samples.told("wrong"):
            self._complain()
        return block.batch(told), self._counting(counting, n) if counting else None

    def _counting(self, found: int, n: int) -> Counting:
        owner, begins, ends = self._others[:, :found]
        return self._row[:n], (owner, self._kind[:found], begins, ends)

    def _complain(self) -> None:
        complaints = zip(_TOLD[1:], self._samples.tail(_TOLD[1]), strict=True)
        for complaint, times in complaints:
            self._counters.count(complaint, times)

    def _open(self, now: float) -> tuple[int, int, int]:
        """Find whole datagrams of exporters with a row: how many, and most items and samples they hold."""
        self._exporters.begin(now)
        n = self._library.sk_sflow_open(self._opened.address, now, self._exporters.clock)
        new, agents_unknown, cut, items, packets = self._opened.tail("unknown")
        if agents_unknown or cut:
            self._counters.count("agent_address_unknown", agents_unknown)
            self._counters.count("datagram_cut", cut)
        return (self._meet(n, now) if new else n), items, packets

    def _meet(self, n: int, now: float) -> int:
        """Make rows for new exporters; what is of none that got a row goes. How many datagrams are left."""
        row, (hi, lo, agent_hi, agent_lo) = self._row[:n], self._wide[:, :n]
        self._exporters.meet(row, SFLOW, (hi, lo, agent_hi, agent_lo, self._domain[:n]), now)
        self._exporters.sequence(row, self._sequence[:n], self._steps[:n], now)
        known = np.flatnonzero(row >= 0)
        self._counters.count("datagrams_refused", n - len(known))
        self._row[: len(known)] = row[known]
        self._places[:, : len(known)] = self._places[:, known]
        return len(known)

    def _make_room(self, datagrams: int) -> None:
        self._room = datagrams
        self._wide = np.zeros((len(_WIDE), datagrams), np.uint64)
        self._places = np.zeros((len(_PLACES), datagrams), np.int64)
        self._row = np.zeros(datagrams, np.int32)
        self._domain, self._sequence, self._steps = np.ones((3, datagrams), np.uint32)
        self._opened.point(**dict(zip(_WIDE, self._wide, strict=True)))
        self._opened.point(**dict(zip(_PLACES, self._places, strict=True)))
        self._opened.point(row=self._row, domain=self._domain, sequence=self._sequence, steps=self._steps)
        self._samples.point(row=self._row, **dict(zip(_PLACES, self._places, strict=True)))

    def _make_items(self, items: int) -> None:
        """Have room for so many samples of counters, and what else is no sample of a packet."""
        self._items = items
        self._others, self._kind = np.empty((3, items), np.int64), np.empty(items, np.uint32)
        owner, begins, ends = self._others
        self._samples.point(owner=owner, begins=begins, ends=ends, kind=self._kind)


def compiled_sflow(
    exporters: Exporters, counters: Counters, most: tuple[int, int, int, int]
) -> CompiledSflow | None:
    """Make it where there is the compiled core."""
    if native.LIBRARY is None or exporters.core is None:
        return None
    return CompiledSflow(native.LIBRARY, exporters.core, exporters, counters, most)
