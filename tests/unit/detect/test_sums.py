from __future__ import annotations

import numpy as np
import pytest

from sekisho.detect.buckets import Buckets, Steady
from sekisho.detect.sums import Sums


def test_a_sum_covers_its_window_and_at_most_a_bucket_less() -> None:
    rng = np.random.default_rng(1)
    window = 120.0
    sums = Sums(1, window, 1.0, 50, 0.0)
    history: list[tuple[float, np.ndarray]] = []
    for now in range(1, 1000):
        slots = np.unique(rng.integers(0, 50, 5))
        amounts = np.zeros((3, len(slots)))
        amounts[0] = rng.integers(1, 1_000_000, len(slots)) * 400.0
        amounts[2] = 1
        dense = np.zeros(50)
        dense[slots] = amounts[0]
        history.append((now - 0.5, dense))
        sums.pour(slots, amounts)
        sums.leave(float(now))
        rows = sums.places.row_of
        seen = np.where(rows >= 0, sums.observe(np.maximum(rows, 0)).total[0], 0.0)
        most = sum(d for t, d in history if t > now - window - sums.buckets.length * 0.1)
        least = sum(d for t, d in history if t > now - window + sums.buckets.length)
        assert (seen <= most * (1 + 1e-6)).all()
        assert (seen >= least * (1 - 1e-6)).all()
        sums.turn(float(now))


def test_an_amount_beyond_all_measure_leaves_no_nan_behind() -> None:
    sums = Sums(1, 10.0, 1.0, 4, 0.0)
    for now in range(1, 40):
        sums.pour(np.array([2]), np.array([[1e30], [1e60], [1.0]] if now == 5 else [[100.0], [7.0], [1.0]]))
        sums.leave(float(now))
        seen = sums.observe(sums.places.row_of[[2]])
        assert np.isfinite(seen.total).all()
        assert np.isfinite(seen.variance).all()
        sums.turn(float(now))
    assert seen.samples[0] == 10.0


def test_a_window_of_whole_ticks_is_covered_whole() -> None:
    sums = Sums(1, 10.0, 1.0, 4, 0.0)
    for now in range(1, 31):
        sums.pour(np.array([2]), np.array([[100.0], [0.0], [1.0]]))
        sums.leave(now + 0.02 * (now % 3))  # ticks are never quite on time
        seen = sums.observe(sums.places.row_of[[2]])
        assert seen.total[0, 0] == 100.0 * min(now, 10)
        sums.turn(now + 0.02 * (now % 3))


def test_totals_do_not_drift_and_rows_are_given_back() -> None:
    rng = np.random.default_rng(2)
    sums = Sums(1, 60.0, 1.0, 8, 0.0)
    for now in range(1, 5000):
        amount = rng.random() * 10.0 ** rng.integers(0, 13)
        sums.pour(np.array([now % 8]), np.array([[amount], [amount], [1.0]]))
        sums.leave(float(now))
        sums.turn(float(now))
    held = sum(sums.ring[n % sums.buckets.size].astype(float) for n, _ in sums.buckets.closed)
    assert np.allclose(sums.total, held, rtol=1e-9, atol=1e-3)
    for now in range(5000, 5100):
        sums.leave(float(now))
        sums.turn(float(now))
    assert len(sums.places.active()) == 0
    assert not sums.total.any()


def test_a_freed_row_starts_empty_for_the_next() -> None:
    sums = Sums(1, 10.0, 1.0, 1000, 0.0)
    for now in range(1, 200):
        sums.pour(np.array([now]), np.array([[5.0], [0.0], [1.0]]))
        sums.leave(float(now))
        assert sums.observe(sums.places.row_of[[now]]).total[0, 0] == 5.0
        sums.turn(float(now))
    assert sums.places.high < 20


@pytest.mark.parametrize("window", [1.0, 10.0, 60.0, 600.0, 86_400.0])
def test_the_ring_is_never_too_small(window: float) -> None:
    buckets = Buckets(window, 1.0, 0.0)
    now = 0.0
    for _ in range(300):
        now += buckets.length * 0.91
        buckets.leave(now)
        if buckets.due(now):
            buckets.turn(now)
        numbers = [number % buckets.size for number, _ in buckets.closed] + [buckets.index]
        assert len(set(numbers)) == len(numbers)
        assert now - buckets.closed[0][1] <= window + 1.2 * buckets.length


def test_steady_time_never_goes_back() -> None:
    steady = Steady()
    walls = [100.0, 101.0, 100.99, 102.0, 40.0, 41.0, 42.0, 9000.0, 9001.0, 9000.5]
    assert [steady.read(w) for w in walls] == [0, 1, 1, 2, 2, 3, 4, 8962, 8963, 8963]
