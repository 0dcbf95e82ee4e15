"""What collectors reported of late: a day of each busy subject, for charts where there is no archive.

A collector reports its busiest subjects every few seconds. Who is not among them counts as silent; while the
collector itself is silent nobody knows, which is kept apart: a line that is drawn on would tell of traffic
that may have ended.
"""

from __future__ import annotations

import math
import threading
from array import array
from collections import OrderedDict
from typing import TYPE_CHECKING, Final

from sekisho.app.subjects import talkers
from sekisho.model.archived import Series

if TYPE_CHECKING:
    from collections.abc import Iterable

    from sekisho.model.report import CollectorReport

# Seconds to a step, and how many steps are kept: an hour finely, a day coarsely.
GRAINS: Final = ((5.0, 720), (60.0, 1440))
# Subjects remembered; the one that was busy longest ago makes room. About 17 kB each.
SUBJECTS: Final = 2000
# Reports nearer to each other than this are taken for one.
NEAR: Final = 0.4
# A collector that has said nothing for so many seconds tells nothing about now any more.
QUIET: Final = 20.0
UNHEARD: Final = (math.nan, math.nan)


class _Ring:
    """Sums per step of the last steps."""

    def __init__(self, size: int) -> None:
        self._size = size
        self._newest = -1
        self._egress = array("f", bytes(4 * size))
        self._ingress = array("f", bytes(4 * size))

    def add(self, step: int, egress: float, ingress: float) -> None:
        """Add to one step; those in between were silent."""
        for each in range(max(self._newest + 1, step - self._size + 1), step + 1):
            self._egress[each % self._size] = self._ingress[each % self._size] = 0.0
        self._newest = max(self._newest, step)
        self._egress[step % self._size] += egress
        self._ingress[step % self._size] += ingress

    def keeps(self, step: int) -> bool:
        """Tell whether a step is not so old that it is forgotten."""
        return step > self._newest - self._size

    def at(self, step: int) -> tuple[float, float]:
        """Give one step's sums."""
        if not self._newest - self._size < step <= self._newest:
            return 0.0, 0.0
        return self._egress[step % self._size], self._ingress[step % self._size]


def _mean(ring: _Ring | None, reports: _Ring, steps: range) -> tuple[float, float]:
    """Give the mean of some steps, unheard ones left out; no ring is of somebody who was never reported."""
    sums = [(*(ring.at(n) if ring else (0.0, 0.0)), reports.at(n)[0]) for n in steps]
    heard = [s for s in sums if s[2] and not math.isnan(s[0])]
    told = sum(s[2] for s in heard)
    return (sum(s[0] for s in heard) / told, sum(s[1] for s in heard) / told) if told else UNHEARD


class Recent:
    """Implements `api.console.traffic.Traffic` from memory; thread-safe."""

    def __init__(self, most: int = SUBJECTS) -> None:
        self._most = most
        self._lock = threading.Lock()
        self._rings: OrderedDict[str, tuple[_Ring, ...]] = OrderedDict()
        self._whole = self._new()
        self._reports = self._new()  # how many reports came in a step
        self._shifted = 0.0
        self._last = -math.inf
        self._first = math.inf

    @property
    def began(self) -> float:
        """Tell when the first report came (unix seconds); infinite where none did."""
        return self._first + self._shifted

    def take(self, reports: Iterable[CollectorReport], now: float) -> None:
        """Take what all collectors said last, one of them at this moment; `time` is when each did."""
        kept = tuple(reports)
        found = talkers(r for r in kept if now - r.time <= QUIET)
        lost = talkers(r for r in kept if now - r.time > QUIET).keys() - found.keys()
        with self._lock:
            if 0 <= now - self._shifted - self._last < NEAR:
                return
            self._last = now - self._shifted
            self._first = min(self._first, self._last)
            for subject in lost & self._rings.keys():
                self._add(self._rings[subject], *UNHEARD)
            self._add(self._reports, 1.0, 0.0)
            egress = ingress = 0.0
            for subject, talker in found.items():
                egress, ingress = egress + talker.egress_bps, ingress + talker.ingress_bps
                self._add(self._of(subject), talker.egress_bps, talker.ingress_bps)
            self._add(self._whole, egress, ingress)

    def shift(self, step: float) -> None:
        """Move all along with a stepped clock."""
        with self._lock:
            self._shifted += step

    def series(self, subject: str, since: float, until: float, step: float) -> Series:
        """Give bytes per step; steps finer than what is kept are filled from the coarser ones."""
        with self._lock:
            rings = self._rings.get(subject) if subject else self._whole
            starts = [since + i * step for i in range(max(0, math.ceil((until - since) / step)))]
            rates = [self._rate(rings, start - self._shifted, step) for start in starts]
        return Series(
            subject,
            since,
            until,
            step,
            tuple(0.0 if math.isnan(egress) else egress * step / 8 for egress, _ in rates),
            tuple(0.0 if math.isnan(ingress) else ingress * step / 8 for _, ingress in rates),
            heard=tuple(not math.isnan(egress) for egress, _ in rates),
        )

    def _rate(self, rings: tuple[_Ring, ...] | None, start: float, step: float) -> tuple[float, float]:
        """Give the mean bit/s over one step: from fine sums while they are kept, else from coarse ones."""
        for (grain, _), ring, reports in zip(GRAINS, rings or (None, None), self._reports, strict=True):
            if grain < GRAINS[-1][0] <= step:
                continue
            first = int(start // grain)
            steps = range(first, max(first + 1, int((start + step) // grain)))
            # A report every few seconds leaves steps without one: what was said last still holds.
            before = range(first - 1, first - 1 - int(QUIET // grain), -1)
            last = next((n for n in before if reports.at(n)[0]), first)
            if any(reports.at(n)[0] for n in steps):
                return _mean(ring, reports, steps)
            if last != first:
                return _mean(ring, reports, range(last, last + 1))
            if reports.keeps(first):
                break
        return UNHEARD

    def _of(self, subject: str) -> tuple[_Ring, ...]:
        if subject not in self._rings:
            if len(self._rings) >= self._most:
                self._rings.popitem(last=False)
            self._rings[subject] = self._new()
        self._rings.move_to_end(subject)
        return self._rings[subject]

    def _add(self, rings: tuple[_Ring, ...], egress: float, ingress: float) -> None:
        for (grain, _), ring in zip(GRAINS, rings, strict=True):
            ring.add(int(self._last // grain), egress, ingress)

    @staticmethod
    def _new() -> tuple[_Ring, ...]:
        return tuple(_Ring(size) for _, size in GRAINS)
