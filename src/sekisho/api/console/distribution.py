"""A line against how everybody behaves at this moment: talkers' rates in, a histogram out."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sekisho.model.policy import Condition, Threshold
    from sekisho.model.report import Talker

# Which of a talker's rates a detector counts, and how a line of that detector is written as one.
_RATE_OF: Final = {
    "egress-bytes": "egress_bps",
    "ingress-bytes": "ingress_bps",
    "egress-packets": "egress_pps",
    "ingress-packets": "ingress_pps",
    "smtp-connections": "smtp_per_minute",
}
# The units of what `scale` gives.
UNITS: Final = {
    "egress_bps": "bit/s",
    "ingress_bps": "bit/s",
    "egress_pps": "pps",
    "ingress_pps": "pps",
    "smtp_per_minute": "/min",
}
# Bars to a power of ten, and the powers of ten shown below the line and above it.
FINE: Final = 5
BELOW: Final = 4
ABOVE: Final = 2


@dataclass(frozen=True, slots=True)
class Bar:
    """How many subjects are between two rates; `over` where that is over the line."""

    low: float
    high: float
    subjects: int
    over: bool


@dataclass(frozen=True, slots=True)
class Distribution:
    """One condition's line and everybody's present rate, in bars of one width on a logarithmic scale.

    No bars where collectors report no such rate. `quiet` is how many of all subjects are under the first
    bar or were not reported.
    """

    detector: str
    text: str
    unit: str = ""
    line: float = 0.0
    over: int = 0
    quiet: int = 0
    bars: tuple[Bar, ...] = ()

    @property
    def highest(self) -> int:
        """The height of the highest bar."""
        return max((bar.subjects for bar in self.bars), default=0)


def is_counted(detector: str) -> bool:
    """Tell whether collectors report a rate that stands for a detector."""
    return detector in _RATE_OF


def over(condition: Condition, talker: Talker) -> bool:
    """Tell whether a talker's present rate is over the line of a condition that is counted."""
    rate = _RATE_OF[condition.detector]
    return float(getattr(talker, rate)) >= scale(rate, condition.threshold)


def of(condition: Condition, talkers: Sequence[Talker], everybody: int) -> Distribution:
    """Set everybody's rates against a condition's line."""
    rate, line = _RATE_OF.get(condition.detector, ""), condition.threshold
    text = line.text or f"{line.amount:g}"
    if not rate:
        return Distribution(condition.detector, text)
    at = scale(rate, line)
    rates = [float(getattr(t, rate)) for t in talkers]
    first = math.floor(math.log10(at)) - BELOW
    edges = [10 ** (first + i / FINE) for i in range((BELOW + ABOVE + 1) * FINE + 1)]
    counted = [0] * (len(edges) - 1)
    for each in rates:
        if each >= edges[0]:
            place = int((math.log10(each) - first) * FINE)
            counted[min(place, len(counted) - 1)] += 1
    bars = tuple(
        Bar(low, high, n, low >= at) for low, high, n in zip(edges, edges[1:], counted, strict=False)
    )
    over = sum(each >= at for each in rates)
    quiet = max(0, everybody - sum(counted))
    return Distribution(condition.detector, text, UNITS[rate], at, over, quiet, bars)


def scale(rate: str, line: Threshold) -> float:
    """Write a line as one of a talker's rates: amounts in a window become bit/s, pps or events a minute."""
    factor = {"egress_bps": 8.0, "ingress_bps": 8.0, "smtp_per_minute": 60.0}.get(rate, 1.0)
    return line.amount * factor / line.window
