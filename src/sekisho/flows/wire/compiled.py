"""Data sets to flow records by the compiled core: all sets of a burst in two calls, of whatever template."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np

from sekisho import native
from sekisho.flows.wire import elements as ie
from sekisho.flows.wire.limits import OVS_INPUT_MEMORY
from sekisho.flows.wire.programs import compile_program
from sekisho.tables import FlowBatch

if TYPE_CHECKING:
    import ctypes
    from collections.abc import Sequence

    from sekisho.flows.wire.layout import Layout
    from sekisho.flows.wire.protocol import Counters
    from sekisho.flows.wire.sets import Sets
    from sekisho.tables import F64, I32, I64, U8, Bool

_NO_OUTPUTS, _ALL_OUTPUTS, _OUTPUTS_WITHOUT_INPUTS = 0, 1, 2
# Inputs and outputs kept, by DecodeSettings.ovs_directions.
_DIRECTIONS: Final = {
    "both": (1, _ALL_OUTPUTS),
    "input": (1, _NO_OUTPUTS),
    "output": (0, _ALL_OUTPUTS),
    "auto": (1, _OUTPUTS_WITHOUT_INPUTS),
}


class Programs:
    """The programs of Templates.layouts: `address` of each, 0 for one that is decoded in columns."""

    def __init__(self) -> None:
        self._made: dict[Layout, native.Structure | None] = {}
        self._layouts: Sequence[Layout] = ()
        self.address: I64 = np.zeros(0, np.int64)
        self.segments: I64 = np.zeros(0, np.int64)
        # Whether its records tell their interfaces, and whether they are Open vSwitch's.
        self.input: Bool = np.zeros(0, np.bool_)
        self.output: Bool = np.zeros(0, np.bool_)
        self.ovs: Bool = np.zeros(0, np.bool_)

    def follow(self, layouts: Sequence[Layout]) -> None:
        """Compile what is new."""
        if layouts is self._layouts and len(self.address) == len(layouts):
            return
        made = self._made
        self._made = {each: made[each] if each in made else compile_program(each) for each in layouts}
        self._layouts = layouts
        programs = [self._made[each] for each in layouts]
        self.address = np.array([p.address if p else 0 for p in programs], np.int64)
        self.segments = np.array([len(each.segments) for each in layouts], np.int64)
        told = [{e for segment in each.segments for e in segment.elements} for each in layouts]
        self.input = np.array([bool(t.intersection(ie.IN_IF)) for t in told], np.bool_)
        self.output = np.array([bool(t.intersection(ie.OUT_IF)) for t in told], np.bool_)
        self.ovs = np.array([each.is_ovs for each in layouts], np.bool_)


# Places of `sets` in native/records.c that the core writes, and one that is written between two calls.
_ROOM, _CUT, _FLOOD, _OTHER = 12, 14, 15, 16


class CompiledSets:
    """Sets of one burst in order of arrival, all with a program; `row` is each one's exporter."""

    def __init__(self, library: ctypes.CDLL, slab: U8, sets: Sets, row: I64, layout: I64) -> None:
        self.sets, self.row, self.layout = sets, row, layout
        self.located: I64 = np.zeros(len(sets), np.int64)
        self._library, self._slab = library, slab
        self._structure = native.Structure(0)

    def take(self, kept: Bool) -> CompiledSets:
        """Pick sets by mask."""
        return CompiledSets(
            self._library, self._slab, self.sets.take(kept), self.row[kept], self.layout[kept]
        )

    def locate(
        self, programs: Programs, steps: int, heard: F64, clock: float, time: float, directions: str
    ) -> int:
        """Count the records of each set, of variable length those that `steps` fields reach; their sum.

        What Open vSwitch told on input is noted in `heard`, by exporter.
        """
        most = np.maximum(1, steps // np.maximum(programs.segments, 1))[self.layout]
        words = np.array([clock, clock - OVS_INPUT_MEMORY, time]).view(np.int64).tolist()
        self._structure = native.Structure(
            *(self.sets.start, self.sets.end, self.row, programs.address[self.layout], len(self.sets)),
            *(most, self.located, heard, *words[:2], *_DIRECTIONS[directions], 0, words[2], 0, 0, 0),
        )
        return int(self._library.sk_locate(*self._octets, self._structure.address))

    def decode(self, room: int) -> tuple[FlowBatch, I32]:
        """Decode at most `room` records, unscaled and without rates; also tell the set of each row."""
        self._structure.values[_ROOM] = room
        batch = FlowBatch.empty(min(room, int(self.located.sum())))
        owner: I32 = np.empty(len(batch), np.int32)
        columns = native.columns_of(batch)
        rows = int(
            self._library.sk_decode(
                *self._octets, self._structure.address, columns.address, owner.ctypes.data
            )
        )
        return (batch, owner) if rows == len(batch) else (batch.take(slice(rows)), owner[:rows])

    def count(self, counters: Counters) -> None:
        """Count what was wrong, and what was left out."""
        told = self._structure.values
        counters.count("record_cut", int(told[_CUT]))
        counters.count("step_flood", int(told[_FLOOD]))
        counters.count("ovs_other_direction", int(told[_OTHER]))

    @property
    def _octets(self) -> tuple[int, int]:
        return self._slab.ctypes.data, self._slab.size
