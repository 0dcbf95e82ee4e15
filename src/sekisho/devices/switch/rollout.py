"""Many switches one after another and side by side: a canary first, and an end when too many fail."""

from __future__ import annotations

import threading
from collections import deque
from dataclasses import dataclass, field
from enum import Enum
from typing import TYPE_CHECKING, Generic, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

U = TypeVar("U")


class Verdict(Enum):
    """How one unit went; one that had nothing to do proves nothing."""

    CHANGED = "changed"
    NOTHING = "nothing"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class Wave:
    """The first `canary` units that change go one by one; then `parallel` at once, and `budget` may fail."""

    canary: int = 1
    parallel: int = 8
    budget: int = 0


@dataclass(slots=True)
class Rollout(Generic[U]):
    """Units to be changed, each as one thing; thread-safe.

    `act` changes one. `alarm` may be called while it does, to count a failure before its end: to prove a
    rollback can take as long as a switch is away, and nobody else shall fail the same way meanwhile.
    """

    units: Sequence[U]
    act: Callable[[U], Verdict]
    wave: Wave = field(default_factory=Wave)
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _left: deque[U] = field(default_factory=deque)
    _failed: set[int] = field(default_factory=set)
    _stopped: bool = False

    def run(self) -> tuple[U, ...]:
        """Change them; gives those that were never begun."""
        self._left.extend(self.units)
        proven = 0
        while proven < self.wave.canary and not self._stopped and (unit := self._next(0)) is not None:
            proven += self._one(unit) is Verdict.CHANGED
        # Who failed as a canary is no longer within any budget.
        self._stopped = self._stopped or (proven < self.wave.canary and bool(self._failed))
        self._side_by_side()
        return tuple(self._left)

    def stop(self) -> None:
        """Begin no further unit."""
        self._stopped = True

    def alarm(self, unit: U) -> None:
        """Count a unit as failed now."""
        with self._lock:
            self._failed.add(id(unit))

    def _side_by_side(self) -> None:
        threads = [
            threading.Thread(target=self._drain, name=f"sekisho-switches-{i}", daemon=True)
            for i in range(min(self.wave.parallel, len(self._left)))
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

    def _drain(self) -> None:
        while (unit := self._next(self.wave.budget)) is not None:
            self._one(unit)

    def _next(self, budget: int) -> U | None:
        with self._lock:
            if self._stopped or len(self._failed) > budget or not self._left:
                return None
            return self._left.popleft()

    def _one(self, unit: U) -> Verdict:
        try:
            verdict = self.act(unit)
        except BaseException:
            self.alarm(unit)
            raise
        if verdict is Verdict.FAILED:
            self.alarm(unit)
        return verdict
