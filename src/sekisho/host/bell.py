"""What wakes the loop of an agent: at once when it presses, else once a burst has come to its end."""

from __future__ import annotations

import math
import threading

# How long a signal, which sets the stop only, may go unheeded.
GLANCE = 0.5
# How long a burst may keep the loop from looking.
LONGEST_BURST = 1.0


class Bell:
    """Rung from any thread, heard by one. What does not press is heard `settle` seconds after the last ring.

    With a `settle` of 0 everything presses.
    """

    def __init__(self, settle: float = 0.0) -> None:
        self._rung = threading.Event()
        self._pressing = threading.Event()
        self._settle = settle

    def ring(self, pressing: bool = True) -> None:  # noqa: FBT001, FBT002 - what a listener is called with
        """Wake whoever rests."""
        if pressing:
            self._pressing.set()
        self._rung.set()

    def rest(self, left: float, stop: threading.Event) -> None:
        """Rest until it rings, `left` seconds have passed, or there is no more to do."""
        while left > 0 and not stop.is_set() and not self._rung.wait(min(left, GLANCE)):
            left -= GLANCE
        if self._settle > 0 and self._rung.is_set():
            self._let_settle(stop)
        self._rung.clear()
        self._pressing.clear()

    def _let_settle(self, stop: threading.Event) -> None:
        for _ in range(math.ceil(LONGEST_BURST / self._settle)):
            self._rung.clear()
            if self._pressing.wait(self._settle) or stop.is_set() or not self._rung.is_set():
                return
