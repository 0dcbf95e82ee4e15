"""Messages of a template protocol to flow records: what Netflow9 and Ipfix have in common."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from sekisho import native
from sekisho.flows.wire.compiled import CompiledSets, Programs
from sekisho.flows.wire.elements import DIRECTION, fill
from sekisho.flows.wire.gather import Octets
from sekisho.flows.wire.held import Held, Waiting
from sekisho.flows.wire.layout import Layout, read
from sekisho.flows.wire.limits import (
    MAX_COUNT,
    MAX_LAYOUTS_PER_BURST,
    MAX_RECORDS_PER_BURST,
    MAX_STEPS_PER_BURST,
    OVS_INPUT_MEMORY,
)
from sekisho.flows.wire.sampling import Rates
from sekisho.flows.wire.sets import Sets, locate, walk
from sekisho.flows.wire.templates import FIRST_ID, UNKNOWN, Events, Parser, Templates
from sekisho.tables import FlowBatch

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from sekisho.flows.exporters import Exporters
    from sekisho.flows.wire.layout import Values
    from sekisho.flows.wire.protocol import Counters, DecodeSettings
    from sekisho.tables import F64, I32, I64, U8, Bool

_OUTPUT: Final = 1  # flowDirection (element 61); 0 is input


@dataclass(frozen=True, slots=True)
class Dialect:
    """What differs between the protocols: the ids of template sets and how those are written."""

    template_set: int
    options_set: int
    parse: Parser


@dataclass(slots=True)
class Messages:
    """Messages with a known exporter: its row, and where in the slab their sets begin and end."""

    row: I64
    start: I64
    end: I64


@dataclass(slots=True)
class Heard:
    """What a burst held: flow records, how many data records each message had, and whether it had more."""

    batch: FlowBatch
    records: I64
    undecoded: Bool


@dataclass(slots=True)
class _Group:
    """Data sets of one layout, in one slab, with the exporter row and arrival of each."""

    layout: Layout
    octets: Octets
    sets: Sets
    row: I64
    time: F64
    late: bool  # held until its template came; its messages were counted without it


class RecordDecoder:
    """Decodes the sets of one protocol's messages, and remembers what each exporter row defined."""

    def __init__(
        self, exporters: Exporters, settings: DecodeSettings, counters: Counters, dialect: Dialect
    ) -> None:
        rows = exporters.settings.total
        self.templates = Templates(settings, counters, dialect.parse)
        self.programs = Programs()
        self.rates = Rates(counters)
        self.held = Held(settings, counters, rows)
        self.ovs, self.ovs_statistics = np.zeros(rows, np.bool_), np.zeros(rows, np.bool_)
        self.settings = settings
        self._exporters, self._counters, self.dialect = exporters, counters, dialect
        self.defined = np.zeros(rows, np.bool_)  # whether the burst decoded last defined a template
        self._generation = np.zeros(rows, np.int64)
        self._input_heard = np.full(rows, -np.inf)

    def by_exporter(self) -> dict[str, NDArray[Any]]:
        """Give the compiled core what is known of each exporter's row."""
        return {
            "met": self._generation,
            "ovs": self.ovs,
            "statistics": self.ovs_statistics,
            "input_heard": self._input_heard,
        }

    def plain(self, batch: FlowBatch, *, records: int, implausible: bool) -> FlowBatch:
        """Take over what the compiled core kept of the records of a burst with nothing new in it."""
        self.held.expire(self.templates.clock)
        self._counters.count("records", records)
        self._counters.count("ovs_other_direction", records - len(batch))
        return self._plausible(batch) if implausible else batch

    def decode(self, slab: U8, messages: Messages, time: float, now: float) -> Heard:
        """Decode the messages that lie in `slab` (uint8, flat), in order of arrival."""
        self.templates.begin(now)
        self._meet(messages.row)
        octets = Octets(slab)
        sets = walk(octets, messages.start, messages.end, self._counters)
        self._counters.count("set_id", int(np.count_nonzero(~self._is_meant(sets.id))))
        data, layout, events = self._assign(slab, sets, messages.row[sets.message])
        missing = layout == UNKNOWN
        undecoded = np.zeros(len(messages.row), np.bool_)
        undecoded[data.message[missing]] = True
        waiting = self._waiting(slab, data, messages.row[data.message], time)
        self.held.keep(slab, waiting.take(missing))
        late = self._released(events)
        compiled, columns = self._share(slab, data, waiting.row, layout)
        groups = _grouped(
            self.templates.layouts, octets, waiting.take(columns), data.take(columns), layout[columns]
        )
        records = np.zeros(len(messages.row), np.int64)
        return Heard(self._decode_groups([*groups, *late], compiled, records, time), records, undecoded)

    def _share(self, slab: U8, data: Sets, row: I64, layout: I64) -> tuple[CompiledSets | None, Bool]:
        """Tell which sets the compiled core decodes, and which are left to be decoded in columns."""
        known = layout != UNKNOWN
        if native.LIBRARY is None:
            return None, known
        programs = self.programs
        programs.follow(self.templates.layouts, layout[known])
        compiled = known.copy()
        compiled[known] = programs.address[layout[known]] != 0
        mine = np.flatnonzero(compiled)
        if not len(mine):
            return None, known
        return CompiledSets(native.LIBRARY, slab, data.take(mine), row[mine], layout[mine]), known & ~compiled

    def _is_meant(self, ids: I64) -> Bool:
        meant: Bool = (
            (ids >= FIRST_ID) | (ids == self.dialect.template_set) | (ids == self.dialect.options_set)
        )
        return meant

    def _meet(self, rows: I64) -> None:
        """Forget what a row's former exporter told, where the row was given to another."""
        met = np.unique(rows)
        now = self._exporters.generation[met]
        for row in met[self._generation[met] != now]:
            self.templates.forget(int(row))
            self.rates.forget(int(row))
            self.held.forget(int(row))
            self.ovs[row] = self.ovs_statistics[row] = False
            self._input_heard[row] = -np.inf
        self._generation[met] = now

    def _assign(self, slab: U8, sets: Sets, row: I64) -> tuple[Sets, I64, Events]:
        """Find the layout each data set had when it came, and learn what the burst defines meanwhile."""
        place = np.nonzero(sets.id >= FIRST_ID)[0]
        data = sets.take(place)
        keys = row[place] << 16 | data.id
        layout = self.templates.lookup(keys)
        events = self._learn(slab, sets, row)
        if events:
            _replay(events, keys, place, layout)
        return data, layout, events

    def _learn(self, slab: U8, sets: Sets, row: I64) -> Events:
        events: Events = {}
        options = sets.id == self.dialect.options_set
        self.defined.fill(0)
        for at in np.nonzero((sets.id == self.dialect.template_set) | options)[0]:
            content = slab[sets.start[at] : sets.end[at]].tobytes()
            self.defined[row[at]] = True
            self.templates.learn(int(row[at]), content, options=bool(options[at]), at=int(at), events=events)
        for key, happened in events.items():
            for layout in (self.templates.layouts[number] for _, number in happened if number != UNKNOWN):
                self.ovs[key >> 16] |= layout.is_ovs
                self.ovs_statistics[key >> 16] |= layout.is_ovs_statistics
        return events

    def _waiting(self, slab: U8, data: Sets, row: I64, time: float) -> Waiting:
        since = np.full(len(row), self.templates.clock)
        return Waiting(slab, data.start, data.end, row << 16 | data.id, row, np.full(len(row), time), since)

    def _released(self, events: Events) -> list[_Group]:
        clock = self.templates.clock
        if not events:
            self.held.expire(clock)
            return []
        groups = []
        for waiting in self.held.release(np.fromiter(events, np.int64, len(events)), clock):
            layout = self.templates.lookup(waiting.key)
            there = waiting.take(layout != UNKNOWN)
            groups += _grouped(
                self.templates.layouts,
                Octets(there.slab),
                there,
                there.sets(),
                layout[layout != UNKNOWN],
                late=True,
            )
        return groups

    def _decode_groups(
        self, groups: list[_Group], compiled: CompiledSets | None, records: I64, time: float
    ) -> FlowBatch:
        """Decode options data first, so that the burst's own rates hold for it; count records by message."""
        compiled, layouts = self._bounded(compiled)
        self._counters.count("layout_flood", len(groups[MAX_LAYOUTS_PER_BURST:]))
        groups = groups[:MAX_LAYOUTS_PER_BURST]
        budget = _Budget(MAX_RECORDS_PER_BURST, MAX_STEPS_PER_BURST // max(len(groups) + layouts, 1))
        for group in groups:
            if group.layout.scopes:
                values, owner = self._read(group, budget, records)
                self.rates.learn(group.layout, values, group.row[owner])
                self._counters.count("options_records", len(owner))
        flows = [self._compiled_flows(compiled, budget, records, time)] if compiled else []
        flows += [
            self._flows(group, *self._read(group, budget, records))
            for group in groups
            if not group.layout.scopes
        ]
        return self._plausible(FlowBatch.concat(flows))

    def _bounded(self, compiled: CompiledSets | None) -> tuple[CompiledSets | None, int]:
        """Leave out the sets of more layouts than one burst may use; tell how many layouts there are."""
        if compiled is None:
            return None, 0
        used = np.flatnonzero(np.bincount(compiled.layout, minlength=len(self.templates.layouts)))
        over = used[MAX_LAYOUTS_PER_BURST:]
        self._counters.count("layout_flood", len(over))
        return (compiled.take(~np.isin(compiled.layout, over)) if len(over) else compiled), len(used)

    def _read(self, group: _Group, budget: _Budget, records: I64) -> tuple[Values, I64]:
        at, owner = locate(group.layout, group.octets, group.sets, self._counters, budget.steps)
        if not group.late:
            np.add.at(records, group.sets.message[owner], 1)
        self._counters.count("record_flood", budget.take(len(owner)))
        kept = len(owner) - budget.refused
        return read(group.layout, group.octets, at[:kept]), owner[:kept]

    def _compiled_flows(
        self, compiled: CompiledSets, budget: _Budget, records: I64, time: float
    ) -> FlowBatch:
        heard, clock = self._input_heard, self.templates.clock
        directions = self.settings.ovs_directions
        total = compiled.locate(self.programs, budget.steps, heard, clock, time, directions)
        np.add.at(records, compiled.sets.message, compiled.located)
        self._counters.count("record_flood", budget.take(total))
        batch, owner = compiled.decode(total - budget.refused)
        compiled.count(self._counters)
        if len(self.rates):
            self._scale(batch, compiled, owner)
        return batch

    def _scale(self, batch: FlowBatch, compiled: CompiledSets, owner: I32) -> None:
        """Scale by the rates that exporters told; Open vSwitch's counts are scaled already."""
        mine = np.flatnonzero(~self.programs.ovs[compiled.layout[owner]])
        owner = owner[mine]
        layout = compiled.layout[owner]
        rate = self.rates.of_interfaces(
            compiled.row[owner],
            compiled.sets.id[owner],
            (batch.in_if[mine], self.programs.input[layout]),
            (batch.out_if[mine], self.programs.output[layout]),
        )
        batch.rate[mine] = rate
        batch.packets[mine] *= np.maximum(rate, 1)
        batch.bytes[mine] *= np.maximum(rate, 1)

    def _plausible(self, batch: FlowBatch) -> FlowBatch:
        """Leave out what no link carries within one record: one lie would outweigh a window of truth."""
        right = np.maximum(batch.packets, batch.bytes) <= MAX_COUNT
        if right.all():
            return batch
        self._counters.count("record_implausible", int(np.count_nonzero(~right)))
        return batch.take(right)

    def _flows(self, group: _Group, values: Values, owner: I64) -> FlowBatch:
        row, ovs = group.row[owner], group.layout.is_ovs
        batch = fill(values, len(owner), totals=not ovs)
        batch.exporter[:], batch.time[:] = row, group.time[owner]
        if ovs:
            # Its counts are scaled already, and it tells no rate.
            return batch.take(self._one_direction(values[DIRECTION], row))
        rate = self.rates.of(values, row, group.sets.id[owner])
        batch.rate[:] = rate
        batch.packets *= np.maximum(rate, 1)
        batch.bytes *= np.maximum(rate, 1)
        return batch

    def _one_direction(self, direction: I64, row: I64) -> Bool:
        """Open vSwitch tells a packet on input and again on output: keep one of the two."""
        output, clock = direction == _OUTPUT, self.templates.clock
        self._input_heard[row[~output]] = clock
        match self.settings.ovs_directions:
            case "both":
                keep = np.ones(len(row), np.bool_)
            case "input":
                keep = ~output
            case "output":
                keep = output
            case _:
                keep = ~output | (self._input_heard[row] < clock - OVS_INPUT_MEMORY)
        self._counters.count("ovs_other_direction", len(keep) - int(np.count_nonzero(keep)))
        return keep


@dataclass(slots=True)
class _Budget:
    """What one burst may cost: records left, and steps over fields of variable length for each layout."""

    room: int
    steps: int
    refused: int = 0

    def take(self, wanted: int) -> int:
        """Take room for so many records; tell how many find none."""
        self.refused = max(0, wanted - self.room)
        self.room -= wanted - self.refused
        return self.refused


def _replay(events: Events, keys: I64, place: I64, layout: I64) -> None:
    """Put the layout right of data sets that came behind a definition in the same burst."""
    order = np.argsort(keys, kind="stable")
    in_order = keys[order]
    for key, happened in events.items():
        first, last = np.searchsorted(in_order, (key, key + 1))
        rows = order[first:last]
        when = np.searchsorted(np.array([at for at, _ in happened]), place[rows])
        meant = np.array([number for _, number in happened])
        layout[rows] = np.where(when > 0, meant[when - 1], layout[rows])


def _grouped(
    layouts: list[Layout], octets: Octets, waiting: Waiting, sets: Sets, layout: I64, *, late: bool = False
) -> list[_Group]:
    if not len(layout):
        return []
    order = np.argsort(layout, kind="stable")
    parts = np.split(order, np.nonzero(np.diff(layout[order]))[0] + 1)
    return [
        _Group(layouts[layout[p[0]]], octets, sets.take(p), waiting.row[p], waiting.time[p], late)
        for p in parts
    ]
