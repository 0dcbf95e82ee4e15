"""Exporters in the compiled core: whose row each datagram is, and what got lost on the way."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np

from sekisho import native

if TYPE_CHECKING:
    import ctypes

    from numpy.typing import NDArray

    from sekisho.tables import I32, U32, U64

# Address, agent (an upper and a lower half each) and domain of every datagram.
Columns: TypeAlias = "tuple[U64, U64, U64, U64, U32]"


class CompiledExporters:
    """What the core needs to find rows and to follow their sequence numbers; the columns are Exporters' own.

    `table` and `sequences` are its structures of both, for what else of the core asks for them.

    identities: the rows' identities, octets of each, the salt; rows: datagrams, last seen, seen by the
    steady clock; sequences: what comes next, whether that is known, lost, late, restarted, and the limits.
    """

    def __init__(
        self,
        library: ctypes.CDLL,
        identities: tuple[NDArray[Any], int, U64],
        rows: tuple[NDArray[Any], ...],
        sequences: tuple[NDArray[Any] | int, ...],
        total: int,
    ) -> None:
        self._library = library
        self._places: I32 = np.full(1 << (2 * total).bit_length(), -1, np.int32)
        self.table = native.Structure(*identities, self._places, len(self._places) - 1, *rows)
        burst = (*np.zeros((3, total), np.int64), np.zeros(total, np.bool_))
        self.sequences = native.Structure(*sequences, *burst)

    def fill(self, rows: I32) -> None:
        """Know these rows and no others."""
        self._places.fill(-1)
        self._library.sk_exporters_fill(self.table.address, rows.ctypes.data, len(rows))

    def find(self, protocol: int, columns: Columns, now: float, clock: float) -> I32:
        """Row of each datagram whose exporter is known, counted; -1 of the others."""
        whole = [np.ascontiguousarray(column) for column in columns]
        found: I32 = np.full(len(columns[-1]), -1, np.int32)
        self._library.sk_exporters_find(
            *(self.table.address, protocol, *(column.ctypes.data for column in whole)),
            *(len(found), now, clock, found.ctypes.data),
        )
        return found

    def sequence(self, rows: I32, seq: U32, step: U32) -> None:
        """Account for losses; see Exporters.sequence."""
        columns = (rows, np.int32), (seq, np.uint32), (step, np.uint32)
        whole = [np.ascontiguousarray(*column) for column in columns]
        self._library.sk_sequence(
            self.sequences.address, *(column.ctypes.data for column in whole), len(rows)
        )
