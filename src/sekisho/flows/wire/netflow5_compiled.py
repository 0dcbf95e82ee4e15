"""NetFlow v5 by the compiled core: a burst in two calls; as wire/netflow5.py does it in columns."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np

from sekisho import native
from sekisho.flows.wire.datagrams import PLACES, Datagrams
from sekisho.flows.wire.protocol import NETFLOW5

if TYPE_CHECKING:
    import ctypes

    from sekisho.flows.exporters import Exporters
    from sekisho.flows.exporters_compiled import CompiledExporters
    from sekisho.tables import I64, Burst, FlowBatch

# The structure `burst5` of native/netflow5.c: the names of its places, in order.
_PLACES: Final = (
    *PLACES,
    *("protocol", "most_records", "sampling", "sure"),
    *("known", "sequences", "records", "generation"),
    *("numbered", "votes", "last", "count", "open"),
    *("start", "present", "row", "interval", "sequence", "step"),
)


class CompiledNetflow5:
    """What the core needs to decode bursts in which no datagram lies, is cut, or of a new exporter.

    `numbering`: the columns of Numbering by the names they have in the core; `limits`: records of a
    datagram, the bits of the sampling interval, and how sure we get of one reading.
    """

    def __init__(
        self,
        library: ctypes.CDLL,
        core: CompiledExporters,
        exporters: Exporters,
        numbering: dict[str, I64],
        limits: tuple[int, int, int],
    ) -> None:
        self._library, self._exporters = library, exporters
        self._places = native.Places(*_PLACES)
        self._datagrams = Datagrams(self._places)
        self._room = 0  # datagrams there is room for
        self._places.point(known=core.table, sequences=core.sequences, records=exporters.records)
        self._places.point(generation=exporters.generation, **numbering)
        self._places.point(open=np.zeros(exporters.settings.total, np.uint8))
        names = "most_records", "sampling", "sure"
        self._places.put(protocol=NETFLOW5, **dict(zip(names, limits, strict=True)))

    def decode(self, burst: Burst, rows: I64, now: float) -> FlowBatch | None:
        """Decode datagrams `rows` of the burst; None, and nothing done, where there is more to tell."""
        self._exporters.begin(now)
        if not self._datagrams.are(burst, rows):
            return None
        if len(rows) > self._room:
            self._make_room(len(rows))
        total = self._library.sk_netflow5_find(self._places.address)
        if total < 0:
            return None
        block = native.block(total)
        self._library.sk_netflow5_decode(
            self._places.address, block.address, total, burst.time, now, self._exporters.clock
        )
        return block.batch(total)

    def _make_room(self, datagrams: int) -> None:
        self._room = datagrams
        start, present = np.zeros((2, datagrams), np.int64)
        sequence, step = np.zeros((2, datagrams), np.uint32)
        row, interval = np.zeros(datagrams, np.int32), np.zeros(datagrams, np.uint16)
        self._places.point(start=start, present=present, row=row)
        self._places.point(interval=interval, sequence=sequence, step=step)


def compiled_netflow5(
    exporters: Exporters, numbering: dict[str, I64], limits: tuple[int, int, int]
) -> CompiledNetflow5 | None:
    """Make it where there is the compiled core."""
    if native.LIBRARY is None or exporters.core is None:
        return None
    return CompiledNetflow5(native.LIBRARY, exporters.core, exporters, numbering, limits)
