"""How high each subject came in each day by what a policy measures: where its line would have to be."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, Final

import numpy as np

if TYPE_CHECKING:
    from sekisho.detect.judge import Judge
    from sekisho.tables import F64, I64

# Whoever stays under this share of a line is not looked at.
FLOOR: Final = 0.05
# A streak of closes is followed by so many of them at most.
FOLLOWED: Final = 60


class Highest:
    """Of one judge: the highest line over which each subject was for as many closes as the policy wants.

    Only subjects in scope that are over the policy's other lines count. `look` after each close.
    """

    def __init__(self, judge: Judge) -> None:
        self._judge = judge
        # Of a long streak every n-th close is looked at: who falls under the line in between is missed.
        self._stride = max(1, judge.policy.windows // FOLLOWED)
        self._streak = max(1, -(-judge.policy.windows // self._stride))
        self._closes = 0
        self._last: deque[tuple[I64, F64]] = deque(maxlen=self._streak)
        self._best: F64 = np.zeros(0)
        self._day = -1
        self.days: dict[int, F64] = {}  # day since 1970: what each subject reached, sorted

    def look(self, wall: float) -> None:
        """Take down where everybody stands at a close."""
        self._closes += 1
        if self._closes % self._stride:
            return
        day = int(wall // 86400)
        if day != self._day:
            self.end()
            self._day = day
        slots, lower = self._now()
        self._last.append((slots, lower))
        if len(self._last) < self._streak:
            return
        held = self._held(slots, lower)
        if len(slots) and int(slots.max()) >= len(self._best):
            self._best = np.concatenate([self._best, np.zeros(int(slots.max()) + 1 - len(self._best))])
        self._best[slots] = np.maximum(self._best[slots], held)

    def end(self) -> None:
        """Close the day."""
        if self._day >= 0:
            self.days[self._day] = np.sort(self._best[self._best > 0])
        self._best = np.zeros(len(self._best))

    def _now(self) -> tuple[I64, F64]:
        judge = self._judge
        first = judge.lines[0]
        slots = first.lane.at_least(first.amount * FLOOR)
        slots = slots[judge.scope[slots]]
        for line in judge.lines[1:]:
            slots = slots[line.lane.measure(slots, judge.z).lower >= line.amount]
        return slots, first.lane.measure(slots, judge.z).lower

    def _held(self, slots: I64, lower: F64) -> F64:
        """Give the least of each slot's last closes: over no higher line was it all the while."""
        held = lower.copy()
        if self._streak == 1 or not len(slots):
            return held
        size = int(max(slots.max(), *(s.max() if len(s) else 0 for s, _ in self._last))) + 1
        for then, amount in list(self._last)[:-1]:
            dense = np.zeros(size)
            dense[then] = amount
            np.minimum(held, dense[slots], out=held)
        return held


def curve(days: dict[int, F64], amount: float, points: int = 40) -> list[tuple[float, float, int]]:
    """Give lines from low to high with how many distinct subjects cross each in a day: mean, and most."""
    top = max((float(reached[-1]) for reached in days.values() if len(reached)), default=0.0)
    low, high = amount * FLOOR, max(top, amount)
    lines = np.unique(np.append(np.geomspace(low, high, points), amount)) if low > 0 else np.array([amount])
    found = []
    for line in lines.tolist():
        counts = [len(reached) - int(np.searchsorted(reached, line, "left")) for reached in days.values()]
        found.append((float(line), sum(counts) / max(len(counts), 1), max(counts, default=0)))
    return found
