"""Cumulative readings in, volumes over a sliding window out; all in columns.

What a meter tells of a port is a number that only grows: bytes since the port's counter began. Kept are
the numbers themselves, one for each period, not the differences. So a late reading falls into its place,
one told twice changes nothing, a gap is the difference between its two ends, and a counter that began
anew shows as a drop.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from sekisho.tables import F64, I64, Bool

EGRESS: Final = 0
INGRESS: Final = 1
_FIRST_ROOM: Final = 64
_BLOCK: Final = 128  # rows at a time: what is made of them stays in the processor's cache


@dataclass(frozen=True, slots=True)
class Volumes:
    """Bytes of each subject within one window, by direction: float64[2, subjects], EGRESS then INGRESS.

    There is no sampling error. What is not known is where within its period a byte was sent: `lower` has
    only periods that lie wholly in the window, `upper` also those that reach into it. `since` is the
    oldest moment each subject was read at, `last` the newest; `readings` how many stand behind it.
    """

    subjects: tuple[str, ...]
    start: float
    stop: float
    estimate: F64
    lower: F64
    upper: F64
    since: F64
    last: F64
    readings: I64

    def __len__(self) -> int:
        return len(self.subjects)


class Readings:
    """A ring of periods for each key, float64[2, keys, periods]; a period without a reading is NaN."""

    def __init__(self, step: float, window: float) -> None:
        self.step = step
        # One before the window, so that its first period has a beginning, and one that is not over yet.
        self.periods = int(np.ceil(window / step)) + 3
        self._slots: dict[str, int] = {}
        self._free: list[int] = []
        self._newest = 0  # the newest period there is room for
        self._values: F64 = np.full((2, _FIRST_ROOM, self.periods), np.nan)

    def __len__(self) -> int:
        return len(self._slots)

    def __contains__(self, key: str) -> bool:
        return key in self._slots

    @property
    def keys(self) -> tuple[str, ...]:
        """Whoever was ever read and not forgotten since."""
        return tuple(self._slots)

    def period(self, time: float) -> int:
        """Give the number of the period a moment lies in."""
        return int(time // self.step)

    def advance(self, now: float) -> None:
        """Make room for the periods up to `now`; the oldest leave."""
        newest = self.period(now)
        if newest <= self._newest:
            return
        first = max(self._newest + 1, newest - self.periods + 1)
        self._values[:, :, np.arange(first, newest + 1) % self.periods] = np.nan
        self._newest = newest

    def slots(self, keys: Iterable[str]) -> I64:
        """Give each key its row, new ones a fresh one."""
        return np.fromiter((self._slot(key) for key in keys), np.int64)

    def put(self, slots: I64, periods: I64, egress: F64, ingress: F64) -> None:
        """Take readings, a row each; those of periods that are no longer kept are left out."""
        kept = (periods > self._newest - self.periods) & (periods <= self._newest)
        at = slots[kept], periods[kept] % self.periods
        for way, values in ((EGRESS, egress), (INGRESS, ingress)):
            new = values[kept]
            told = ~np.isnan(new)
            self._values[way, at[0][told], at[1][told]] = new[told]

    def forget(self, keys: Iterable[str]) -> None:
        """Let keys go; their rows are used again."""
        for key in keys:
            slot = self._slots.pop(key, None)
            if slot is not None:
                self._values[:, slot] = np.nan
                self._free.append(slot)

    def column(self, period: int) -> F64:
        """Give one period of all rows, in the order of the rows."""
        return self._values[:, :, period % self.periods].copy()

    def volumes(self, subjects: Sequence[str], keys: Sequence[str], start: float, stop: float) -> Volumes:
        """Sum what each key counted within the window to its subject; several keys may be one subject's."""
        names = tuple(dict.fromkeys(subjects))
        index = {name: i for i, name in enumerate(names)}
        owner = np.fromiter((index[s] for s in subjects), np.int64, len(subjects))
        rows = self._ordered(self.slots(keys))
        blocks = [rows[:, i : i + _BLOCK] for i in range(0, rows.shape[1], _BLOCK)] or [rows]
        steps = [_Steps.of(block, self._times(), self.step).within(start) for block in blocks]
        parts = (np.concatenate(part, axis=1) for part in zip(*steps, strict=True))
        estimate, lower, upper = (_sum(part, owner, len(names)) for part in parts)
        since, last = np.full(len(names), np.inf), np.full(len(names), -np.inf)
        count = np.zeros(len(names), np.int64)
        there = ~np.isnan(rows).all(axis=0)
        times = self._times()
        np.minimum.at(since, owner, np.where(there, times, np.inf).min(axis=1))
        np.maximum.at(last, owner, np.where(there, times, -np.inf).max(axis=1))
        np.add.at(count, owner, (there & (times > start - self.step)).sum(axis=1))
        return Volumes(names, start, stop, estimate, lower, upper, since, last, count)

    def _times(self) -> F64:
        """When each period of the ring begins, oldest first."""
        first = self._newest - self.periods + 1
        times: F64 = np.arange(first, self._newest + 1, dtype=np.float64) * self.step
        return times

    def _ordered(self, slots: I64) -> F64:
        order = np.arange(self._newest - self.periods + 1, self._newest + 1) % self.periods
        return self._values[:, slots][:, :, order]

    def _slot(self, key: str) -> int:
        slot = self._slots.get(key)
        if slot is None:
            slot = self._free.pop() if self._free else len(self._slots)
            if slot >= self._values.shape[1]:
                more = np.full_like(self._values, np.nan)
                self._values = np.concatenate((self._values, more), axis=1)
            self._slots[key] = slot
        return slot


@dataclass(slots=True)
class _Steps:
    """What was counted between one reading of a row and the next, and between which periods."""

    amount: F64  # [2, rows, periods], 0 where nothing was read
    begin: F64  # the beginning of the period of the reading before
    end: F64  # the beginning of its own
    step: float

    @classmethod
    def of(cls, values: F64, times: F64, step: float) -> _Steps:
        """Difference readings that are there; a counter that began anew counts from nothing."""
        values = _without_mixed(values)
        there = ~np.isnan(values)
        known = np.where(there, values, 0.0)
        earlier = np.roll(_before(there), 1, axis=2)
        earlier[:, :, 0] = -1
        has = there & (earlier >= 0)
        at = np.maximum(earlier, 0)
        before = np.take_along_axis(known, at, axis=2)
        amount = np.where(known >= before, known - before, known)
        return cls(np.where(has, amount, 0.0), times[at], np.broadcast_to(times, at.shape), step)

    def within(self, start: float) -> tuple[F64, F64, F64]:
        """Estimate how much lies in a window that began then, and how much at least and at most."""
        # A reading is of somewhere in its period: taken at its middle, it may be of either end.
        half = self.step / 2
        span = np.maximum(self.end - self.begin, self.step)
        inside = self.end + half - np.maximum(self.begin + half, start)
        share = np.clip(inside / span, 0.0, 1.0)
        surely = self.begin >= start
        maybe = self.end + self.step > start
        return (
            (self.amount * share).sum(axis=2),
            np.where(surely, self.amount, 0.0).sum(axis=2),
            np.where(maybe, self.amount, 0.0).sum(axis=2),
        )


def _sum(amounts: F64, owner: I64, owners: int) -> F64:
    """Add up the rows of each owner, both ways."""
    return np.stack([np.bincount(owner, amounts[way], owners) for way in (EGRESS, INGRESS)])


def _before(there: Bool) -> I64:
    """Give for each place where the last reading up to it stands, -1 where there was none."""
    places = np.where(there, np.arange(there.shape[-1]), -1)
    return np.maximum.accumulate(places, axis=-1)


def _after(there: Bool) -> I64:
    """Give for each place where the first reading from it on stands, beyond the end where there is none."""
    length = there.shape[-1]
    places = np.where(there, np.arange(length), length)
    return np.minimum.accumulate(places[..., ::-1], axis=-1)[..., ::-1]


def _without_mixed(values: F64) -> F64:
    """Leave out the mean of a period in which a counter began anew, and a drop nothing has followed yet.

    With several samples in a period its mean may mix terabytes from before with nothing from after: no
    number of anything. It shows as two drops in a row, the mean itself and what comes next.
    """
    there = ~np.isnan(values)
    length = values.shape[-1]
    earlier = np.concatenate((np.full_like(there[..., :1], -1, np.int64), _before(there)[..., :-1]), axis=-1)
    later = np.concatenate((_after(there)[..., 1:], np.full_like(there[..., :1], length, np.int64)), axis=-1)
    before = np.take_along_axis(values, np.maximum(earlier, 0), axis=-1)
    after = np.take_along_axis(values, np.minimum(later, length - 1), axis=-1)
    dropped = there & (earlier >= 0) & (values < before)
    followed = (later < length) & (after >= values)
    return np.where(dropped & ~followed, np.nan, values)
