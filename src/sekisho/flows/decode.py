"""Datagrams of any known protocol in, flow records in columns out."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from sekisho.flows.wire.gather import Octets, starts
from sekisho.flows.wire.protocol import Counters, DecodeSettings
from sekisho.plugins import load, names
from sekisho.tables import FlowBatch

if TYPE_CHECKING:
    from collections.abc import Mapping

    from sekisho.flows.exporters import Exporters
    from sekisho.flows.wire.protocol import WireDecoder
    from sekisho.tables import Burst


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

    def decode(self, burst: Burst, now: float) -> FlowBatch:
        """Decode the datagrams of a burst; rows stand by protocol, then in arrival order."""
        length = burst.length[: burst.count]
        rows = np.nonzero(length >= 4)[0]
        self.unrecognised.count("short", burst.count - len(rows))
        word = Octets(burst.data).u32(starts(burst, rows))
        batches = []
        for protocol in self.protocols.values():
            mask, value = protocol.mark
            mine = (word & np.uint32(mask)) == value
            if not mine.any():
                continue
            batches.append(protocol.decode(burst, rows[mine], now))
            rows, word = rows[~mine], word[~mine]
        self.unrecognised.count("version", len(rows))
        return FlowBatch.concat([batch for batch in batches if len(batch)])

    def counters(self) -> dict[str, float]:
        """Totals as ``protocol.kind``, and those of the exporters' table."""
        totals = {f"unrecognised.{kind}": float(n) for kind, n in self.unrecognised.totals().items()}
        for name, protocol in self.protocols.items():
            totals |= {f"{name}.{kind}": float(n) for kind, n in protocol.counters.totals().items()}
        totals["exporters.live"] = float(self.exporters.count)
        totals["exporters.refused"] = float(self.exporters.refused)
        totals["exporters.unwelcome"] = float(self.exporters.unwelcome)
        return totals
