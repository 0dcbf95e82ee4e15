"""Quantities as operators write them."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sekisho.model import units
from sekisho.model.errors import Malformed
from sekisho.model.policy import Unit


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("90s", 90),
        ("10min", 600),
        ("10m", 600),
        ("24h", 86400),
        ("7d", 604800),
        ("1w", 604800),
        ("1.5h", 5400),
        ("1h 30min", 5400),
        ("1h30m", 5400),
        (" 500 ms ", 0.5),
    ],
)
def test_durations(text: str, seconds: float) -> None:
    assert units.duration(text) == seconds


@pytest.mark.parametrize(
    "text", ["", " ", "10", "h", "-1h", "1x", "1H", "1h and", "0s", "1 000s", "1,5h", "∞", "1h\n1q"]
)
def test_what_is_no_duration(text: str) -> None:
    with pytest.raises(Malformed):
        units.duration(text)


@pytest.mark.parametrize(
    ("text", "unit", "window", "amount", "within"),
    [
        ("60/min", Unit.COUNT, None, 60, 60),
        ("60 per min", Unit.COUNT, None, 60, 60),
        ("60/min", Unit.COUNT, 10, 10, 10),
        ("30 in 10min", Unit.COUNT, None, 30, 600),
        ("30/10min", Unit.COUNT, None, 30, 600),
        ("10k/h", Unit.COUNT, None, 10_000, 3600),
        ("5/s", Unit.COUNT, None, 50, 10),
        ("5 in 1s", Unit.COUNT, None, 5, 1),
        ("50 GB/24h", Unit.BYTES, None, 5e10, 86400),
        ("1 GiB/d", Unit.BYTES, None, 2**30, 86400),
        ("200 Mbit/s", Unit.BYTES, None, 250_000_000, 10),
        ("200 Mbit/s", Unit.BYTES, 60, 1_500_000_000, 60),
        ("200Mbps", Unit.BYTES, None, 250_000_000, 10),
        ("10 MB/s", Unit.BYTES, None, 100_000_000, 10),
        ("8 Gbit in 1h", Unit.BYTES, None, 1e9, 3600),
        ("1_000 B/s", Unit.BYTES, None, 10_000, 10),
        ("20 kpps", Unit.PACKETS, None, 200_000, 10),
        ("1.5 Mpps", Unit.PACKETS, 1, 1_500_000, 1),
        ("1 Mpackets in 5min", Unit.PACKETS, None, 1_000_000, 300),
        ("80 %", Unit.RATIO, None, 0.8, 10),
        ("80%", Unit.RATIO, 600, 0.8, 600),
        ("80 % in 10min", Unit.RATIO, None, 0.8, 600),
        ("100 %", Unit.RATIO, None, 1, 10),
    ],
)
def test_thresholds(text: str, unit: Unit, window: float | None, amount: float, within: float) -> None:
    found = units.threshold(text, unit, window)
    assert (found.amount, found.window) == pytest.approx((amount, within))
    assert (found.unit, found.text) == (unit, text)


@pytest.mark.parametrize(
    ("text", "unit", "window", "says"),
    [
        ("60", Unit.COUNT, None, "in how long"),
        ("50 GB", Unit.BYTES, None, "in how long"),
        ("0/min", Unit.COUNT, None, "more than 0"),
        ("-5/min", Unit.COUNT, None, "no quantity"),
        ("60/fortnight", Unit.COUNT, None, "no duration"),
        ("60/0s", Unit.COUNT, None, "longer than 0"),
        ("60/100ms", Unit.COUNT, None, "at least 1s"),
        ("60/32d", Unit.COUNT, None, "at most 31d"),
        ("60/s", Unit.COUNT, 0.5, "at least 1s"),
        ("30 in 10min", Unit.COUNT, 60, "leave `window` out"),
        ("20 kpps", Unit.BYTES, None, "for packets"),
        ("200 Mbit/s", Unit.PACKETS, None, "for bytes"),
        ("200 Mbit/s", Unit.COUNT, None, "for bytes"),
        ("80 %", Unit.COUNT, None, "for ratio"),
        ("60/min", Unit.RATIO, None, "unit is missing"),
        ("101 %", Unit.RATIO, None, "100 %"),
        ("50 gb/h", Unit.BYTES, None, '"GB"'),
        ("50 KB/h", Unit.BYTES, None, '"kB"'),
        ("50/h", Unit.BYTES, None, "unit is missing"),
        ("50 Mb/s", Unit.BYTES, None, '"MB"'),
        ("20 kpps/s", Unit.PACKETS, None, "twice"),
        ("1,000/min", Unit.COUNT, None, "no quantity"),
        ("", Unit.COUNT, None, "no quantity"),
    ],
)
def test_what_is_no_threshold(text: str, unit: Unit, window: float | None, says: str) -> None:
    with pytest.raises(Malformed) as caught:
        units.threshold(text, unit, window)
    assert says in caught.value.asker


@pytest.mark.parametrize(
    ("text", "unit", "window", "amount"),
    [
        ("30/min", Unit.COUNT, 3600, 1800),
        ("10 in 10min", Unit.COUNT, 600, 10),
        ("100 Mbit/s", Unit.BYTES, 10, 125_000_000),
        ("0/min", Unit.COUNT, 60, 0),
        ("50 %", Unit.RATIO, 600, 0.5),
    ],
)
def test_amounts_within_another_window(text: str, unit: Unit, window: float, amount: float) -> None:
    assert units.amount_within(text, unit, window) == pytest.approx(amount)


def test_rates_and_sizes() -> None:
    assert units.bit_rate("10 Mbit/s") == 10_000_000
    assert units.bit_rate("10 Mbps") == 10_000_000
    assert units.bit_rate("1 MB/s") == 8_000_000
    assert units.bits("1 MB") == 8_000_000
    assert units.bits("8 Mbit") == 8_000_000


@pytest.mark.parametrize(
    ("read", "text"),
    [(units.bit_rate, "10 Mbit"), (units.bit_rate, "10 MB in 1s"), (units.bits, "1 MB/s"), (units.bits, "1")],
)
def test_what_is_no_rate_or_size(read: Callable[[str], int], text: str) -> None:
    with pytest.raises(Malformed):
        read(text)


@given(st.text(max_size=40), st.sampled_from(Unit))
def test_any_text_is_read_or_malformed(text: str, unit: Unit) -> None:
    reads: list[Callable[[], object]] = [
        lambda: units.duration(text),
        lambda: units.threshold(text, unit),
        lambda: units.bit_rate(text),
    ]
    for read in reads:
        with suppress(Malformed):
            read()


def test_suggestions() -> None:
    assert units.did_you_mean("wach", ("watch", "propose")) == 'did you mean "watch"?'
    assert units.did_you_mean("MODE", ("mode",)) == 'did you mean "mode"?'
    assert units.did_you_mean("zzz", ("a", "b")) == "known are a, b."
