from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from sekisho.detect.detectors import registered
from sekisho.detect.detectors.catalogue import CATALOGUE, LARGEST, LARGEST_DISTINCT
from sekisho.detect.distinct import Distinct, cells


def count(distinct: Distinct, slot: int) -> float:
    row = distinct.places.row_of[slot]
    return float(distinct.observe(np.array([row])).total[0, 0]) if row >= 0 else 0.0


@pytest.mark.parametrize(
    ("n", "allowed"), [(0, 0), (1, 0.01), (30, 0.06), (500, 0.06), (LARGEST_DISTINCT, 0.12)]
)
def test_the_estimate_is_within_its_error(n: int, allowed: float) -> None:
    errors = []
    for seed in range(40):
        distinct = Distinct(seed, 60.0, 1.0, 4, 0.0)
        items = np.random.default_rng(seed).integers(0, 2**63, n, np.uint64)
        distinct.see(np.ones(2 * n, np.int64), np.concatenate([items, items]))
        errors.append(count(distinct, 1) - n)
    assert np.abs(errors).mean() <= allowed * max(n, 1)
    assert np.quantile(np.abs(errors), 0.95) <= 2.5 * allowed * max(n, 1)


def test_items_of_any_type_and_with_gaps_are_what_they_are() -> None:
    distinct = Distinct(1, 60.0, 1.0, 4, 0.0)
    slots: Any = np.ones(60, np.int32)
    items: Any = np.arange(60, dtype=np.int32)
    distinct.see(slots[::2], items[::2])
    assert count(distinct, 1) == pytest.approx(30, rel=0.1)


def test_whoever_does_not_know_the_seed_cannot_choose_things_that_count_as_one() -> None:
    known = np.arange(200_000, dtype=np.uint64)
    as_one = known[cells(known, 1) == 0][:50]
    for seed, number in ((1, 1), (2, 50)):
        distinct = Distinct(seed, 60.0, 1.0, 4, 0.0)
        distinct.see(np.ones(50, np.int64), as_one)
        assert count(distinct, 1) == pytest.approx(number, rel=0.1)


def test_sliding_counts_follow_brute_force_past_the_stamps_coming_round() -> None:
    rng = np.random.default_rng(3)
    window = 20.0
    distinct = Distinct(5, window, 1.0, 10, 0.0)
    seen: list[tuple[int, int, int]] = []
    for now in range(1, 900):
        slots = rng.integers(0, 3, 12)
        items = rng.integers(0, 60 + (now % 5) * 30, 12).astype(np.uint64)
        seen += [(now, int(s), int(i)) for s, i in zip(slots, items, strict=True)]
        seen = [s for s in seen if s[0] > now - window]
        distinct.see(slots, items)
        distinct.leave(float(now))
        for slot in range(3):
            truth = len({item for _, s, item in seen if s == slot})
            # The window's oldest second may have left already; no more than a second is missing.
            fewer = len({item for t, s, item in seen if s == slot and t > now - window + 1})
            estimate = count(distinct, slot)
            assert fewer * 0.85 - 3 <= estimate <= truth * 1.1 + 3, now
        filled = distinct.hits.sum(axis=0)
        assert (filled[: distinct.places.high] == distinct.filled[: distinct.places.high]).all()
        distinct.turn(float(now))


def test_old_sightings_never_look_new_again() -> None:
    distinct = Distinct(5, 10.0, 1.0, 3, 0.0)
    items = np.arange(100, dtype=np.uint64)
    distinct.see(np.zeros(100, np.int64), items)
    for now in range(1, 1200):
        distinct.see(np.zeros(1, np.int64), np.array([777], np.uint64))  # keeps the row in use
        distinct.leave(float(now))
        distinct.turn(float(now))
        if now > 11:
            assert count(distinct, 0) == pytest.approx(1.0, abs=0.01), now
    distinct.see(np.zeros(100, np.int64), items)
    assert 95 < count(distinct, 0) < 106


def test_rows_are_lazy_and_given_back_empty() -> None:
    distinct = Distinct(5, 10.0, 1.0, 100_000, 0.0)
    for now in range(1, 300):
        distinct.see(np.array([now * 7]), np.array([now], np.uint64))
        assert count(distinct, now * 7) == pytest.approx(1.0, abs=0.01)
        distinct.leave(float(now))
        distinct.turn(float(now))
    assert distinct.places.high < 20
    assert distinct.nbytes < 100_000


def test_the_largest_threshold_can_be_crossed() -> None:
    distinct = Distinct(5, 60.0, 1.0, 4, 0.0)
    distinct.see(np.zeros(6000, np.int64), np.arange(6000, dtype=np.uint64))
    seen = distinct.observe(distinct.places.row_of[[0]])
    lower = seen.total[0] - 1.96 * np.sqrt(seen.variance[0])
    assert lower[0] > LARGEST_DISTINCT


def test_every_distinct_detector_states_its_largest_threshold() -> None:
    assert {name for name in CATALOGUE if registered()[name].distinct} == set(LARGEST)
