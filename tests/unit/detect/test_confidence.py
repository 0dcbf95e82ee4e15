from __future__ import annotations

import numpy as np
import pytest

from sekisho.detect import confidence

Z = confidence.deviate(0.95)


@pytest.mark.parametrize(
    ("count", "low", "high"), [(0, 0.0, 3.7), (3, 0.6, 8.8), (10, 4.8, 18.4), (25, 16.2, 36.9)]
)
def test_poisson_bounds_match_the_exact_table(count: int, low: float, high: float) -> None:
    lower, upper = confidence.poisson(np.array([float(count)]), Z)
    assert lower[0] == pytest.approx(low, abs=0.06)
    assert upper[0] == pytest.approx(high, abs=0.06)


def test_a_total_without_variance_has_no_error() -> None:
    estimate = np.array([0.0, 7.0, 1e12])
    lower, upper = confidence.total(estimate, np.zeros(3), Z)
    assert np.array_equal(lower, estimate)
    assert np.array_equal(upper, estimate)


def test_equal_sampled_rows_are_bounded_as_their_count() -> None:
    # Ten samples at a rate so high that the finite-rate correction vanishes.
    rate = 1e6
    lower, upper = confidence.total(np.array([10 * rate]), np.array([10 * rate * (rate - 1)]), Z)
    assert lower[0] / rate == pytest.approx(4.8, abs=0.06)
    assert upper[0] / rate == pytest.approx(18.4, abs=0.06)


@pytest.mark.parametrize("rate", [10, 400])
@pytest.mark.parametrize("packets", [2_000, 20_000, 200_000])
def test_the_lower_bound_is_over_the_truth_in_few_trials(rate: int, packets: int) -> None:
    rng = np.random.default_rng(rate + packets)
    sizes = rng.choice([64.0, 576.0, 1500.0], packets, p=[0.5, 0.2, 0.3])
    trials = 400
    estimate, variance = np.zeros(trials), np.zeros(trials)
    for trial in range(trials):
        seen = sizes[rng.random(packets) < 1 / rate] * rate
        estimate[trial] = seen.sum()
        variance[trial] = ((1 - 1 / rate) * seen**2).sum()
    lower, upper = confidence.total(estimate, variance, Z)
    truth = sizes.sum()
    assert (lower > truth).mean() < 0.05
    assert ((lower <= truth) & (truth <= upper)).mean() > 0.85  # few samples seen at 1:400 of 2,000 packets


def test_more_confidence_is_a_wider_interval() -> None:
    narrow = confidence.total(np.array([4000.0]), np.array([400.0 * 4000]), confidence.deviate(0.8))
    wide = confidence.total(np.array([4000.0]), np.array([400.0 * 4000]), confidence.deviate(0.99))
    assert wide[0] < narrow[0] < 4000 < narrow[1] < wide[1]


def test_wilson_share() -> None:
    lower, upper = confidence.share(np.array([0.0, 8.0, 10.0]), np.array([0.0, 10.0, 10.0]), Z)
    assert lower.tolist() == pytest.approx([0.0, 0.490, 0.722], abs=0.002)
    assert upper.tolist() == pytest.approx([1.0, 0.943, 1.0], abs=0.002)
