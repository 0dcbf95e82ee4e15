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
    from sekisho.tables import I64, Burst


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

    def decode(self, burst: Burst, now: float) -> FlowBatch:
        """Decode the datagrams of a burst; rows stand by protocol, then in arrival order."""
        shares, short, others = self._compiled_shares(burst) or self._shares(burst)
        self.unrecognised.count("short", short)
        self.unrecognised.count("version", others)
        protocols = zip(self.protocols.values(), shares, strict=True)
        batches = [protocol.decode(burst, rows, now) for protocol, rows in protocols if len(rows)]
        return FlowBatch.concat([batch for batch in batches if len(batch)])

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
        if library is None or length.dtype != np.int32 or not data.flags.c_contiguous:
            return None
        kinds, n = len(self._marks), burst.count
        rows = np.empty((kinds, n), np.int64)
        found = np.zeros(kinds + 2, np.int64)
        where = data.ctypes.data, data.size, data.shape[1], length.ctypes.data, n
        library.sk_kinds(*where, self._marks.ctypes.data, kinds, rows.ctypes.data, found.ctypes.data)
        *of_kinds, short, others = found.tolist()
        return [mine[:count] for mine, count in zip(rows, of_kinds, strict=True)], short, others

    def counters(self) -> dict[str, float]:
        """Totals as ``protocol.kind``, and those of the exporters' table."""
        totals = {f"unrecognised.{kind}": float(n) for kind, n in self.unrecognised.totals().items()}
        for name, protocol in self.protocols.items():
            totals |= {f"{name}.{kind}": float(n) for kind, n in protocol.counters.totals().items()}
        totals["exporters.live"] = float(self.exporters.count)
        totals["exporters.refused"] = float(self.exporters.refused)
        totals["exporters.unwelcome"] = float(self.exporters.unwelcome)
        return totals
