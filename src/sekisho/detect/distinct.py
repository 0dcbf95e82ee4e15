"""Sliding distinct counts per subject: linear counting whose cells remember when they were last hit.

Linear counting (Whang, Vander-Zanden, Taylor 1990): n things hashed into m cells leave about
``m * exp(-n/m)`` of them empty, so ``n = -m * ln(1 - filled/m)``, with the standard error
``sqrt(m * (exp(t) - t - 1))``, t = n/m: 0.7 at 30, 13 at 500 and 214 at 4,000 with 1,024 cells.
A cell holds the number of the bucket that last hit it instead of a bit, so a thing leaves the count
when it leaves the window and nothing is ever counted anew.

Under sampling what is not seen is not counted: the estimate is a lower bound of the truth, and so
is its own lower bound. The upper bound speaks of what was seen.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

import numpy as np

from sekisho import native
from sekisho.detect.buckets import Buckets
from sekisho.detect.detector import Observations
from sekisho.detect.detectors.catalogue import CELLS
from sekisho.detect.places import Places

if TYPE_CHECKING:
    import ctypes

    from sekisho.tables import F32, F64, I32, I64, U8, U16, U64

# `seen` and `part` of native/windows.c: what is known of a row, and of it in one bucket.
SEEN: Final = np.dtype([("samples", np.float64), ("filled", np.int32)], align=True)
PART: Final = np.dtype([("sighted", np.float32), ("hits", np.uint16)], align=True)
_STAMPS: Final = 255  # a cell holds 1 + bucket number % 255, 0 while it was never hit
_STRIPES: Final = 64  # a turn sweeps one of so many shares of the rows; stamps come round after 255 turns


def _curve() -> tuple[F64, F64]:
    """Estimate and variance for 0..CELLS filled cells; the full table as if half a cell were left."""
    empty = np.maximum(CELLS - np.arange(CELLS + 1), 0.5)
    load = np.log(CELLS / empty)
    return CELLS * load, CELLS * (np.exp(load) - load - 1)


ESTIMATE, VARIANCE = _curve()


def cells(item: U64, seed: int) -> I64:
    """Hash items to cells: splitmix64's finaliser over item + seed."""
    x = item + np.uint64(seed & 0xFFFF_FFFF_FFFF_FFFF)
    x = (x ^ (x >> np.uint64(30))) * np.uint64(0xBF58_476D_1CE4_E5B9)
    x = (x ^ (x >> np.uint64(27))) * np.uint64(0x94D0_49BB_1331_11EB)
    return ((x ^ (x >> np.uint64(31))) % np.uint64(CELLS)).astype(np.int64)


class Listed(NamedTuple):
    """Slots and what each showed, to be told apart, and where both stand: asked for with every burst."""

    slots: I64
    items: U64
    slots_at: int
    items_at: int


def listed(slots: I64, items: U64) -> Listed:
    """Make a list of two arrays without gaps."""
    return Listed(slots, items, slots.ctypes.data, items.ctypes.data)


class Distinct:
    """How many different items each subject showed within one window.

    table: uint8[rows, CELLS], stamps; hits: uint16[buckets, rows], cells last hit in that bucket;
    filled: their sum, kept running; sighted: float32[buckets, rows], samples; samples: their sum.
    """

    def __init__(self, seed: int, window: float, tick: float, slots: int, now: float) -> None:
        self.buckets = Buckets(window, tick, now)
        self.places = Places(slots)
        self._seed = seed
        self._hold(self.places.capacity)

    def _hold(self, rows: int) -> None:
        self.table: U8 = np.zeros((rows, CELLS), np.uint8)
        self._seen = np.zeros(rows, SEEN)
        self._parts = np.zeros((self.buckets.size, rows), PART)
        self.hits: U16 = self._parts["hits"]
        self.filled: I32 = self._seen["filled"]
        self.sighted: F32 = self._parts["sighted"]
        self.samples: F64 = self._seen["samples"]
        self._core: tuple[I64, native.Structure] | None = None

    def _fit(self) -> None:
        kept = len(self.filled)
        if self.places.capacity <= kept:
            return
        table, seen, parts = self.table, self._seen, self._parts
        self._hold(self.places.capacity)
        self.table[:kept] = table
        self._seen[:kept] = seen
        self._parts[:, :kept] = parts

    @property
    def nbytes(self) -> int:
        """Memory held."""
        return self.table.nbytes + self._seen.nbytes + self._parts.nbytes

    def see(self, slots: I64, items: U64) -> None:
        """Count items of slots; both may repeat."""
        slots, items = np.ascontiguousarray(slots, np.int64), np.ascontiguousarray(items, np.uint64)
        if native.LIBRARY is not None:
            self.see_listed(native.LIBRARY, listed(slots, items), len(slots))
            return
        rows = self.places.rows(slots)
        self._fit()
        np.add.at(self.samples, rows, 1.0)
        np.add.at(self.sighted[self.buckets.index], rows, np.float32(1.0))
        self._hit(rows * CELLS + cells(items, self._seed))

    def see_listed(self, library: ctypes.CDLL, given: Listed, count: int) -> None:
        """Count the first `count` items of a list."""
        if library.sk_see(self.structure().address, given.slots_at, given.items_at, count):
            self.places.rows(given.slots[:count])
            self._fit()
            library.sk_see(self.structure().address, given.slots_at, given.items_at, count)

    def structure(self) -> native.Structure:
        """Give the C side of the table: good until a bucket turns, or there must be room for more rows."""
        buckets, row_of = self.buckets, self.places.row_of
        if self._core is None or self._core[0] is not row_of:
            made = native.Structure(
                *(row_of, self.table, self._seen, self._parts, len(self._seen)),
                *(CELLS, _STAMPS, buckets.size, 0, 0, 0),
                np.array(self._seed & 0xFFFF_FFFF_FFFF_FFFF, np.uint64).view(np.int64).item(),
            )
            self._core = row_of, made
        core = self._core[1]
        core.values[8:11] = buckets.index, buckets.number, buckets.oldest
        return core

    def _hit(self, cell: I64) -> None:
        flat = self.table.reshape(-1)
        stamp = 1 + self.buckets.number % _STAMPS
        cell = np.unique(cell[flat[cell] != stamp])
        row = cell // CELLS
        age = (stamp - flat[cell].astype(np.int64)) % _STAMPS
        alive = (flat[cell] > 0) & (age <= self.buckets.number - self.buckets.oldest)
        np.add.at(self.filled, row[~alive], 1)
        before = (self.buckets.number - age[alive]) % self.buckets.size
        np.subtract.at(self.hits, (before, row[alive]), 1)
        np.add.at(self.hits[self.buckets.index], row, 1)
        flat[cell] = stamp

    def leave(self, now: float) -> None:
        """Let go of what has left the window."""
        if self.buckets.stale(now):
            self._restart(now)
            return
        gone = self.buckets.leave(now)
        for number in gone:
            index = number % self.buckets.size
            self.filled -= self.hits[index]
            self.samples -= self.sighted[index]
            self.hits[index] = 0
            self.sighted[index] = 0
        if gone:
            used = self.places.active()
            self.empty(used[self.filled[used] <= 0])

    def turn(self, now: float) -> None:
        """Close the bucket that is filling, if it is long enough."""
        if self.buckets.due(now):
            self.buckets.turn(now)
            self._sweep(self.buckets.number % _STRIPES)

    def _sweep(self, stripe: int) -> None:
        """Empty cells whose time is over, before their stamp comes round and looks new."""
        stamps = self.table[stripe : self.places.high : _STRIPES]
        age = (1 + self.buckets.number % _STAMPS - stamps.astype(np.int16)) % _STAMPS
        stamps[age > self.buckets.number - self.buckets.oldest] = 0

    def empty(self, rows: I64) -> None:
        """Give rows back, empty."""
        if len(rows):
            self.table[rows] = 0
            self.hits[:, rows] = 0
            self.filled[rows] = 0
            self.sighted[:, rows] = 0
            self.samples[rows] = 0
            self.places.release(rows)

    def _restart(self, now: float) -> None:
        self.empty(self.places.active())
        self.buckets.restart(now)

    def observe(self, rows: I64 | slice) -> Observations:
        """Give the estimates, their own variance, and the samples behind them."""
        filled = self.filled[rows]
        return Observations(ESTIMATE[filled][None], VARIANCE[filled][None], self.samples[rows])
