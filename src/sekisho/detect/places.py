"""Rows for those who are active: slot -> row of a dense table, given out when first needed."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from sekisho.tables import I64


class Places:
    """row_of: int64[slots], the slot's row or -1; slot_of: int64[capacity], the row's slot or -1.

    Rows at or above `high` were never used.
    """

    def __init__(self, slots: int) -> None:
        self.row_of: I64 = np.full(slots, -1, np.int64)
        self.slot_of: I64 = np.full(64, -1, np.int64)
        self.high = 0
        self._free: list[int] = []

    @property
    def capacity(self) -> int:
        """Rows a table must have; doubles, up to a row for every slot."""
        return len(self.slot_of)

    def rows(self, slots: I64) -> I64:
        """Give each slot its row, a new one where it has none; slots may repeat."""
        rows = self.row_of[slots]
        missing = rows < 0
        if missing.any():
            self._allocate(np.unique(slots[missing]))
            rows = self.row_of[slots]
        return rows

    def _allocate(self, slots: I64) -> None:
        reused = self._free[len(self._free) - min(len(slots), len(self._free)) :]
        del self._free[len(self._free) - len(reused) :]
        fresh = len(slots) - len(reused)
        rows = np.concatenate(
            [np.array(reused, np.int64), np.arange(self.high, self.high + fresh, dtype=np.int64)]
        )
        self.high += fresh
        if self.high > self.capacity:
            room = min(self.capacity * 2, len(self.row_of))
            self.slot_of = _widened(self.slot_of, max(self.high, room))
        self.row_of[slots] = rows
        self.slot_of[rows] = slots

    def release(self, rows: I64) -> None:
        """Take rows back; whoever keeps the table has emptied them."""
        self.row_of[self.slot_of[rows]] = -1
        self.slot_of[rows] = -1
        self._free.extend(rows.tolist())

    def active(self) -> I64:
        """List the rows in use."""
        return np.flatnonzero(self.slot_of[: self.high] >= 0)

    def widen(self, slots: int) -> None:
        """Make room for more slots."""
        self.row_of = _widened(self.row_of, slots)


def _widened(array: I64, length: int) -> I64:
    if length <= len(array):
        return array
    return np.concatenate([array, np.full(length - len(array), -1, np.int64)])
