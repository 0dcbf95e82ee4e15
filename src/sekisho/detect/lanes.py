"""Lanes and streams: which rows are counted over which windows, and what they say of whom."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

import numpy as np

from sekisho import native
from sekisho.detect.detector import Observations
from sekisho.detect.distinct import Distinct
from sekisho.detect.recent import Recent
from sekisho.detect.sums import Sums, planes, pour

if TYPE_CHECKING:
    from sekisho.detect.detector import Detector, Rows
    from sekisho.detect.settings import DetectSettings
    from sekisho.tables import F64, I64, U64

Key: TypeAlias = tuple[str, bool]  # detector, internet only


@dataclass(frozen=True, slots=True)
class Measure:
    """A detector's number for n subjects: float64[n] each."""

    estimate: F64
    lower: F64
    upper: F64
    samples: F64


class Lane:
    """One detector over one window: asked by slot, 0 where nothing was seen."""

    def __init__(self, stream: Stream, window: float, now: float) -> None:
        settings, slots, detector = stream.settings, stream.slots, stream.detector
        self.stream = stream
        self.detector = detector
        self.window = window
        self.counter: Sums | Distinct = (
            Distinct(settings.seed, window, settings.tick, slots, now)
            if detector.distinct
            else Sums(detector.parts, window, settings.tick, slots, now)
        )

    def at_least(self, amount: float) -> I64:
        """List the slots whose estimate reaches the amount."""
        places = self.counter.places
        estimate = self.detector.estimate(self.counter.observe(slice(0, places.high)))
        slots = places.slot_of[: places.high][estimate >= amount]
        return slots[slots >= 0]

    def _observe(self, slots: I64) -> Observations:
        rows = self.counter.places.row_of[slots]
        seen = self.counter.observe(np.maximum(rows, 0))
        here = rows >= 0
        return Observations(seen.total * here, seen.variance * here, seen.samples * here)

    def estimate(self, slots: I64) -> F64:
        """Give the number of each slot."""
        return self.detector.estimate(self._observe(slots))

    def active(self) -> tuple[I64, F64]:
        """List the slots of whom anything is counted, and the number of each, which is over 0."""
        places = self.counter.places
        estimate = self.detector.estimate(self.counter.observe(slice(0, places.high)))
        slots = places.slot_of[: places.high]
        some = np.flatnonzero((slots >= 0) & (estimate > 0) & np.isfinite(estimate))
        return slots[some], estimate[some]

    def everybody(self, slots: int) -> F64:
        """Give the number of each of the first `slots` slots."""
        places = self.counter.places
        slot = places.slot_of[: places.high]
        used = slot >= 0
        found = np.zeros(slots)
        estimate = self.detector.estimate(self.counter.observe(slice(0, places.high)))
        found[slot[used]] = estimate[used]
        return found

    def measure(self, slots: I64, z: float) -> Measure:
        """Give the number of each slot with its bounds for a normal deviate z."""
        seen = self._observe(slots)
        lower, upper = self.detector.bounds(seen, z)
        return Measure(self.detector.estimate(seen), lower, upper, seen.samples)

    def forget(self, slots: I64) -> None:
        """Drop what is known of slots."""
        rows = self.counter.places.row_of[slots]
        self.counter.empty(rows[rows >= 0])


def _by_slot(planes: int, slots: int) -> F64:
    """Make float64[planes, slots] of zeros, a slot's planes side by side in memory."""
    return np.zeros((slots, planes)).T


class Stream:
    """One detector's choice of rows, taken once and counted in each of its lanes.

    Sums gather in `fresh`, float64[planes, slots], and go to the lanes once a tick; distinct items
    go at once.
    """

    def __init__(self, detector: Detector, slots: int, settings: DetectSettings, *, internet: bool) -> None:
        self.detector = detector
        self.internet = internet
        self.settings = settings
        self.slots = slots
        self.lanes: dict[float, Lane] = {}
        self.recent = Recent(settings.recent, slots, settings.tick)
        self.touched = False  # since the last flush
        self.fresh: F64 = _by_slot(0 if detector.distinct else planes(detector.parts), slots)

    def lane(self, window: float, now: float) -> Lane:
        """Give the lane of a window, a new one if there is none."""
        if window not in self.lanes:
            self.lanes[window] = Lane(self, window, now)
        return self.lanes[window]

    def add(self, rows: Rows, now: float) -> None:
        """Count the detector's rows."""
        takes = self.detector.take(rows, internet=self.internet)
        if not any(len(take.index) for take in takes):
            return
        self.touched = True
        if not self.detector.distinct:
            pour(takes, self.fresh)
        elif (items := takes[0].item) is not None:
            self.see(takes[0].slot, items)
        self.recent.add(rows, takes[0], self.detector, now)

    def see(self, slots: I64, items: U64) -> None:
        """Count items of slots, to be told apart."""
        for counter in self.distinct():
            counter.see(slots, items)

    def distinct(self) -> list[Distinct]:
        """List the lanes' distinct counts."""
        counters = [lane.counter for lane in self.lanes.values()]
        return [counter for counter in counters if isinstance(counter, Distinct)]

    def flush(self) -> None:
        """Hand what gathered since the last flush to the lanes."""
        if self.detector.distinct or not self.touched:
            return
        self.touched = False
        slots, amounts = self._taken()
        if not len(slots):
            return
        for lane in self.lanes.values():
            if isinstance(lane.counter, Sums):
                lane.counter.pour(slots, amounts)

    def _taken(self) -> tuple[I64, F64]:
        """Take out what has gathered: n slots, and float64[planes, n]."""
        if native.LIBRARY is None:
            slots = np.flatnonzero(self.fresh[-1] != 0)
            amounts = self.fresh.T[slots].T
            self.fresh.fill(0.0)
            return slots, amounts
        found, by_slot = np.empty(self.slots, np.int64), np.empty((self.slots, len(self.fresh)))
        many = native.LIBRARY.sk_sums_take(
            *(self.fresh.ctypes.data, len(self.fresh), self.slots, found.ctypes.data, by_slot.ctypes.data)
        )
        return found[:many], by_slot[:many].T

    def widen(self, slots: int) -> None:
        """Make room for more slots."""
        fresh = _by_slot(len(self.fresh), slots)
        fresh[:, : self.slots] = self.fresh
        self.fresh, self.slots = fresh, slots
        self.recent.widen(slots)
        for lane in self.lanes.values():
            lane.counter.places.widen(slots)

    def forget(self, slots: I64) -> None:
        """Drop what is known of slots."""
        self.fresh[:, slots] = 0.0
        self.recent.forget(slots)
        for lane in self.lanes.values():
            lane.forget(slots)

    def suspect(self, slots: I64) -> None:
        """Keep more of the recent rows of these slots than of others."""
        self.recent.suspects[slots] = True
