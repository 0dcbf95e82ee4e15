from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sekisho.api.console.distribution import of, scale
from sekisho.model.policy import Condition, Threshold, Unit
from sekisho.model.report import Talker

LINE = Threshold(250e6, 10, Unit.BYTES, "200 Mbit/s")


def talkers(*rates: float) -> list[Talker]:
    return [Talker(f"p{i}", egress_bps=rate) for i, rate in enumerate(rates)]


def test_a_line_is_written_as_the_rate_it_is() -> None:
    assert scale("egress_bps", LINE) == 200e6
    assert scale("egress_pps", Threshold(200_000, 10, Unit.PACKETS)) == 20_000
    assert scale("smtp_per_minute", Threshold(30, 600, Unit.COUNT)) == 3


def test_who_is_over_the_line_is_counted_and_who_is_silent_too() -> None:
    found = of(Condition("egress-bytes", LINE), talkers(1e3, 5e6, 199e6, 200e6, 3e9), 20)
    assert (found.line, found.over, found.unit) == (200e6, 2, "bit/s")
    assert sum(b.subjects for b in found.bars) == 4
    assert found.quiet == 16


@given(st.lists(st.floats(0, 1e13), max_size=60), st.floats(1, 1e12))
def test_everybody_is_in_one_bar_or_quiet(rates: list[float], amount: float) -> None:
    found = of(Condition("egress-bytes", Threshold(amount, 10, Unit.BYTES)), talkers(*rates), len(rates))
    assert sum(b.subjects for b in found.bars) + found.quiet == len(rates)
    assert found.over == sum(r >= found.line for r in rates)
    assert found.bars[0].low < found.line < found.bars[-1].high
    steps = {round(math.log10(b.high / b.low), 6) for b in found.bars}
    assert len(steps) == 1, "all of one width"


@pytest.mark.parametrize("detector", ["scan-ports", "of-somebody-else"])
def test_what_no_collector_reports_has_no_bars(detector: str) -> None:
    found = of(Condition(detector, Threshold(100, 60, Unit.COUNT, "100/min")), talkers(1e9), 1)
    assert found.bars == ()
    assert found.text == "100/min"
