"""The one place that reads the clock: a steady clock that wall-clock steps do not move.

`now()` is the wall clock as it stood at the last anchor plus the time that really passed since
(CLOCK_BOOTTIME, which counts suspended time too). When NTP or a person steps the wall clock,
`stepped()` says by how much; the keeper then moves every end in the ledger by that step and lets the
clock `anchor` anew, so that a promise of an hour stays an hour.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

# Slewing never drifts this far between two looks; a step of less than this frees nobody noticeably.
TOLERANCE = 2.0


@dataclass(frozen=True, slots=True)
class Mark:
    """A moment seen by both clocks: which boot, how long since it, and what the wall clock said."""

    boot: str
    passed: float
    wall: float


def boot_id() -> str:
    """Name this boot of the machine (Linux: random/boot_id)."""
    return Path("/proc/sys/kernel/random/boot_id").read_text().strip()


class Clock:
    """Unix seconds that only ever grow at one second a second."""

    def __init__(
        self,
        wall: Callable[[], float] = time.time,
        passed: Callable[[], float] = lambda: time.clock_gettime(time.CLOCK_BOOTTIME),
        boot: str = "",
    ) -> None:
        self._wall = wall
        self._passed = passed
        self.boot = boot or boot_id()
        self._offset = wall() - passed()

    def now(self) -> float:
        """Tell the time, unix seconds."""
        return self._passed() + self._offset

    def passed(self) -> float:
        """Tell the seconds since this boot."""
        return self._passed()

    def mark(self) -> Mark:
        """Take down both clocks, to be compared by `resume` after a restart."""
        passed = self._passed()
        return Mark(self.boot, passed, passed + self._offset)

    def resume(self, mark: Mark | None) -> None:
        """Go on from where an earlier process of this boot was, so that a step while away is seen too."""
        if mark is not None and mark.boot == self.boot:
            self._offset = mark.wall - mark.passed

    def stepped(self) -> float:
        """Tell how far the wall clock stands from ours since it was stepped; 0.0 if it was not."""
        step = self._wall() - self.now()
        if abs(step) < TOLERANCE:
            # follow slewing without ever jumping: at most a millisecond a look
            self._offset += max(-0.001, min(0.001, step))
            return 0.0
        return step

    def follow(self, step: float) -> Mark:
        """Say what `mark` will say once `anchor` has followed this step."""
        mark = self.mark()
        return Mark(mark.boot, mark.passed, mark.wall + step)

    def anchor(self, step: float) -> None:
        """Follow the wall clock's step, once whatever depends on it has been moved too."""
        self._offset += step
