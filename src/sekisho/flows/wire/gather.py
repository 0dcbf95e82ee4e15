"""Reads of big-endian fields at any octet offset, many at once."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from sekisho.tables import I64, U8, U16, U32, U64, Burst


class Octets:
    """A slab of octets that is read at arbitrary offsets.

    Offsets are int64 and not negative. Octets behind the end of the slab read as zero; octets behind
    the end of a datagram read as whatever the slab holds there, so callers check lengths first. One
    `take` of a whole structure costs about as much as one `u32`: take structures, then slice.
    """

    __slots__ = ("_flat", "_size")

    def __init__(self, slab: U8) -> None:
        self._flat = np.ascontiguousarray(slab).reshape(-1)
        self._size = self._flat.size

    @property
    def memory(self) -> tuple[int, int]:
        """Address and size of the slab, for the compiled core."""
        return self._flat.ctypes.data, self._size

    def take(self, offset: I64, width: int) -> U8:
        """Copy `width` octets from each offset: uint8[n, width]."""
        last = self._size - width
        if len(offset) == 0:
            return np.zeros((0, width), np.uint8)
        if last < 0:
            return Octets(np.concatenate([self._flat, np.zeros(width, np.uint8)])).take(offset, width)
        view: NDArray[Any] = np.ndarray((last + 1,), f"V{width}", self._flat.data, 0, (1,))
        if int(offset.max()) <= last:
            return view[offset].view(np.uint8).reshape(-1, width)
        taken = view[np.minimum(offset, last)].view(np.uint8).reshape(-1, width)
        over = np.nonzero(offset > last)[0]
        tail = Octets(np.concatenate([self._flat[last:], np.zeros(width, np.uint8)]))
        taken[over] = tail.take(np.minimum(offset[over] - last, width), width)
        return taken

    def words(self, offset: I64, count: int) -> U32:
        """Read `count` 32-bit words from each offset: uint32[n, count]."""
        return self.take(offset, count * 4).view(">u4").astype(np.uint32)

    def u8(self, offset: I64) -> U8:
        """One octet at each offset."""
        return self.take(offset, 1)[:, 0]

    def u16(self, offset: I64) -> U16:
        """One 16-bit field at each offset."""
        return self.take(offset, 2).view(">u2")[:, 0].astype(np.uint16)

    def u32(self, offset: I64) -> U32:
        """One 32-bit field at each offset."""
        return self.take(offset, 4).view(">u4")[:, 0].astype(np.uint32)

    def u64(self, offset: I64) -> U64:
        """One 64-bit field at each offset."""
        return self.take(offset, 8).view(">u8")[:, 0].astype(np.uint64)


def field16(taken: U8, at: int) -> U16:
    """Read the 16-bit field at one place of every taken structure."""
    return taken[:, at : at + 2].view(">u2")[:, 0].astype(np.uint16)


def field32(taken: U8, at: int) -> U32:
    """Likewise 32 bits."""
    return taken[:, at : at + 4].view(">u4")[:, 0].astype(np.uint32)


def field64(taken: U8, at: int) -> U64:
    """Likewise 64 bits."""
    return taken[:, at : at + 8].view(">u8")[:, 0].astype(np.uint64)


def field48(taken: U8, at: int) -> U64:
    """Likewise 48 bits, as a MAC address has."""
    return field16(taken, at).astype(np.uint64) << np.uint64(32) | field32(taken, at + 2)


def starts(burst: Burst, rows: I64) -> I64:
    """Offset in the slab of each datagram's first octet."""
    offsets: I64 = rows * burst.data.shape[1]
    return offsets
