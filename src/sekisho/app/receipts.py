"""What hosts say they did, on its way into the ledger: news at once, running totals together.

Thousands of hosts count on every few seconds. That a restriction came into force, or that something is
wrong, is written before the host has its answer, together with what others tell meanwhile. That it dropped
some more packets may wait for the next tick: until then whoever asks for a restriction has it written first.
"""

from __future__ import annotations

import threading
from collections import defaultdict
from typing import TYPE_CHECKING, Final, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Iterable

    from sekisho.ledger.ledger import Ledger
    from sekisho.model.restriction import Receipt

# Host and restriction.
Key: TypeAlias = tuple[str, str]
EVERY: Final = 1.0  # seconds between writings of running totals
REMEMBERED: Final = 100_000


class Receipts:
    """Receipts of all hosts; thread-safe. What could not be written waits for the next time."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger
        self._lock = threading.Lock()
        # Held while writing: what was told later must never be written earlier.
        self._writing = threading.Lock()
        self._waiting: dict[Key, Receipt] = {}
        self._told: dict[Key, tuple[bool, str]] = {}  # as it was last written
        self._written = 0.0

    def knows(self, host: str, receipts: Iterable[Receipt]) -> bool:
        """Tell whether a host has told of all these before."""
        with self._lock:
            return all((host, r.restriction) in self._told for r in receipts)

    def take(self, host: str, receipts: Iterable[Receipt], now: float) -> None:
        """Take what a host tells; news are written when this returns, or it raises Unavailable."""
        told = {(host, r.restriction): r for r in receipts}
        with self._lock:
            anew = any(_is_anew(self._waiting.get(key), r) for key, r in told.items())
        if anew:  # the totals it had come to count too
            self.write(now)
        with self._lock:
            self._waiting |= told
            news = any(self._told.get(key) != _state(r) for key, r in told.items())
        if news:
            self.write(now)

    def tick(self, now: float) -> None:
        """Write running totals if it is time."""
        if not 0 <= now - self._written < EVERY:
            self._written = now
            self.write(now)

    def write(self, now: float) -> None:
        """Write what waits; costs nothing if nothing does. Raises Unavailable, and nothing is lost."""
        if not self._waiting and not self._writing.locked():
            return
        with self._writing:
            with self._lock:
                waiting, self._waiting = self._waiting, {}
            if not waiting:
                return
            try:
                self._ledger.all_receipts(_by_host(waiting), now)
            except BaseException:
                with self._lock:
                    self._waiting = waiting | self._waiting
                raise
            with self._lock:
                if len(self._told) > REMEMBERED:
                    self._told.clear()
                self._told |= {key: _state(r) for key, r in waiting.items()}


def _state(receipt: Receipt) -> tuple[bool, str]:
    return receipt.in_force, receipt.problem


def _is_anew(before: Receipt | None, receipt: Receipt) -> bool:
    return before is not None and (
        receipt.dropped_packets < before.dropped_packets or receipt.dropped_bytes < before.dropped_bytes
    )


def _by_host(waiting: dict[Key, Receipt]) -> dict[str, list[Receipt]]:
    found: dict[str, list[Receipt]] = defaultdict(list)
    for (host, _), receipt in waiting.items():
        found[host].append(receipt)
    return found
