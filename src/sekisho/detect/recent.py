"""The last rows of a stream, so that evidence can name destinations, ports and exporters."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from sekisho import native
from sekisho.model.policy import Direction
from sekisho.model.restriction import Count
from sekisho.tables import address_text

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from sekisho.detect.detector import Detector, Rows, Take
    from sekisho.tables import F64, I32, I64, U16, U64, Bool

_SHARE: Final = 32  # one batch fills at most this share of the ring
_HASH, _SHIFT = np.uint32(0x9E37_79B1), np.uint32(0x7F4A_7C15)
_TICKS: Final = 4  # that a ring takes to fill, at least
_NEXT, _ALLOWED = 3, 4  # places in `recent` of native/count.h
_ROUGHEST: Final = 16  # of a large batch every 2**16th row stays, at least
# `kept` of native/count.h: short, for what is written to memory here is what it costs.
ROW: Final = np.dtype(
    [
        *(("time", np.float64), ("far_hi", np.uint64), ("far_lo", np.uint64), ("amount", np.float64)),
        *(("slot", np.int32), ("exporter", np.int32), ("port", np.uint16)),
    ],
    align=True,
)


@dataclass(slots=True)
class Tops:
    """What stands out in one subject's recent rows."""

    destinations: list[Count] = field(default_factory=list)
    ports: list[Count] = field(default_factory=list)
    exporters: list[int] = field(default_factory=list)


class Recent:
    """A ring of `size` rows in columns; of large batches a part, suspects first.

    To fill it takes some ticks, at least: when one ends there are rows from all of it. The far end is the
    destination for what our subject sent and the source for what it was sent.
    """

    def __init__(self, size: int, slots: int, tick: float) -> None:
        self.size = size
        self._rows = np.zeros(size, ROW)
        self.slot: I32 = self._rows["slot"]
        self.time: F64 = self._rows["time"]
        self.far_hi: U64 = self._rows["far_hi"]
        self.far_lo: U64 = self._rows["far_lo"]
        self.port: U16 = self._rows["port"]
        self.exporter: I32 = self._rows["exporter"]
        self.amount: F64 = self._rows["amount"]
        self.slot.fill(-1)
        self.suspects: Bool = np.zeros(slots, np.bool_)
        self._share = max(1, size // _SHARE)
        # The C side of the ring: also what the next rows are kept by, here and there.
        self.ring = native.Structure(self._rows, size, self._share, 0, 0, 0, 0)
        self._allowed = self.ring.values[_ALLOWED:].view(np.float64)
        self._allowed[:] = self._share, 0.0, size / (_TICKS * tick)

    def widen(self, slots: int) -> None:
        """Make room for more slots."""
        self.suspects = np.concatenate([self.suspects, np.zeros(slots - len(self.suspects), np.bool_)])

    def forget(self, slots: I64) -> None:
        """Drop the rows of slots."""
        self.slot[np.isin(self.slot, slots)] = -1
        self.suspects[slots] = False

    def add(self, rows: Rows, take: Take, detector: Detector, now: float) -> None:
        """Keep the rows taken, or a part of them."""
        if not len(take.index):
            return
        keep = self._choose(take, self._room(float(rows.batch.time[-1])))
        index, batch = take.index[keep], rows.batch
        self._allowed[0] -= len(index)
        behind = int(self.ring.values[_NEXT])
        places = (behind + np.arange(len(index))) % self.size
        self.ring.values[_NEXT] = (behind + len(index)) % self.size
        outward = detector.direction is Direction.EGRESS
        self.slot[places] = take.slot[keep]
        self.time[places] = now
        self.far_hi[places] = (batch.dst_hi if outward else batch.src_hi)[index]
        self.far_lo[places] = (batch.dst_lo if outward else batch.src_lo)[index]
        self.port[places] = (batch.src_port if detector.source_port else batch.dst_port)[index]
        self.exporter[places] = batch.exporter[index]
        self.amount[places] = take.amount[keep]

    def _room(self, arrived: float) -> int:
        """How many rows may be kept that came until then."""
        allowed, since, pace = self._allowed.tolist()
        if arrived > since:
            self._allowed[0] = min(float(self._share), allowed + (arrived - since) * pace)
        self._allowed[1] = arrived
        return int(self._allowed[0])

    def _choose(self, take: Take, room: int) -> I64:
        suspected = self.suspects[take.slot]
        first = _every(take.index, np.flatnonzero(suspected), room)
        rest = _every(take.index, np.flatnonzero(~suspected), room - len(first))
        return np.concatenate([first, rest])

    def tops(self, slots: I64, since: float, count: int) -> dict[int, Tops]:
        """Sum up what each of these slots did since then: `count` destinations and ports each."""
        wanted = np.zeros(len(self.suspects) + 1, np.bool_)
        wanted[slots] = True
        rows = np.flatnonzero(wanted[self.slot] & (self.time >= since))
        tops = {int(slot): Tops() for slot in slots}
        slot, amount = self.slot[rows], self.amount[rows]
        self._name_far_ends(tops, rows, count)
        for at, total in _greatest(slot, (self.port[rows],), amount, count):
            tops[int(slot[at])].ports.append(Count(str(self.port[rows[at]]), total))
        for at, _ in _greatest(slot, (self.exporter[rows],), amount, count):
            tops[int(slot[at])].exporters.append(int(self.exporter[rows[at]]))
        return tops

    def _name_far_ends(self, tops: dict[int, Tops], rows: I64, count: int) -> None:
        slot, hi, lo = self.slot[rows], self.far_hi[rows], self.far_lo[rows]
        names: dict[tuple[int, int], str] = {}
        for at, total in _greatest(slot, (lo, hi), self.amount[rows], count):
            address = int(hi[at]), int(lo[at])
            if address not in names:
                names[address] = address_text(*address)
            tops[int(slot[at])].destinations.append(Count(names[address], total))


def _every(index: I64, places: I64, most: int) -> I64:
    """Pick at most so many of the places, from all over the batch: the rows that stand for enough of them.

    Of two neighbouring stretches of rows one is chosen, of these again: one of 2**power stays.
    """
    if most <= 0:
        return places[:0]
    power = min(max(-(-len(places) // most) - 1, 0).bit_length(), _ROUGHEST)
    left = index[places].astype(np.uint32)
    chosen = np.ones(len(left), np.bool_)
    for _ in range(power):
        above = left >> np.uint32(1)
        chosen &= (left & np.uint32(1)) == above * _HASH + _SHIFT >> np.uint32(31)
        left = above
    kept: I64 = places[chosen][:most]
    return kept


def _greatest(slot: I32, keys: tuple[NDArray[Any], ...], amount: F64, count: int) -> list[tuple[int, float]]:
    """Group by slot and keys; the `count` greatest groups of each slot, greatest first.

    Each is a row that belongs to the group and the group's total.
    """
    if not len(slot):
        return []
    order = np.lexsort((*keys, slot))
    columns = [column[order] for column in (slot, *keys)]
    starts = np.flatnonzero(np.r_[True, np.any([c[1:] != c[:-1] for c in columns], axis=0)])
    total = np.add.reduceat(amount[order], starts)
    rank = np.lexsort((-total, columns[0][starts]))
    ranked = columns[0][starts][rank]
    first = np.r_[True, ranked[1:] != ranked[:-1]]
    place = np.arange(len(rank)) - np.maximum.accumulate(np.where(first, np.arange(len(rank)), 0))
    best = rank[place < count]
    return list(zip(order[starts[best]].tolist(), total[best].tolist(), strict=True))
