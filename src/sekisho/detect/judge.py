"""Numbers against policies: who is over a line, for how long, and whom to tell about."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from sekisho.detect.confidence import deviate

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from sekisho.detect.lanes import Lane
    from sekisho.model.inventory import Subject
    from sekisho.model.policy import Policy, Scope
    from sekisho.tables import F64, I64, U32, Bool

_SUSPECT = 0.5  # of a line: from here on more of the recent rows are kept


@dataclass(frozen=True, slots=True)
class Line:
    """One condition of a policy over the lane that measures it."""

    lane: Lane
    amount: float
    clear: float  # under this the condition is over


@dataclass(slots=True)
class Standing:
    """Where each slot stands with one policy.

    streak: closes in a row over every line; crossed: over them and not yet clear; began: wall time
    at which the streak began; told: steady time of the last evidence.
    """

    streak: U32
    crossed: Bool
    began: F64
    told: F64

    @classmethod
    def make(cls, slots: int) -> Standing:
        """Nobody has done anything."""
        return cls(
            np.zeros(slots, np.uint32), np.zeros(slots, np.bool_), np.zeros(slots), np.full(slots, -np.inf)
        )

    def widen(self, slots: int) -> Standing:
        """Give the same with room for more slots."""
        wide, kept = Standing.make(slots), len(self.streak)
        for name in ("streak", "crossed", "began", "told"):
            getattr(wide, name)[:kept] = getattr(self, name)
        return wide

    def forget(self, slots: I64) -> None:
        """Take slots back to the beginning."""
        self.streak[slots] = 0
        self.crossed[slots] = False
        self.told[slots] = -np.inf


class Judge:
    """One policy: its lines, who is in its scope, and where everybody stands."""

    def __init__(self, policy: Policy, lines: tuple[Line, ...], standing: Standing) -> None:
        self.policy = policy
        self.lines = lines
        self.standing = standing
        self.z = deviate(policy.confidence)
        self.scope: Bool = np.zeros(len(standing.streak), np.bool_)

    def rescope(self, inside: Bool) -> None:
        """Take over who is in scope, by slot; whoever is no longer has done nothing."""
        self.scope = inside
        standing = self.standing
        stands = (standing.streak > 0) | standing.crossed | (standing.told > -np.inf)
        standing.forget(np.flatnonzero(stands & ~inside))

    def close(self, wall: float, steady: float, repeat: float) -> I64:
        """Judge one closed second; the slots about which evidence is due."""
        self._count(self._over(), wall)
        self._clear()
        standing = self.standing
        crossed = np.flatnonzero(standing.crossed)
        due = crossed[steady - standing.told[crossed] >= repeat]
        standing.told[due] = steady
        return due

    def _over(self) -> I64:
        """Slots in scope whose lower bound reaches every line."""
        first = self.lines[0]
        near = first.lane.at_least(first.amount * _SUSPECT)
        first.lane.stream.suspect(near)
        slots = near[self.scope[near]]
        for line in self.lines:
            slots = slots[line.lane.estimate(slots) >= line.amount]
            slots = slots[line.lane.measure(slots, self.z).lower >= line.amount]
        return slots

    def _count(self, over: I64, wall: float) -> None:
        standing = self.standing
        streak = np.zeros_like(standing.streak)
        streak[over] = standing.streak[over] + 1
        standing.streak = streak
        fresh = over[(streak[over] == 1) & ~standing.crossed[over]]
        standing.began[fresh] = wall
        standing.crossed[over[streak[over] >= self.policy.windows]] = True

    def _clear(self) -> None:
        standing = self.standing
        slots = np.flatnonzero(standing.crossed)
        for line in self.lines:
            done = slots[line.lane.estimate(slots) < line.clear]
            standing.crossed[done] = False
            standing.told[done] = -np.inf


class Kinds:
    """Who is alike to every scope that names no subject: tens of thousands share a project and a host.

    subjects: by slot, None where free; `slot_of` finds them by id. Made once for each inventory.
    """

    def __init__(self, subjects: Sequence[Subject | None], slot_of: Mapping[str, int]) -> None:
        self._subjects, self._slot_of = subjects, slot_of
        numbers: dict[object, int] = {}
        self._number: I64 = np.array(
            [-1 if s is None else numbers.setdefault(_likeness(s), len(numbers)) for s in subjects], np.int64
        )
        _, first = np.unique(self._number, return_index=True)
        alike = (subjects[slot] for slot in first.tolist())
        self._alike = [replace(s, id="") for s in alike if s is not None]

    def within(self, scope: Scope, wall: float) -> Bool:
        """Give bool[slots]: who is in a scope."""
        # The last one is the free slots' -1.
        inside = np.array([*(scope.matches(s, wall) for s in self._alike), False], np.bool_)[self._number]
        for name in (*scope.subjects, *scope.exclude_subjects):
            slot = self._slot_of.get(name)
            subject = None if slot is None else self._subjects[slot]
            if slot is not None and subject is not None:
                inside[slot] = scope.matches(subject, wall)
        return inside


def _likeness(s: Subject) -> object:
    return s.project, s.host, s.tags, s.network, s.flavor, s.qos, s.project_created
