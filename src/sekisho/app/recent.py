"""What collectors reported of late: a day of each busy subject, for charts where there is no archive.

A collector reports its busiest subjects every few seconds. Who is not among them counts as silent.
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

    def at(self, step: int) -> tuple[float, float]:
        """Give one step's sums."""
        if not self._newest - self._size < step <= self._newest:
            return 0.0, 0.0
        return self._egress[step % self._size], self._ingress[step % self._size]


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

    def take(self, reports: Iterable[CollectorReport], now: float) -> None:
        """Take what all collectors say at this moment."""
        found = talkers(reports)
        with self._lock:
            if 0 <= now - self._shifted - self._last < NEAR:
                return
            self._last = now - self._shifted
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
            tuple(egress * step / 8 for egress, _ in rates),
            tuple(ingress * step / 8 for _, ingress in rates),
        )

    def _rate(self, rings: tuple[_Ring, ...] | None, start: float, step: float) -> tuple[float, float]:
        """Give the mean bit/s over one step: from fine sums while there are any, else from coarse ones."""
        if rings is None:
            return 0.0, 0.0
        for (grain, _), ring, reports in zip(GRAINS, rings, self._reports, strict=True):
            if grain < GRAINS[-1][0] <= step:
                continue
            first = int(start // grain)
            steps = range(first, max(first + 1, int((start + step) // grain)))
            told = sum(reports.at(each)[0] for each in steps)
            if told:
                sums = [ring.at(each) for each in steps]
                return sum(s[0] for s in sums) / told, sum(s[1] for s in sums) / told
        return 0.0, 0.0

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
