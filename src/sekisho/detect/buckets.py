"""Time in pieces: a steady clock out of an unsteady one, and the buckets of a sliding window."""

from __future__ import annotations

from collections import deque
from typing import Final

PARTS: Final = 60  # buckets in a window, at least, where the tick allows
_SHORTEST: Final = 0.9  # of a bucket's length: a tick that comes a little early still turns it
_SLACK: Final = 0.1  # of a bucket's length: a tick that comes a little late still keeps it
_JUMP: Final = 2.0  # seconds back that are a jump, not two threads a moment apart


class Steady:
    """Seconds that only grow: a step back is no time at all, a step forward is taken as told."""

    def __init__(self) -> None:
        self.now = 0.0
        self.last: float | None = None

    def read(self, wall: float) -> float:
        """Give the steady time for a wall time; the first one is 0."""
        if self.last is None:
            self.last = wall
        elif wall >= self.last:
            self.now += wall - self.last
            self.last = wall
        elif wall < self.last - _JUMP:
            self.last = wall
        return self.now


class Buckets:
    """Which buckets of a window of `window` seconds are filled, filling, or gone.

    A bucket counts while all of it lies within the window, so that a sum never covers more than the
    window: it covers between ``window - length`` and ``window``. Where the length is the tick, the
    buckets end with the ticks and a sum covers the window whole.
    """

    def __init__(self, window: float, tick: float, now: float) -> None:
        self.window = window
        self.length = max(tick, window / PARTS)
        self.size = int(window / (self.length * _SHORTEST)) + 3
        self.number = 0
        self.start = now
        self.closed: deque[tuple[int, float]] = deque()

    @property
    def index(self) -> int:
        """Place in a ring of `size` of the bucket that is filling."""
        return self.number % self.size

    @property
    def oldest(self) -> int:
        """Number of the oldest bucket that still counts."""
        return self.closed[0][0] if self.closed else self.number

    def _horizon(self, now: float) -> float:
        return now - self.window - self.length * _SLACK

    def stale(self, now: float) -> bool:
        """Tell whether even the bucket that is filling began before the window."""
        return self.start < self._horizon(now)

    def leave(self, now: float) -> list[int]:
        """Let go of the closed buckets that have left the window; their numbers."""
        horizon = self._horizon(now)
        gone = []
        while self.closed and (self.closed[0][1] < horizon or len(self.closed) >= self.size - 1):
            gone.append(self.closed.popleft()[0])
        return gone

    def due(self, now: float) -> bool:
        """Tell whether the bucket that is filling is long enough to be closed."""
        return now - self.start >= self.length * _SHORTEST

    def turn(self, now: float) -> None:
        """Close the bucket that is filling and begin the next."""
        self.closed.append((self.number, self.start))
        self.number += 1
        self.start = now

    def restart(self, now: float) -> None:
        """Forget all buckets and begin one now; numbers go on."""
        self.closed.clear()
        self.number += 1
        self.start = now
