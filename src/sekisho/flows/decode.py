"""Datagrams of any known protocol in, flow records in columns out."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeAlias

import numpy as np

from sekisho import native
from sekisho.flows.wire.datagrams import PLACES, Datagrams
from sekisho.flows.wire.gather import Octets, starts
from sekisho.flows.wire.protocol import Counters, DecodeSettings
from sekisho.plugins import load, names
from sekisho.tables import FlowBatch

if TYPE_CHECKING:
    from collections.abc import Mapping

    from sekisho.flows.exporters import Exporters
    from sekisho.flows.wire.protocol import WireDecoder
    from sekisho.tables import I64, Burst


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
        # For the compiled core: which datagrams of the last burst are of each protocol, and how many; behind
        # these how many are too short to tell, and of none.
        self._rows: tuple[I64, ...] = ()
        self._found = np.zeros(len(self._marks) + 2, np.int64)
        self._places = native.Places(*PLACES, "marks", "kinds", "room", "rows", "found")
        self._datagrams = Datagrams(self._places)
        self._room = -1  # datagrams there is room for
        self._places.point(marks=self._marks, found=self._found)
        self._places.put(kinds=len(self._marks))

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
        if library is None or not self._datagrams.are(burst):
            return None
        if burst.count > self._room:
            self._make_room(burst.count)
        library.sk_kinds(self._places.address)
        *of_kinds, short, others = self._found.tolist()
        told = zip(self.protocols.values(), self._rows, of_kinds, strict=True)
        return [(protocol, rows[:n]) for protocol, rows, n in told if n], short, others

    def _make_room(self, datagrams: int) -> None:
        self._room = datagrams
        rows = np.empty((len(self._marks), datagrams), np.int64)
        self._rows = tuple(rows)
        self._places.point(rows=rows)
        self._places.put(room=datagrams)

    def counters(self) -> dict[str, float]:
        """Totals as ``protocol.kind``, and those of the exporters' table."""
        totals = {f"unrecognised.{kind}": float(n) for kind, n in self.unrecognised.totals().items()}
        for name, protocol in self.protocols.items():
            totals |= {f"{name}.{kind}": float(n) for kind, n in protocol.counters.totals().items()}
        totals["exporters.live"] = float(self.exporters.count)
        totals["exporters.refused"] = float(self.exporters.refused)
        totals["exporters.unwelcome"] = float(self.exporters.unwelcome)
        return totals
