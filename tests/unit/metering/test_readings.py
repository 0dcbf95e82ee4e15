"""Volumes from cumulative readings: late ones, gaps, counters that begin anew, several keys."""

from __future__ import annotations

import numpy as np
import pytest

from sekisho.metering.readings import EGRESS, INGRESS, Readings, Volumes

STEP = 300.0
DAY = 86400.0
NOW = 20_000 * DAY + 150  # in the middle of a period
PERIODS = 288


def ring() -> Readings:
    readings = Readings(STEP, DAY)
    readings.advance(NOW)
    return readings


def put(readings: Readings, key: str, values: dict[int, float], way: int = EGRESS) -> None:
    """Put readings by how many periods ago they are."""
    slots = readings.slots([key] * len(values))
    periods = np.array([readings.period(NOW) - ago for ago in values])
    told = np.array(list(values.values()))
    none = np.full_like(told, np.nan)
    columns = (told, none) if way == EGRESS else (none, told)
    readings.put(slots, periods, *columns)


def steady(rate: float, since: int = PERIODS + 1) -> dict[int, float]:
    return {ago: 1e6 + (since - ago) * rate for ago in range(since, -1, -1)}


def day(readings: Readings, *keys: str) -> Volumes:
    return readings.volumes(["vm"] * len(keys), keys, NOW - DAY, NOW)


def one(volumes: Volumes, way: int = EGRESS) -> tuple[float, float, float]:
    return float(volumes.lower[way, 0]), float(volumes.estimate[way, 0]), float(volumes.upper[way, 0])


def test_a_day_of_steady_traffic() -> None:
    readings = ring()
    put(readings, "a", steady(1000))
    put(readings, "a", steady(3000), INGRESS)
    lower, estimate, upper = one(day(readings, "a"))
    assert estimate == PERIODS * 1000
    assert PERIODS * 1000 - 2000 <= lower < estimate < upper <= PERIODS * 1000 + 2000
    assert one(day(readings, "a"), INGRESS)[1] == PERIODS * 3000


def test_a_counter_that_begins_anew_counts_what_it_shows() -> None:
    readings = ring()
    put(readings, "a", {10: 5e9, 9: 6e9, 8: 2e8, 7: 3e8})
    assert one(day(readings, "a"))[1] == 1e9 + 2e8 + 1e8


def test_a_drop_counts_only_when_something_has_followed_it() -> None:
    readings = ring()
    put(readings, "a", {10: 5e12, 9: 6e12, 8: 3e12})
    assert one(day(readings, "a"))[1] == 1e12


def test_the_mean_of_before_and_after_is_no_number_of_anything() -> None:
    readings = ring()
    put(readings, "a", {10: 5e12, 9: 6e12, 8: 3e12, 7: 1e6, 6: 2e6})
    assert one(day(readings, "a"))[1] == 1e12 + 2e6


def test_a_gap_is_the_difference_between_its_ends() -> None:
    readings = ring()
    told = steady(1000)
    put(readings, "a", {ago: v for ago, v in told.items() if not 20 < ago < 200})
    assert one(day(readings, "a"))[1] == PERIODS * 1000


def test_a_gap_into_the_window_is_shared_by_time_and_its_bounds_say_so() -> None:
    readings = ring()
    put(readings, "a", {PERIODS + 2: 0.0, PERIODS - 2: 4000.0, 0: 4000.0})
    lower, estimate, upper = one(day(readings, "a"))
    assert (lower, upper) == (0.0, 4000.0)
    assert estimate == pytest.approx(2000.0)


def test_a_reading_that_comes_late_falls_into_its_place() -> None:
    early, late = ring(), ring()
    put(early, "a", {10: 100.0, 9: 300.0, 8: 50.0, 7: 70.0})
    put(late, "a", {10: 100.0, 8: 50.0, 7: 70.0})
    put(late, "a", {9: 300.0})
    assert one(day(early, "a")) == one(day(late, "a"))


def test_a_reading_told_twice_changes_nothing() -> None:
    readings = ring()
    put(readings, "a", steady(1000))
    before = one(day(readings, "a"))
    put(readings, "a", steady(1000))
    assert one(day(readings, "a")) == before


def test_several_keys_are_one_subject() -> None:
    readings = ring()
    put(readings, "a", {3: 0.0, 2: 100.0})
    put(readings, "b", {2: 7e9, 1: 7e9 + 50})
    assert one(day(readings, "a", "b"))[1] == 150


def test_what_leaves_the_window_is_forgotten() -> None:
    readings = ring()
    put(readings, "a", {5: 0.0, 4: 1e9, 0: 1e9})
    readings.advance(NOW + DAY)
    volumes = readings.volumes(["vm"], ["a"], NOW, NOW + DAY)
    assert one(volumes) == (0.0, 0.0, 0.0)


def test_a_long_absence_empties_the_ring() -> None:
    readings = ring()
    put(readings, "a", steady(1000))
    readings.advance(NOW + 30 * DAY)
    assert readings.volumes(["vm"], ["a"], NOW + 29 * DAY, NOW + 30 * DAY).readings[0] == 0


def test_a_row_let_go_is_clean_for_the_next() -> None:
    readings = ring()
    put(readings, "a", steady(1000))
    readings.forget(["a"])
    put(readings, "b", {1: 5.0})
    assert one(day(readings, "b")) == (0.0, 0.0, 0.0)
    assert readings.keys == ("b",)


def test_room_grows() -> None:
    readings = ring()
    for i in range(200):
        put(readings, f"k{i}", {2: 0.0, 1: float(i)})
    volumes = readings.volumes([f"s{i}" for i in range(200)], [f"k{i}" for i in range(200)], NOW - DAY, NOW)
    assert volumes.estimate[EGRESS].tolist() == [float(i) for i in range(200)]


def test_nobody_has_no_volumes() -> None:
    assert len(ring().volumes([], [], NOW - DAY, NOW)) == 0


def test_when_it_was_read_first_and_last() -> None:
    readings = ring()
    put(readings, "a", {5: 0.0, 4: 1.0})
    volumes = day(readings, "a")
    assert volumes.since[0] == (readings.period(NOW) - 5) * STEP
    assert volumes.last[0] == (readings.period(NOW) - 4) * STEP
    assert volumes.readings[0] == 2
