"""Sliding sums per subject: a ring of buckets, running totals, and rows only for the active."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from sekisho import native
from sekisho.detect.buckets import Buckets
from sekisho.detect.detector import Observations
from sekisho.detect.places import Places

if TYPE_CHECKING:
    from sekisho.detect.detector import Take
    from sekisho.tables import F32, F64, I64

_STRIPES = 64  # a turn re-adds one of so many shares of the rows
# The most a bucket holds: float32 has no more, and one infinity would make every later difference of the
# total a NaN that no line is ever compared with.
_MOST = 1e37


def planes(parts: int) -> int:
    """Planes of a sum: total and variance of each part, and the samples last."""
    return 2 * parts + 1


def pour(takes: tuple[Take, ...], into: F64) -> None:
    """Add rows to dense sums, float64[planes, slots]."""
    for part, take in enumerate(takes):
        np.add.at(into[2 * part], take.slot, take.amount)
        if take.variance.any():
            np.add.at(into[2 * part + 1], take.slot, take.variance)
        np.add.at(into[-1], take.slot, 1.0)


class Sums:
    """Totals and variances of `parts` amounts, and the samples behind them, over one window.

    ring: float32[buckets, planes, rows]; running totals are float64 and take from the ring exactly
    what they gave to it. Rows without samples in the window are given back.
    """

    def __init__(self, parts: int, window: float, tick: float, slots: int, now: float) -> None:
        self.buckets = Buckets(window, tick, now)
        self.places = Places(slots)
        self.planes = planes(parts)
        self._fit()

    def _fit(self) -> None:
        rows = self.places.capacity
        old = getattr(self, "total", None)
        if old is not None and old.shape[1] >= rows:
            return
        kept = 0 if old is None else old.shape[1]
        total, filling = np.zeros((2, self.planes, rows))
        ring = np.zeros((self.buckets.size, self.planes, rows), np.float32)
        if kept:
            total[:, :kept] = self.total
            filling[:, :kept] = self.filling
            ring[:, :, :kept] = self.ring
        self.total: F64 = total
        self.filling: F64 = filling
        self.ring: F32 = ring

    @property
    def nbytes(self) -> int:
        """Memory held."""
        return self.total.nbytes + self.filling.nbytes + self.ring.nbytes

    def pour(self, slots: I64, amounts: F64) -> None:
        """Add sums float64[planes, n] to n different slots."""
        rows = self.places.rows(slots)
        self._fit()
        if native.LIBRARY is not None:
            by_row = np.ascontiguousarray(amounts.T)
            native.LIBRARY.sk_sums_pour(
                *(self.total.ctypes.data, self.filling.ctypes.data, self.total.shape[1], self.planes),
                *(rows.ctypes.data, by_row.ctypes.data, len(rows)),
            )
            return
        for plane, amount in enumerate(amounts):  # add.at is several times faster than [:, rows] +=
            np.add.at(self.total[plane], rows, amount)
            np.add.at(self.filling[plane], rows, amount)

    def leave(self, now: float) -> None:
        """Let go of what has left the window."""
        if self.buckets.stale(now):
            self._restart(now)
            return
        gone = self.buckets.leave(now)
        for number in gone:
            bucket = self.ring[number % self.buckets.size]
            if native.LIBRARY is None:
                self.total -= bucket
            else:
                native.LIBRARY.sk_sums_leave(self.total.ctypes.data, bucket.ctypes.data, bucket.size)
        if gone:
            self._release()

    def turn(self, now: float) -> None:
        """Close the bucket that is filling, if it is long enough."""
        if not self.buckets.due(now):
            return
        bucket = self.ring[self.buckets.index]
        if native.LIBRARY is None:
            bucket[:] = np.clip(self.filling, -_MOST, _MOST)
            # What the ring holds is rounded; the total must hold the same, or it drifts.
            self.total += bucket - self.filling
            self.filling.fill(0.0)
        else:
            native.LIBRARY.sk_sums_turn(
                *(self.total.ctypes.data, self.filling.ctypes.data, bucket.ctypes.data, bucket.size, _MOST)
            )
        self.buckets.turn(now)
        self._readd(self.buckets.number % _STRIPES)

    def _readd(self, stripe: int) -> None:
        width = self.total.shape[1]
        rows = slice(width * stripe // _STRIPES, width * (stripe + 1) // _STRIPES)
        held = [number % self.buckets.size for number, _ in self.buckets.closed]
        self.total[:, rows] = self.ring[held, :, rows].sum(axis=0, dtype=np.float64)

    def _release(self) -> None:
        high = self.places.high
        rows = np.flatnonzero(self.total[-1, :high] < 0.5)
        self.empty(rows[self.places.slot_of[rows] >= 0])

    def empty(self, rows: I64) -> None:
        """Give rows back, empty."""
        if len(rows):
            self.total[:, rows] = 0.0
            self.filling[:, rows] = 0.0
            self.ring[:, :, rows] = 0.0
            self.places.release(rows)

    def _restart(self, now: float) -> None:
        self.total.fill(0.0)
        self.filling.fill(0.0)
        self.ring.fill(0.0)
        self.places.release(self.places.active())
        self.buckets.restart(now)

    def observe(self, rows: I64 | slice) -> Observations:
        """Give what the rows hold, copied where `rows` are indexes."""
        total = self.total[:, rows]
        return Observations(total[0:-1:2], total[1:-1:2], total[-1])
