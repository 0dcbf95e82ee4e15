"""Requests that were turned away, in the journal: each kind once a minute, however often it is tried."""

from __future__ import annotations

import json
import threading
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from sekisho.ledger.ledger import Ledger

# Turned-away requests of one kind are journaled once in so many seconds, those beyond so many kinds together.
EVERY: Final = 60.0
KINDS: Final = 100


class Denials:
    """Thread-safe."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger
        self._lock = threading.Lock()
        self._since = 0.0
        self._times: dict[tuple[str, str], int] = {}

    def add(self, name: str, what: str, why: str, now: float) -> None:
        """Journal one, unless its kind is journaled already."""
        key = (name, why)
        with self._lock:
            if not 0 <= now - self._since < EVERY:
                self._since, self._times = now, {}
            times = self._times.get(key)
            if times is None and len(self._times) >= KINDS:
                key, times = ("others", why), self._times.get(("others", why))
            self._times[key] = (times or 0) + 1
        if times is None:
            self._ledger.write_journal(now, key[0], "deny", reason=why, detail=json.dumps({"request": what}))
