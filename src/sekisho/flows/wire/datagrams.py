"""Datagrams of a burst as the compiled core takes them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from sekisho import native
    from sekisho.tables import I64, U8, Burst

# The structure `burst` of native/native.h, the first thing in whatever takes a burst: its words, in order.
PLACES: Final = ("at", "size", "slot", "length", "address_hi", "address_lo", "chosen", "n")
_AT, _SIZE, _SLOT, _N = (PLACES.index(name) for name in ("at", "size", "slot", "n"))
_OCTETS: Final = np.dtype(np.uint8)
_COLUMNS: Final = {"length": np.int32, "address_hi": np.uint64, "address_lo": np.uint64}


class _Place(NamedTuple):
    """Datagrams, whether they lie as the core needs them; and where, how many octets, and of each slot."""

    data: U8 | None
    fits: bool
    where: tuple[int, int, int]


_last = _Place(None, False, (0, 0, 0))


def _place(data: U8) -> _Place:
    """Find where the datagrams of a burst stand: several ask, and to find out takes a while."""
    global _last  # noqa: PLW0603 - as many ask as there are protocols in a burst, and one more
    found = _last
    if found.data is not data:
        fits = data.dtype == _OCTETS and data.flags.c_contiguous
        found = _Place(data, fits, (data.ctypes.data, data.size, data.shape[1]))
        _last = found  # another thread may put its own there at any time
    return found


class Datagrams:
    """Points a structure of the core that begins with PLACES at a burst.

    Mostly the columns are those of the burst before, and where the datagrams stand may always be elsewhere.
    """

    def __init__(self, places: native.Places) -> None:
        self._places, self._words = places, places.structure.words
        self._data: U8 | None = None
        self._columns: tuple[NDArray[Any] | None, ...] = None, None, None
        self._are_chosen = False

    def are(self, burst: Burst, rows: I64 | None = None) -> bool:
        """Take datagrams `rows` of a burst, or all; False where it is not as the core needs it."""
        if burst.data is not self._data and not self._stand_at(burst.data):
            return False
        length, hi, lo = self._columns
        same = burst.length is length and burst.address_hi is hi and burst.address_lo is lo
        if not same and not self._take(burst):
            return False
        n = burst.count if rows is None else len(rows)
        self._words[_N] = n
        if rows is not None and n != burst.count:
            self._are_chosen = True
            self._places.point(chosen=rows)
            return rows.dtype == np.int64 and rows.flags.c_contiguous
        if self._are_chosen:  # before; now all of them are taken
            self._are_chosen = False
            self._places.point_nowhere("chosen")
        return True

    def _stand_at(self, data: U8) -> bool:
        _, fits, where = _place(data)
        if fits:
            self._data, words = data, self._words
            words[_AT], words[_SIZE], words[_SLOT] = where
        return fits

    def _take(self, burst: Burst) -> bool:
        columns = {name: getattr(burst, name) for name in _COLUMNS}
        fit = all(c.dtype == _COLUMNS[name] and c.flags.c_contiguous for name, c in columns.items())
        if fit:
            self._columns = burst.length, burst.address_hi, burst.address_lo
            self._places.point(**columns)
        return fit
