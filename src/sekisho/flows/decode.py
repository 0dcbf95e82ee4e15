"""Datagrams of any known protocol in, flow records in columns out."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeAlias

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


# A protocol, and which datagrams of a burst are its own.
Share: TypeAlias = "tuple[WireDecoder, I64]"


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
        # Of the last burst, for the compiled core: where its columns stand, which datagrams are of each
        # protocol, and how many; behind these how many are too short to tell, and of none.
        self._columns: tuple[U8 | None, I32 | None] = None, None
        self._rows: tuple[I64, ...] = ()
        self._found = np.zeros(len(self._marks) + 2, np.int64)
        self._where = native.Structure(0)

    def decode(self, burst: Burst, now: float) -> FlowBatch:
        """Decode the datagrams of a burst; rows stand by protocol, then in arrival order."""
        shares, short, others = self._compiled_shares(burst) or self._shares(burst)
        if short or others:
            self.unrecognised.count("short", short)
            self.unrecognised.count("version", others)
        batches = [protocol.decode(burst, rows, now) for protocol, rows in shares]
        if len(batches) == 1:
            return batches[0]
        return FlowBatch.concat([batch for batch in batches if len(batch)])

    def _shares(self, burst: Burst) -> tuple[list[Share], int, int]:
        """Rows of each protocol that has any; how many are too short to tell, and of no protocol we know."""
        rows = np.nonzero(burst.length[: burst.count] >= 4)[0]
        short = burst.count - len(rows)
        word = Octets(burst.data).u32(starts(burst, rows))
        shares = []
        for protocol in self.protocols.values():
            mask, value = protocol.mark
            mine = (word & np.uint32(mask)) == value
            if mine.any():
                shares.append((protocol, rows[mine]))
            rows, word = rows[~mine], word[~mine]
        return shares, short, len(rows)

    def _compiled_shares(self, burst: Burst) -> tuple[list[Share], int, int] | None:
        library = native.LIBRARY
        if library is None:
            return None
        data, length = self._columns
        if (burst.data is not data or burst.length is not length) and not self._point(
            burst.data, burst.length
        ):
            return None
        library.sk_kinds(self._where.address, burst.count)
        *of_kinds, short, others = self._found.tolist()
        told = zip(self.protocols.values(), self._rows, of_kinds, strict=True)
        return [(protocol, rows[:n]) for protocol, rows, n in told if n], short, others

    def _point(self, data: U8, length: I32) -> bool:
        """Tell the core where the columns of bursts stand; False where they are not as it needs them."""
        if length.dtype != np.int32 or not data.flags.c_contiguous:
            return False
        kinds, room = len(self._marks), len(data)
        rows = np.empty((kinds, room), np.int64)
        self._rows, self._columns = tuple(rows), (data, length)
        self._where = native.Structure(
            *(data, data.size, data.shape[1], length, self._marks, kinds, room, rows, self._found)
        )
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
