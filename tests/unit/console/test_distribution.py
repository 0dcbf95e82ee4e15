from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sekisho.api.console.distribution import of, scale
from sekisho.model.policy import Condition, Threshold, Unit
from sekisho.model.report import BELOW, FINE, Histogram, Talker, added

LINE = Threshold(250e6, 10, Unit.BYTES, "200 Mbit/s")


def talkers(*rates: float) -> list[Talker]:
    return [Talker(f"p{i}", egress_bps=rate) for i, rate in enumerate(rates)]


def test_a_line_is_written_as_the_rate_it_is() -> None:
    assert scale("egress_bps", LINE) == 200e6
    assert scale("egress_pps", Threshold(200_000, 10, Unit.PACKETS)) == 20_000
    assert scale("smtp_per_minute", Threshold(30, 600, Unit.COUNT)) == 3


def test_who_is_over_the_line_is_counted_and_who_is_silent_too() -> None:
    found = of("p", Condition("egress-bytes", LINE), (), talkers(1e3, 5e6, 199e6, 200e6, 3e9), 20)
    assert (found.line, found.over, found.unit) == (200e6, 2, "bit/s")
    assert sum(b.subjects for b in found.bars) == 4
    assert found.quiet == 16


@given(st.lists(st.floats(0, 1e13), max_size=60), st.floats(1, 1e12))
def test_everybody_is_in_one_bar_or_quiet(rates: list[float], amount: float) -> None:
    found = of(
        "p", Condition("egress-bytes", Threshold(amount, 10, Unit.BYTES)), (), talkers(*rates), len(rates)
    )
    assert sum(b.subjects for b in found.bars) + found.quiet == len(rates)
    assert found.over == sum(r >= found.line for r in rates)
    assert found.bars[0].low < found.line < found.bars[-1].high
    steps = {round(math.log10(b.high / b.low), 6) for b in found.bars}
    assert len(steps) == 1, "all of one width"


@pytest.mark.parametrize("detector", ["scan-ports", "of-somebody-else"])
def test_what_no_collector_reports_has_no_bars(detector: str) -> None:
    found = of("p", Condition(detector, Threshold(100, 60, Unit.COUNT, "100/min")), (), talkers(1e9), 1)
    assert found.bars == ()
    assert found.text == "100/min"


def spread(detector: str, line: Threshold, over: int = 0, **places: int) -> Histogram:
    counts = [0] * 24
    for place, n in places.items():
        counts[int(place[1:])] = n
    return Histogram("p", detector, line.unit, line.window, line.amount, 100, over, tuple(counts))


@pytest.mark.parametrize(
    ("detector", "line", "unit", "at"),
    [
        ("egress-bytes", LINE, "bit/s", 200e6),
        ("egress-bytes", Threshold(5e10, 86400, Unit.BYTES), "B", 5e10),
        ("syn-flood", Threshold(20_000, 10, Unit.PACKETS), "pps", 2000),
        ("scan-ports", Threshold(100, 60, Unit.COUNT), "", 100),
        ("smtp-refused", Threshold(0.5, 60, Unit.RATIO), "%", 50),
    ],
)
def test_all_subjects_are_set_against_the_line_of_any_detector(
    detector: str, line: Threshold, unit: str, at: float
) -> None:
    told = spread(detector, line, 3, b12=40, b16=3)
    found = of("p", Condition(detector, line), (told,), talkers(1e9), 7000)
    assert (found.unit, found.over, found.quiet) == (unit, 3, 57)
    assert found.line == pytest.approx(at)
    assert found.everybody
    assert found.bars[found.under].low == pytest.approx(at), "the line is at the edge of a bar"
    assert next(bar.subjects for bar in found.bars if bar.over) == 3
    assert [bar.subjects for bar in found.bars][found.under - FINE] == 40
    assert dict(found.marks)[found.under] == pytest.approx(at)


def test_there_is_no_bar_for_half_an_event_or_for_more_than_all() -> None:
    line = Threshold(60, 60, Unit.COUNT)
    found = of("p", Condition("smtp-connections", line), (spread("smtp-connections", line, b10=1),), (), 1)
    assert found.bars[0].low <= 1 < found.bars[0].high
    line = Threshold(0.5, 60, Unit.RATIO)
    found = of("p", Condition("smtp-refused", line), (spread("smtp-refused", line, b10=1),), (), 1)
    assert found.bars[-1].low < 100 <= found.bars[-1].high
    assert found.under == BELOW * FINE


def test_of_another_line_or_policy_or_of_nobody_the_busiest_are_shown() -> None:
    line, other = LINE, Threshold(1e6, 10, Unit.BYTES)
    for told in ((), (spread("egress-bytes", other, b3=7),)):
        found = of("p", Condition("egress-bytes", line), told, talkers(1e9), 20)
        assert (found.everybody, found.over, found.quiet) == (False, 1, 19)


def test_histograms_of_several_collectors_are_added_up() -> None:
    one, two = spread("egress-bytes", LINE, 1, b16=1), spread("egress-bytes", LINE, 2, b16=2, b3=5)
    other = spread("scan-ports", Threshold(100, 60, Unit.COUNT), b1=1)
    both, alone = added((one, other, two))
    assert (both.over, both.subjects, both.told) == (3, 100, 2)
    assert (both.counts[16], both.counts[3]) == (3, 5)
    assert alone == other
