"""Datagrams of any known protocol in, flow records in columns out."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from sekisho import native
from sekisho.flows.wire.gather import Octets, starts
from sekisho.flows.wire.protocol import Counters, DecodeSettings
from sekisho.plugins import load, names
from sekisho.tables import FlowBatch

if TYPE_CHECKING:
    from collections.abc import Mapping

    from sekisho.flows.exporters import Exporters
    from sekisho.flows.wire.protocol import WireDecoder
    from sekisho.tables import I32, I64, U8, Burst


class Decoder:
    """Every registered wire protocol, told apart by each datagram's first word.

    Never raises whatever the octets are: `counters` tells what was wrong, by protocol and kind.
    """

    def __init__(self, exporters: Exporters, settings: DecodeSettings | None = None) -> None:
        settings = settings or DecodeSettings()
        self.exporters = exporters
        self.protocols: Mapping[str, WireDecoder] = {
            name: load("flows", name)(exporters, settings) for name in names("flows")
        }
        self.unrecognised = Counters()
        self._marks = np.array([protocol.mark for protocol in self.protocols.values()], np.uint32)
        self._rows: tuple[I64, ...] = ()  # of each protocol, in the last burst
        self._found = np.zeros(len(self._marks) + 2, np.int64)
        self._columns: tuple[U8 | I32, ...] = ()  # of the last burst
        self._where: tuple[tuple[int, ...], tuple[int, ...]] = (), ()  # they stand, and what is told of them

    def decode(self, burst: Burst, now: float) -> FlowBatch:
        """Decode the datagrams of a burst; rows stand by protocol, then in arrival order."""
        shares, short, others = self._compiled_shares(burst) or self._shares(burst)
        self.unrecognised.count("short", short)
        self.unrecognised.count("version", others)
        batches = []
        for protocol, rows in zip(self.protocols.values(), shares, strict=True):
            if len(rows) and len(batch := protocol.decode(burst, rows, now)):
                batches.append(batch)
        return FlowBatch.concat(batches)

    def _shares(self, burst: Burst) -> tuple[list[I64], int, int]:
        """Rows of each protocol; how many datagrams are too short to tell, and of no protocol we know."""
        rows = np.nonzero(burst.length[: burst.count] >= 4)[0]
        short = burst.count - len(rows)
        word = Octets(burst.data).u32(starts(burst, rows))
        shares = []
        for mask, value in self._marks.tolist():
            mine = (word & np.uint32(mask)) == value
            shares.append(rows[mine])
            rows, word = rows[~mine], word[~mine]
        return shares, short, len(rows)

    def _compiled_shares(self, burst: Burst) -> tuple[list[I64], int, int] | None:
        library, data, length = native.LIBRARY, burst.data, burst.length
        if library is None:
            return None
        if (not self._columns or self._columns[0] is not data or self._columns[1] is not length) and not (
            self._point(data, length)
        ):
            return None
        slab, shares = self._where
        library.sk_kinds(*slab, burst.count, *shares)
        *of_kinds, short, others = self._found.tolist()
        return [rows[:n] for rows, n in zip(self._rows, of_kinds, strict=True)], short, others

    def _point(self, data: U8, length: I32) -> bool:
        """Tell the core where the columns of bursts stand; False where they are not as it needs them."""
        if length.dtype != np.int32 or not data.flags.c_contiguous:
            return False
        kinds, room = len(self._marks), len(data)
        rows = np.empty((kinds, room), np.int64)
        self._rows, self._columns = tuple(rows), (data, length)
        shares = self._marks.ctypes.data, kinds, rows.ctypes.data, room, self._found.ctypes.data
        self._where = (data.ctypes.data, data.size, data.shape[1], length.ctypes.data), shares
        return True

    def counters(self) -> dict[str, float]:
        """Totals as ``protocol.kind``, and those of the exporters' table."""
        totals = {f"unrecognised.{kind}": float(n) for kind, n in self.unrecognised.totals().items()}
        for name, protocol in self.protocols.items():
            totals |= {f"{name}.{kind}": float(n) for kind, n in protocol.counters.totals().items()}
        totals["exporters.live"] = float(self.exporters.count)
        totals["exporters.refused"] = float(self.exporters.refused)
        totals["exporters.unwelcome"] = float(self.exporters.unwelcome)
        return totals
