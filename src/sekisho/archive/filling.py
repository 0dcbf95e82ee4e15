"""A block of flows that fills row by row; its columns stand where its file will have them."""

from __future__ import annotations

import ctypes
import mmap
from contextlib import suppress
from typing import TYPE_CHECKING, Final

import numpy as np

from sekisho import native
from sekisho.archive import shapes
from sekisho.archive.native import header, microseconds, text
from sekisho.tables import FlowBatch, columns

if TYPE_CHECKING:
    from typing import Any

    from numpy.typing import NDArray

    from sekisho.tables import I32, U64

_NAMES: Final = tuple(columns(FlowBatch))
_TYPES: Final = shapes.TABLES[shapes.FLOWS]
_HEADS: Final = {name: text(name) + text(kind) for name, kind in _TYPES.items()}
_DTYPES: Final = {
    name: np.dtype(np.int64 if name == "time" else np.uint64 if name in shapes.KEYED else dtype)
    for name, dtype in columns(FlowBatch).items()
}
_BOUND: Final = ("sender", "receiver")
# Whether a column has other rows than zeros, to begin with: of the time and of exporters nobody asks.
_THERE: Final = np.array([name in ("time", "exporter") for name in _NAMES], np.uint8)
_NUMBERS: Final = {name: number for number, name in enumerate(_NAMES)}


class Filling:
    """Room for so many rows, in memory of its own that begins at a page and ends at one.

    `rows` are filled so far, `exporters` int32[rows] are their exporters' rows, which `finish` wants as keys.
    A column of which every row is zero is not in the file: ClickHouse takes what is missing for zeros.
    """

    def __init__(self, room: int) -> None:
        self.room = room
        self.rows = 0
        self._exporters: I32 = np.zeros(room, np.int32)
        width = sum(dtype.itemsize for dtype in _DTYPES.values())
        heads = sum(map(len, _HEADS.values())) + len(header(len(_TYPES), room))
        pages = -(-(heads + width * room) // mmap.PAGESIZE)
        self._memory = mmap.mmap(-1, pages * mmap.PAGESIZE, mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
        self._octets: NDArray[np.uint8] = np.frombuffer(self._memory, np.uint8)
        self._is_large = False
        self._there: NDArray[np.uint8] = _THERE.copy()
        self._order: tuple[str, ...] = ()
        self._places: dict[str, NDArray[Any]] = {}
        self._subjects: U64 | None = None
        self._structure = native.Structure(0)
        self._arrange(_NAMES)

    def _arrange(self, order: tuple[str, ...]) -> None:
        """Have the columns stand in an order, which is their file's; where is nobody's round number."""
        if order == self._order:
            return
        self._order = order
        self._subjects = None
        at = len(header(len(_TYPES), self.room))
        for name in order:
            at += len(_HEADS[name])
            place: NDArray[Any] = np.ndarray(self.room, _DTYPES[name], self._octets.data, at)
            self._places[name] = place
            at += place.nbytes

    @property
    def exporters(self) -> I32:
        """The exporters' rows of the rows so far."""
        return self._exporters[: self.rows]

    def take(self, batch: FlowBatch, first: int, subjects: U64) -> int:
        """Copy rows of a resolved batch from `first` on, as many as there is room for; gives how many.

        subjects: uint64[n + 1], keys by row of the inventory, and nobody's last, which is 0.
        """
        n = min(len(batch) - first, self.room - self.rows)
        if native.LIBRARY is None:
            self._copy(batch.take(slice(first, first + n)), self.rows, subjects)
        else:
            if subjects is not self._subjects:
                self._point(subjects)
            given = native.columns_of(batch)
            native.LIBRARY.sk_fill(given.address, first, n, self._structure.address, self.rows)
        self.rows += n
        return n

    def _point(self, subjects: U64) -> None:
        places = {**self._places, "exporter": self._exporters}
        self._subjects = subjects
        self._structure = native.Structure(
            *(places[name] for name in _NAMES), self._there, subjects, len(subjects) - 1
        )

    def _copy(self, batch: FlowBatch, at: int, subjects: U64) -> None:
        rows = slice(at, at + len(batch))
        self._exporters[rows] = batch.exporter
        for number, name in enumerate(_NAMES):
            if name == "exporter":
                continue
            column = getattr(batch, name)
            if name in _BOUND:
                # -1, and a row that this inventory does not have, is nobody
                column = subjects[np.minimum(column.view(np.uint32), np.uint32(len(subjects) - 1))]
            elif name == "time":
                column = microseconds(column)
            if not self._there[number]:
                if not np.ascontiguousarray(column).view(np.uint8).any():
                    continue
                self._there[number] = 1
                self._places[name][:at] = 0
            self._places[name][rows] = column

    def finish(self, exporters: U64) -> tuple[memoryview, int]:
        """Give the block as its file will have it, in whole pages, and how many octets of them are the file.

        exporters: uint64[rows], their keys. What is given is good until the next row is taken.
        """
        self._places["exporter"][: self.rows] = exporters
        there = [name for name in self._order if self._there[_NUMBERS[name]]]
        first = header(len(there), self.rows)
        self._write(0, first)
        at = len(first)
        start = self._octets.ctypes.data
        for name in there:
            place = self._places[name]
            self._write(at, _HEADS[name])
            at += len(_HEADS[name])
            octets = self.rows * place.itemsize
            if place.ctypes.data != start + at:
                # Less than there was room for: what comes after moves up, in order.
                ctypes.memmove(start + at, place.ctypes.data, octets)
            at += octets
        return memoryview(self._memory)[: -(-at // mmap.PAGESIZE) * mmap.PAGESIZE], at

    def clear(self) -> None:
        """Begin anew, with what was there this time in front: what is there again need not move up."""
        if self.rows == self.room and not self._is_large:
            self._is_large = True
            _enlarge(self._memory)
        self.rows = 0
        self._arrange(tuple(sorted(_NAMES, key=lambda name: not self._there[_NUMBERS[name]])))
        self._there[:] = _THERE

    def _write(self, at: int, octets: bytes) -> None:
        self._octets[at : at + len(octets)] = np.frombuffer(octets, np.uint8)


def _enlarge(memory: mmap.mmap) -> None:
    """Have large pages, where the kernel has some: the disk takes them at a fraction of the cost.

    What was in it is lost. Not before a block has been full once: who hears little would hold all of it for a
    few rows.
    """
    with suppress(OSError, AttributeError):  # a kernel without, or a system that has no name for it
        memory.madvise(mmap.MADV_HUGEPAGE)
        memory.madvise(mmap.MADV_DONTNEED)
