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

_NOT_YET: Final = -1
_SPARE: Final = 256  # layouts that may come before there must be room for more
_NO_OUTPUTS, _ALL_OUTPUTS, _OUTPUTS_WITHOUT_INPUTS = 0, 1, 2
# Inputs and outputs kept, by DecodeSettings.ovs_directions.
DIRECTIONS: Final = {
    "both": (1, _ALL_OUTPUTS),
    "input": (1, _NO_OUTPUTS),
    "output": (0, _ALL_OUTPUTS),
    "auto": (1, _OUTPUTS_WITHOUT_INPUTS),
}


class Programs:
    """The programs of Templates.layouts, compiled when data first need them.

    Columns by layout: `address` of the program, 0 for one that is decoded in columns; `segments`;
    whether its records tell their `input` and `output` interface, and whether they are Open vSwitch's.
    """

    def __init__(self) -> None:
        self._made: dict[int, tuple[Layout, native.Structure | None]] = {}  # what the addresses stand for
        self._layouts: Sequence[Layout] = ()
        self._make_room(0)

    def _make_room(self, rows: int) -> None:
        self.address: I64 = np.full(rows, _NOT_YET, np.int64)
        self.segments: I64 = np.ones(rows, np.int64)
        self.input, self.output, self.ovs = (np.zeros(rows, np.bool_) for _ in range(3))

    def follow(self, layouts: Sequence[Layout], used: I64) -> None:
        """Know all layouts that are used; numbers mean others once the list is another."""
        if layouts is not self._layouts or len(layouts) > len(self.address):
            before = {id(layout): program for layout, program in self._made.values()}
            self._layouts, self._made = layouts, {}
            self._make_room(len(layouts) + _SPARE)
            for number, layout in enumerate(layouts):
                if id(layout) in before:
                    self._know(number, layout, before[id(layout)])
        present = np.flatnonzero(np.bincount(used, minlength=0))
        for number in present[self.address[present] == _NOT_YET].tolist():
            self._know(number, layouts[number], compile_program(layouts[number]))

    def knows(self, layouts: Sequence[Layout]) -> bool:
        """Tell whether numbers mean these layouts, as far as they were used."""
        return layouts is self._layouts and len(layouts) <= len(self.address)

    def _know(self, number: int, layout: Layout, program: native.Structure | None) -> None:
        self._made[number] = layout, program
        told = {element for segment in layout.segments for element in segment.elements}
        self.address[number] = program.address if program else 0
        self.segments[number] = len(layout.segments)
        self.input[number] = bool(told.intersection(ie.IN_IF))
        self.output[number] = bool(told.intersection(ie.OUT_IF))
        self.ovs[number] = layout.is_ovs


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
            *(most, self.located, heard, *words[:2], *DIRECTIONS[directions], 0, words[2], 0, 0, 0),
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
