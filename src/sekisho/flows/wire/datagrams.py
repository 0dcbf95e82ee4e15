"""Datagrams of a burst as the compiled core takes them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from sekisho import native
    from sekisho.tables import I64, Burst

_WANTED: Final = (np.dtype(np.uint8), np.dtype(np.int32), np.dtype(np.uint64), np.dtype(np.uint64))


class Datagrams:
    """Points a structure of the core at the columns of a burst, which mostly are those of the burst before.

    It has places for at, size, slot, length, address_hi, address_lo, chosen and n.
    """

    def __init__(self, places: native.Places) -> None:
        self._places, self._words = places, places.structure.words
        self._n = places.place("n")
        self._columns: tuple[NDArray[Any] | None, ...] = None, None, None, None
        self._are_chosen = False

    def are(self, burst: Burst, rows: I64) -> bool:
        """Take datagrams `rows` of a burst; False where the columns are not as the core needs them."""
        data, length, hi, lo = self._columns
        same = burst.data is data and burst.length is length
        if not (same and burst.address_hi is hi and burst.address_lo is lo) and not self._take(burst):
            return False
        self._words[self._n] = n = len(rows)
        if n != burst.count:
            self._are_chosen = True
            self._places.point(chosen=rows)
            return rows.dtype == np.int64 and rows.flags.c_contiguous
        if self._are_chosen:  # before; now all of them are taken
            self._are_chosen = False
            self._places.point_nowhere("chosen")
        return True

    def _take(self, burst: Burst) -> bool:
        columns: tuple[NDArray[Any], ...] = (burst.data, burst.length, burst.address_hi, burst.address_lo)
        fit = all(c.dtype == w and c.flags.c_contiguous for c, w in zip(columns, _WANTED, strict=True))
        if fit:
            self._columns = columns
            names = "at", "length", "address_hi", "address_lo"
            self._places.point(**dict(zip(names, columns, strict=True)))
            self._places.put(size=columns[0].size, slot=columns[0].shape[1])
        return fit
