"""Evidence on its way from a collector to the keeper: found once a second, sent as fast as it is taken."""

from __future__ import annotations

import threading
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sekisho.model.restriction import Evidence

# Evidence that waits for a keeper that is away: one per subject and policy, the newest.
PENDING = 20_000
# The keeper takes so many pieces of evidence in one request.
CHUNK = 500


@dataclass(slots=True)
class Outbox:
    """Evidence on its way to the keeper; newer evidence of the same crossing takes the older's place."""

    pending: dict[tuple[str, str], Evidence] = field(default_factory=dict)
    dropped: int = 0
    refused: int = 0
    lock: threading.Lock = field(default_factory=threading.Lock)
    filled: threading.Event = field(default_factory=threading.Event)

    def put(self, found: list[Evidence]) -> None:
        """Queue what was found; what does not fit is counted."""
        if not found:
            return
        with self.lock:
            for evidence in found:
                key = (evidence.subject, evidence.policy)
                if len(self.pending) >= PENDING and key not in self.pending:
                    self.dropped += 1
                    continue
                self.pending[key] = evidence
        self.filled.set()

    def take(self, most: int = CHUNK) -> list[Evidence]:
        """Take the next chunk out, oldest first."""
        with self.lock:
            keys = list(self.pending)[:most]
            return [self.pending.pop(k) for k in keys]

    def give_back(self, chunk: list[Evidence]) -> None:
        """Put a chunk that could not be sent back, unless newer evidence has come meanwhile."""
        with self.lock:
            for evidence in chunk:
                self.pending.setdefault((evidence.subject, evidence.policy), evidence)
        self.filled.set()
