"""sFlow version 5 (sflow.org/sflow_version_5.txt): flow samples to rows, counter samples to interfaces."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np

from sekisho import native
from sekisho.flows.wire.gather import Octets, field32, field48, field64, starts
from sekisho.flows.wire.headers import fill_ethernet, fill_ipv4, fill_ipv6
from sekisho.flows.wire.interfaces import InterfaceCounters, read_counters, told_by
from sekisho.flows.wire.protocol import SFLOW, Counters, DecodeSettings
from sekisho.flows.wire.sflow_compiled import compiled_sflow
from sekisho.tables import FLAGS_KNOWN, OUT_MULTIPLE, OUT_SINGLE, FlowBatch, map_v4

if TYPE_CHECKING:
    import ctypes

    from sekisho.flows.exporters import Exporters
    from sekisho.tables import F64, I32, I64, U8, U32, Bool, Burst

FLOW: Final = 1
COUNTERS: Final = 2
EXPANDED_FLOW: Final = 3
EXPANDED_COUNTERS: Final = 4
RAW_HEADER: Final = 1
ETHERNET: Final = 2
SAMPLED_IPV4: Final = 3
SAMPLED_IPV6: Final = 4
SWITCH: Final = 1001
HEADER_FILLS: Final = ((1, fill_ethernet), (11, fill_ipv4), (12, fill_ipv6))
MOST_RATE: Final = 10**9  # a sparser sampling is a lie, and so is a longer frame
MOST_OCTETS: Final = 1 << 20
INTERNAL: Final = 0x3FFF_FFFF  # came from, or ended in, the device itself
# An agent address takes 0, 4 or 16 octets by its type: unknown, IPv4, IPv6.
AGENT_SIZES: Final = np.array([0, 4, 16], np.int64)


@dataclass(slots=True)
class Items:
    """Length-prefixed structures found in a row of them: all arrays have one element per item.

    `owner` is the index of the sequence it stands in; `kind` its type; `body` and `end` where its
    contents begin and end in the slab.
    """

    owner: I64
    kind: U32
    body: I64
    end: I64

    def of(self, kind: int) -> Items:
        """Pick the items of one kind."""
        return self.at(np.nonzero(self.kind == kind)[0])

    def at(self, chosen: I64) -> Items:
        """Pick items by index."""
        return Items(self.owner[chosen], self.kind[chosen], self.body[chosen], self.end[chosen])

    def last(self) -> Items:
        """Pick the last item of each sequence that has several."""
        owners, behind = np.unique(self.owner[::-1], return_index=True)
        return self if len(owners) == len(self.owner) else self.at(len(self.owner) - 1 - behind)

    def in_order(self) -> Items:
        """Sort by place in the slab: by sequence, and as they stand in it."""
        return self if native.LIBRARY is not None else self.at(np.argsort(self.body))

    def long_enough(self, least: int, counters: Counters, complaint: str) -> Items:
        """Pick the items of at least so many octets; count the others."""
        right = self.end - self.body >= least
        if right.all():
            return self
        counters.count(complaint, int(np.count_nonzero(~right)))
        return self.at(np.nonzero(right)[0])


@dataclass(slots=True)
class Samples:
    """Flow samples, compact and expanded alike: one element per sample."""

    datagram: I64
    rate: U32
    in_if: U32
    out_if: U32
    out_format: U8
    records: I64  # how many it says it has
    body: I64  # where they begin
    end: I64


class Sflow:
    """Decoder of sFlow v5; `interface_counters` has what counter samples told last."""

    name = "sflow"
    mark = (0xFFFF_FFFF, 5)

    def __init__(self, exporters: Exporters, settings: DecodeSettings) -> None:
        self.counters = Counters()
        self.interface_counters = InterfaceCounters(exporters, settings.interfaces)
        self._exporters = exporters
        self._settings = settings
        most = settings.samples, settings.records, MOST_RATE, MOST_OCTETS
        self._compiled = compiled_sflow(exporters, self.counters, most)

    def decode(self, burst: Burst, rows: I64, now: float) -> FlowBatch:
        """Decode datagrams to one row per flow sample that holds a packet."""
        self.counters.count("datagrams", len(rows))
        decoded = self._compiled and self._compiled.decode(burst, rows, now)
        if decoded:
            batch, counting = decoded
            if counting:
                exporter, found = counting
                self._count_interfaces(Octets(burst.data), Items(*found), exporter, burst.time)
            self.counters.count("records", len(batch))
            return batch
        octets, start = Octets(burst.data), starts(burst, rows)
        exporter, body, end, count = self._open(octets, burst, rows, start, now)
        samples = walk(octets, body, end, count, self._settings.samples, self.counters, "samples").in_order()
        self._count_interfaces(octets, samples, exporter, burst.time)
        flows = self._flow_samples(octets, samples)
        batch = self._packets(octets, flows, exporter, burst.time)
        unknown = (samples.kind < FLOW) | (samples.kind > EXPANDED_COUNTERS)
        self.counters.count("samples_unknown", int(np.count_nonzero(unknown)))
        self.counters.count("records", len(batch))
        return batch

    def _open(
        self, octets: Octets, burst: Burst, rows: I64, start: I64, now: float
    ) -> tuple[I32, I64, I64, I64]:
        """Find each whole datagram's exporter, first sample, end, and number of samples."""
        end = start + burst.length[rows]
        head = octets.take(start, 40)
        kind = field32(head, 4)
        known = kind < len(AGENT_SIZES)
        size = AGENT_SIZES[np.where(known, kind, np.uint32(0))]
        whole = end - start >= 24 + size
        self.counters.count("agent_address_unknown", int(np.count_nonzero(~known)))
        self.counters.count("datagram_cut", int(np.count_nonzero(known & ~whole)))
        good = known & whole
        if not good.all():
            rows, start, end, head, size = rows[good], start[good], end[good], head[good], size[good]
        four = size == 4
        agent_hi = np.where(size == 16, field64(head, 8), np.uint64(0))
        agent_lo = np.where(four, map_v4(field32(head, 8)), field64(head, 16))
        agent_lo[size == 0] = 0
        told = octets.words(start + 8 + size, 4)  # sub-agent, sequence, uptime, samples
        sources = burst.address_hi[rows], burst.address_lo[rows]
        exporter = self._exporters.rows(SFLOW, *sources, agent_hi, agent_lo, told[:, 0], now)
        self._exporters.sequence(exporter, told[:, 1], np.ones(len(rows), np.uint32), now)
        ours = exporter >= 0
        self.counters.count("datagrams_refused", int(np.count_nonzero(~ours)))
        body = start + 24 + size
        return exporter[ours], body[ours], end[ours], told[ours, 3].astype(np.int64)

    def _flow_samples(self, octets: Octets, samples: Items) -> Samples:
        compact = samples.of(FLOW).long_enough(32, self.counters, "sample_short")
        expanded = samples.of(EXPANDED_FLOW).long_enough(44, self.counters, "sample_short")
        self.counters.count("flow_samples", len(compact.owner) + len(expanded.owner))
        if not len(expanded.owner):
            return _compact(octets, compact)
        if not len(compact.owner):
            return _expanded(octets, expanded)
        return _join(_compact(octets, compact), _expanded(octets, expanded))

    def _packets(self, octets: Octets, flows: Samples, exporter: I32, time: float) -> FlowBatch:
        records = walk(
            octets, flows.body, flows.end, flows.records, self._settings.records, self.counters, "records"
        )
        batch = FlowBatch.empty(len(flows.datagram))
        length = np.full(len(batch), -1.0)
        self._sampled_fields(octets, records, batch, length)
        self._raw_headers(octets, records.of(RAW_HEADER).last(), batch, length)
        batch.time.fill(time)
        batch.exporter[:] = exporter[flows.datagram]
        batch.in_if, batch.out_if, batch.out_format = flows.in_if, flows.out_if, flows.out_format
        batch.rate[:] = flows.rate
        # A rate of 0 is not one: such a sample stands for itself.
        batch.packets[:] = np.maximum(flows.rate, 1)
        batch.bytes[:] = batch.packets * length
        lies = (flows.rate > MOST_RATE) | (length > MOST_OCTETS)
        held = (length >= 0) & ~lies
        np.add.at(self._exporters.records, batch.exporter[held], 1)
        if held.all():
            return batch
        self.counters.count("sample_implausible", int(np.count_nonzero(lies)))
        self.counters.count("sample_without_packet", int(np.count_nonzero(~held & ~lies)))
        return batch.take(held)

    def _raw_headers(self, octets: Octets, raw: Items, batch: FlowBatch, length: F64) -> None:
        raw = raw.long_enough(16, self.counters, "record_short")
        told = octets.words(raw.body, 4)  # header protocol, frame length, stripped, header length
        length[raw.owner] = told[:, 1]
        start = raw.body + 16
        end = start + told[:, 3].astype(np.int64)
        lies = end > raw.end
        if lies.any():
            self.counters.count("header_length_lies", int(np.count_nonzero(lies)))
            end = np.minimum(end, raw.end)
        unknown = len(raw.owner)
        for protocol, fill in HEADER_FILLS:
            mine = told[:, 0] == protocol
            found = int(np.count_nonzero(mine))
            unknown -= found
            if found == len(mine):
                fill(batch, raw.owner, octets, start, end)
            elif found:
                fill(batch, raw.owner[mine], octets, start[mine], end[mine])
        self.counters.count("header_protocol_unknown", unknown)

    def _sampled_fields(self, octets: Octets, records: Items, batch: FlowBatch, length: F64) -> None:
        """Fill from records of parsed fields: where a raw header stands beside them, it goes over them."""
        for kind, least, fill in (
            (SWITCH, 16, _fill_switch),
            (ETHERNET, 24, _fill_ethernet),
            (SAMPLED_IPV4, 32, _fill_ipv4),
            (SAMPLED_IPV6, 56, _fill_ipv6),
        ):
            mine = records.of(kind).last()
            if len(mine.owner):
                mine = mine.long_enough(least, self.counters, "record_short")
                fill(octets.take(mine.body, least), mine.owner, batch, length)

    def _count_interfaces(self, octets: Octets, samples: Items, exporter: I32, time: float) -> None:
        for kind, least in ((COUNTERS, 12), (EXPANDED_COUNTERS, 16)):
            mine = samples.of(kind)
            if not len(mine.owner):
                continue
            mine = mine.long_enough(least, self.counters, "sample_short")
            told = octets.words(mine.body, least // 4)
            count = told[:, -1].astype(np.int64)
            cap = self._settings.records
            records = walk(octets, mine.body + least, mine.end, count, cap, self.counters, "records")
            rows, held = read_counters(
                octets, records.owner, records.kind, records.body, records.end, len(mine.owner)
            )
            source = told[:, 1] & np.uint32(0xFF_FFFF) if kind == COUNTERS else told[:, 2]
            rows["ifindex"] = np.where(rows["ifindex"] > 0, rows["ifindex"], source)
            self.counters.count("counter_samples", len(rows))
            rows = told_by(rows, self._exporters, exporter[mine.owner], time)
            refused = self.interface_counters.update(rows[held])
            self.counters.count("interfaces_refused", refused)


def walk(octets: Octets, body: I64, end: I64, count: I64, cap: int, counters: Counters, what: str) -> Items:
    """Walk sequences of (type, length, contents) in lockstep: the nth item of all sequences at once.

    The items come in that order: all first ones, all second ones, and so on. (The compiled core gives
    them by sequence.)

    Sequence i has `count[i]` items, of which at most `cap` are read, between body[i] and end[i].
    A sequence is left at its first item that does not fit; what is wrong is counted.
    """
    if native.LIBRARY is not None:
        return _walk_compiled(native.LIBRARY, octets, body, end, count, cap, counters, what)
    over = int(np.count_nonzero(count > cap))
    counters.count(f"{what}_over_cap", over)
    left = np.minimum(count, cap) if over else count
    found: list[tuple[I64, U32, I64, I64]] = []
    owner = np.nonzero(left > 0)[0]
    at, end, left = body[owner], end[owner], left[owner]
    while len(owner):
        fits = at + 8 <= end
        if not fits.all():
            counters.count(f"{what}_missing", int(np.count_nonzero(~fits)))
            owner, at, end, left = owner[fits], at[fits], end[fits], left[fits]
        head = octets.words(at, 2)
        begin = at + 8
        after = begin + head[:, 1]
        kind = head[:, 0]
        fits = after <= end
        if not fits.all():
            counters.count(f"{what}_length_lies", int(np.count_nonzero(~fits)))
            owner, begin, after, kind = owner[fits], begin[fits], after[fits], kind[fits]
            end, left = end[fits], left[fits]
        found.append((owner, kind, begin, after))
        left = left - 1
        at = after
        more = left > 0
        if not more.all():
            owner, at, end, left = owner[more], at[more], end[more], left[more]
    return _joined(found)


def _walk_compiled(
    library: ctypes.CDLL,
    octets: Octets,
    body: I64,
    end: I64,
    count: I64,
    cap: int,
    counters: Counters,
    what: str,
) -> Items:
    body, end, count = (np.ascontiguousarray(column, np.int64) for column in (body, end, count))
    room = int(np.minimum(np.minimum(count, cap), np.maximum(end - body, 0) // 8).sum())
    told, owner, begin, after = np.zeros(3, np.int64), *np.empty((3, room), np.int64)
    kind: U32 = np.empty(room, np.uint32)
    columns = [column.ctypes.data for column in (owner, kind, begin, after, told)]
    found = library.sk_items_of(
        *(*octets.memory, body.ctypes.data, end.ctypes.data, count.ctypes.data, len(body), cap, *columns)
    )
    for complaint, n in zip(("over_cap", "missing", "length_lies"), told.tolist(), strict=True):
        counters.count(f"{what}_{complaint}", n)
    return Items(owner[:found], kind[:found], begin[:found], after[:found])


def _joined(found: list[tuple[I64, U32, I64, I64]]) -> Items:
    if not found:
        none = np.zeros(0, np.int64)
        return Items(none, none.astype(np.uint32), none, none)
    return Items(*(np.concatenate(column) for column in zip(*found, strict=True)))


def _compact(octets: Octets, items: Items) -> Samples:
    told = octets.words(items.body, 8)
    value = told[:, 6] & np.uint32(INTERNAL)
    in_if = np.where(told[:, 5] >> np.uint32(30) == 0, told[:, 5], np.uint32(0))
    return _samples(items, told[:, 2], in_if, told[:, 6] >> np.uint32(30), value, told[:, 7], 32)


def _expanded(octets: Octets, items: Items) -> Samples:
    told = octets.words(items.body, 11)
    in_if = np.where(told[:, 6] == 0, told[:, 7], np.uint32(0))
    return _samples(items, told[:, 3], in_if, told[:, 8], told[:, 9], told[:, 10], 44)


def _samples(
    items: Items, rate: U32, in_if: U32, out_format: U32, out_value: U32, records: U32, size: int
) -> Samples:
    # With another format the value is a reason or a number of interfaces, not an interface.
    single = (out_format == OUT_SINGLE) & _is_interface(out_value)
    return Samples(
        datagram=items.owner,
        rate=rate,
        in_if=np.where(_is_interface(in_if), in_if, np.uint32(0)),
        out_if=np.where(single, out_value, np.uint32(0)),
        out_format=np.where(out_format <= OUT_MULTIPLE, out_format, np.uint32(OUT_SINGLE)).astype(np.uint8),
        records=records.astype(np.int64),
        body=items.body + size,
        end=items.end,
    )


def _is_interface(value: U32) -> Bool:
    known: Bool = (value & np.uint32(INTERNAL)) != INTERNAL
    return known


def _join(one: Samples, other: Samples) -> Samples:
    both = {name: np.concatenate([getattr(one, name), getattr(other, name)]) for name in Samples.__slots__}
    order = np.argsort(both["body"])
    return Samples(**{name: column[order] for name, column in both.items()})


def _fill_switch(told: U8, owner: I64, batch: FlowBatch, _length: F64) -> None:
    vlan = field32(told, 0)
    batch.vlan[owner] = np.where(vlan < 4095, vlan, np.uint32(0))


def _fill_ethernet(told: U8, owner: I64, batch: FlowBatch, length: F64) -> None:
    length[owner] = field32(told, 0)
    batch.src_mac[owner], batch.dst_mac[owner] = field48(told, 4), field48(told, 12)


def _fill_ipv4(told: U8, owner: I64, batch: FlowBatch, length: F64) -> None:
    batch.ip_version[owner] = 4
    batch.src_lo[owner], batch.dst_lo[owner] = map_v4(field32(told, 8)), map_v4(field32(told, 12))
    _fill_ip(told, 0, 16, owner, batch, length)


def _fill_ipv6(told: U8, owner: I64, batch: FlowBatch, length: F64) -> None:
    batch.ip_version[owner] = 6
    batch.src_hi[owner], batch.src_lo[owner] = field64(told, 8), field64(told, 16)
    batch.dst_hi[owner], batch.dst_lo[owner] = field64(told, 24), field64(told, 32)
    _fill_ip(told, 0, 40, owner, batch, length)


def _fill_ip(told: U8, at: int, ports: int, owner: I64, batch: FlowBatch, length: F64) -> None:
    # The length is the packet's alone: a frame's, where one is told, is nearer to what was sent.
    length[owner] = np.where(length[owner] < 0, field32(told, at), length[owner])
    protocol = field32(told, at + 4).astype(np.uint8)
    batch.protocol[owner] = protocol
    batch.src_port[owner] = field32(told, ports).astype(np.uint16)
    batch.dst_port[owner] = field32(told, ports + 4).astype(np.uint16)
    flags = field32(told, ports + 8).astype(np.uint16) & np.uint16(0xFFF) | np.uint16(FLAGS_KNOWN)
    batch.tcp_flags[owner] = np.where(protocol == 6, flags, np.uint16(0))
