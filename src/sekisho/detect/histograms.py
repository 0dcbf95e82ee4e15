"""Everybody in a policy's scope against its lines: what lanes measure in, a histogram of each line out."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from sekisho.model.report import ABOVE, BELOW, FINE, Histogram

if TYPE_CHECKING:
    from collections.abc import Iterable

    from sekisho.detect.judge import Judge, Line
    from sekisho.tables import F64, I64, Bool

_ROUNDING = 1e-9  # of a bar: what is at the line is not under it


def histograms(judges: Iterable[Judge]) -> tuple[Histogram, ...]:
    """Count for each line of each policy how many subjects in its scope are how far from it now."""
    measured: dict[int, tuple[I64, F64, F64]] = {}
    found = []
    for judge in judges:
        inside = int(np.count_nonzero(judge.scope))
        for line in judge.lines:
            if id(line.lane) not in measured:
                slots, number = line.lane.active()
                measured[id(line.lane)] = slots, number, np.log10(number)
            found.append(_of(judge.policy.name, line, judge.scope, inside, *measured[id(line.lane)]))
    return tuple(found)


def _of(
    policy: str, line: Line, scope: Bool, inside: int, slots: I64, number: F64, logarithm: F64
) -> Histogram:
    here = scope[slots]
    over = int(np.count_nonzero(number[here] >= line.amount))
    bars = (logarithm[here] - (np.log10(line.amount) - BELOW)) * FINE + _ROUNDING
    bars = np.minimum(bars[bars >= 0], (BELOW + ABOVE) * FINE - 1).astype(np.int64)
    counts = np.bincount(bars, minlength=(BELOW + ABOVE) * FINE)
    return Histogram(
        *(policy, line.lane.detector.name, line.lane.detector.unit, line.lane.window, line.amount),
        *(inside, over, tuple(counts.tolist())),
    )
