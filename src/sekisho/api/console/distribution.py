"""A line against how everybody behaves at this moment: what collectors report in, a histogram out."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from sekisho.model.policy import Unit
from sekisho.model.report import ABOVE, BELOW, FINE

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from sekisho.model.policy import Condition, Threshold
    from sekisho.model.report import Histogram, Talker

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
# Over a window of so many seconds and more bytes are a volume, not a rate.
LONG: Final = 3600.0


@dataclass(frozen=True, slots=True)
class Bar:
    """How many subjects are between two numbers; `over` where that is over the line."""

    low: float
    high: float
    subjects: int
    over: bool


@dataclass(frozen=True, slots=True)
class Distribution:
    """One condition's line and everybody's present number, in bars of one width on a logarithmic scale.

    No bars where collectors report nothing of it. `everybody` where all subjects in the policy's scope are
    counted, and not a collector's busiest alone; `quiet` is how many of them are under the first bar or were
    not reported. Numbers are in `unit`, within `window` seconds where that is no rate. `told` is how many
    collectors and workers are added up.
    """

    detector: str
    text: str
    unit: str = ""
    line: float = 0.0
    over: int = 0
    quiet: int = 0
    bars: tuple[Bar, ...] = ()
    window: float = 0.0
    everybody: bool = False
    told: int = 0

    @property
    def highest(self) -> int:
        """The height of the highest bar."""
        return max((bar.subjects for bar in self.bars), default=0)

    @property
    def under(self) -> int:
        """How many bars there are under the line."""
        return sum(not bar.over for bar in self.bars)

    @property
    def marks(self) -> tuple[tuple[int, float], ...]:
        """Where the scale says which number, by bars from the left: the line and each factor of ten."""
        places = range(self.under % FINE, len(self.bars), FINE)
        return tuple((place, self.bars[place].low) for place in places)


def is_counted(detector: str) -> bool:
    """Tell whether collectors report a rate that stands for a detector."""
    return detector in _RATE_OF


def over(condition: Condition, talker: Talker) -> bool:
    """Tell whether a talker's present rate is over the line of a condition that is counted."""
    rate = _RATE_OF[condition.detector]
    return float(getattr(talker, rate)) >= scale(rate, condition.threshold)


def of(
    policy: str,
    condition: Condition,
    histograms: Iterable[Histogram],
    talkers: Sequence[Talker],
    everybody: int,
) -> Distribution:
    """Set everybody against a condition's line: by histograms of it, else by the rates of the busiest."""
    line = condition.threshold
    asked = policy, condition.detector, line.unit, line.window, line.amount
    for one in histograms:
        if (one.policy, one.detector, one.unit, one.window, one.line) == asked and one.line > 0:
            return _of_all(one, line.text or f"{line.amount:g}")
    return _of_busiest(condition, talkers, everybody)


def _of_all(one: Histogram, text: str) -> Distribution:
    unit, factor = _shown(one.unit, one.window)
    low = one.line * factor / 10**BELOW
    bars = (
        Bar(low * 10 ** (i / FINE), low * 10 ** ((i + 1) / FINE), n, i >= BELOW * FINE)
        for i, n in enumerate(one.counts)
    )
    # There is no half an event, and no more than all.
    fits = tuple(
        bar
        for bar in bars
        if bar.subjects
        or not ((one.unit is Unit.COUNT and bar.high <= 1) or (one.unit is Unit.RATIO and bar.low >= factor))
    )
    quiet = max(0, one.subjects - sum(one.counts))
    rate = unit in ("bit/s", "pps")
    return Distribution(
        *(one.detector, text, unit, one.line * factor, one.over, quiet, fits),
        *(0.0 if rate else one.window, True, one.told),
    )


def _shown(unit: Unit, window: float) -> tuple[str, float]:
    """Give the unit that people read, and what an amount is multiplied by for it."""
    match unit:
        case Unit.BYTES if window < LONG:
            return "bit/s", 8.0 / window
        case Unit.BYTES:
            return "B", 1.0
        case Unit.PACKETS:
            return "pps", 1.0 / window
        case Unit.RATIO:
            return "%", 100.0
        case Unit.COUNT:
            return "", 1.0


def _of_busiest(condition: Condition, talkers: Sequence[Talker], everybody: int) -> Distribution:
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
