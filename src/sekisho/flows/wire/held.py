"""Data whose template has not come yet: kept for a while, within bounds, then counted and dropped."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Final

import numpy as np

from sekisho.flows.wire.sets import Sets, ragged

if TYPE_CHECKING:
    from sekisho.flows.wire.protocol import Counters, DecodeSettings
    from sekisho.tables import F64, I64, U8, Bool

_OVERHEAD: Final = 64  # what a held set costs beside its octets
_CHUNK: Final = 1 << 16  # chunks smaller than this are joined


@dataclass(slots=True)
class Waiting:
    """Sets in a slab of their own: key, exporter row and arrival of each, and since when it waits."""

    slab: U8
    start: I64
    end: I64
    key: I64
    row: I64
    time: F64
    since: F64

    def take(self, rows: I64 | Bool) -> Waiting:
        """Pick sets by index or mask; the slab stays."""
        return Waiting(self.slab, *(getattr(self, f.name)[rows] for f in fields(self)[1:]))

    def sets(self) -> Sets:
        """See them as sets; the message of each is its own row here."""
        return Sets(self.key & 0xFFFF, self.start, self.end, np.arange(len(self.key)))

    @property
    def cost(self) -> I64:
        """Octets each of them is charged for."""
        return self.end - self.start + _OVERHEAD


class Held:
    """Sets that wait, oldest first, in few chunks however many bursts they came in."""

    def __init__(self, settings: DecodeSettings, counters: Counters, rows: int) -> None:
        self._settings, self._counters = settings, counters
        self._chunks: list[Waiting] = []
        self._of_row = np.zeros(rows, np.int64)

    @property
    def octets(self) -> int:
        """What all that waits is charged for."""
        return int(self._of_row.sum())

    def keep(self, slab: U8, new: Waiting) -> None:
        """Copy sets that lie in `slab` as far as the caps allow; count the rest."""
        fit = self._fitting(new)
        self._counters.count("no_template_dropped", len(fit) - int(np.count_nonzero(fit)))
        new = new.take(fit)
        if not len(new.key):
            return
        self._counters.count("no_template_held", len(new.key))
        size = new.end - new.start
        new.slab = slab[ragged(new.start, size)[0]]
        new.end = np.cumsum(size)
        new.start = new.end - size
        np.add.at(self._of_row, new.row, new.cost)
        if self._chunks and len(self._chunks[-1].slab) < _CHUNK:
            new = _joined(self._chunks.pop(), new)
        self._chunks.append(new)

    def release(self, keys: I64, clock: float) -> list[Waiting]:
        """Hand out all that waits for these keys, but what has waited too long."""
        self.expire(clock)
        released = []
        for i, chunk in enumerate(self._chunks):
            wanted = np.isin(chunk.key, keys)
            if wanted.any():
                self._chunks[i] = chunk.take(~wanted)
                self._let_go(taken := chunk.take(wanted))
                released.append(self._in_time(taken, clock))
        self._chunks = [c for c in self._chunks if len(c.key)]
        self._counters.count("no_template_released", sum(len(r.key) for r in released))
        return released

    def expire(self, clock: float) -> None:
        """Drop chunks of which nothing is young enough any more."""
        while self._chunks and self._chunks[0].since[-1] < clock - self._settings.hold_seconds:
            gone = self._chunks.pop(0)
            self._let_go(gone)
            self._counters.count("no_template_dropped", len(gone.key))

    def forget(self, row: int) -> None:
        """Drop what waits from one exporter."""
        if self._of_row[row]:
            self._chunks = [c.take(c.row != row) for c in self._chunks]
            self._chunks = [c for c in self._chunks if len(c.key)]
            self._of_row[row] = 0

    def _in_time(self, taken: Waiting, clock: float) -> Waiting:
        young = taken.since >= clock - self._settings.hold_seconds
        self._counters.count("no_template_dropped", len(young) - int(np.count_nonzero(young)))
        return taken.take(young)

    def _let_go(self, gone: Waiting) -> None:
        np.subtract.at(self._of_row, gone.row, gone.cost)

    def _fitting(self, new: Waiting) -> Bool:
        """Whether each set, in order, is within its exporter's share and the whole."""
        order = np.argsort(new.row, kind="stable")
        row, cost = new.row[order], new.cost[order]
        upto = np.cumsum(cost)
        first = np.searchsorted(row, row)
        of_row = upto - upto[first] + cost[first] + self._of_row[row]
        fit = np.empty(len(row), np.bool_)
        fit[order] = of_row <= self._settings.hold_bytes_per_exporter
        fit &= self.octets + np.cumsum(new.cost * fit) <= self._settings.hold_bytes
        return fit


def _joined(a: Waiting, b: Waiting) -> Waiting:
    shift = len(a.slab)
    b.start, b.end = b.start + shift, b.end + shift
    return Waiting(*(np.concatenate([getattr(a, f.name), getattr(b, f.name)]) for f in fields(a)))
