"""Volumes against policies: Evidence of whoever is over a line, out of columns."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np

from sekisho.metering.catalogue import METERED
from sekisho.metering.readings import EGRESS, INGRESS
from sekisho.model.restriction import Evidence, Finding

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from sekisho.metering.readings import Volumes
    from sekisho.model.inventory import Subject
    from sekisho.model.policy import Condition, Policy, PolicySet
    from sekisho.tables import F64, Bool

_WAYS: Final = {
    "metered-egress-bytes": [EGRESS],
    "metered-ingress-bytes": [INGRESS],
    "metered-bytes": [EGRESS, INGRESS],
}


@dataclass(slots=True)
class _Standing:
    """Where one subject stands with one policy it has crossed."""

    began: float
    told: float


class Judge:
    """Remembers who is over which line, so that a lasting crossing is one and not one every minute."""

    def __init__(self, repeat: float) -> None:
        self._repeat = repeat
        self._standing: dict[str, dict[str, _Standing]] = {}

    def judge(
        self,
        policies: PolicySet,
        subjects: Mapping[str, Subject],
        volumes: Callable[[float], Volumes],
        now: float,
        source: str,
    ) -> list[Evidence]:
        """Give the evidence that is due; whoever has no volumes stays where they stood."""
        metered = [p for p in policies.policies if is_metered(p)]
        self._standing = {p.name: self._standing.get(p.name, {}) for p in metered}
        windows = {c.threshold.window for p in metered for c in p.conditions}
        known = {window: volumes(window) for window in sorted(windows)}
        found: list[Evidence] = []
        for policy in metered:
            found += self._judge(policy, subjects, known, now, source)
        return found

    def _judge(
        self,
        policy: Policy,
        subjects: Mapping[str, Subject],
        known: Mapping[float, Volumes],
        now: float,
        source: str,
    ) -> list[Evidence]:
        standing = self._standing[policy.name]
        columns = [_Column.of(c, known[c.threshold.window]) for c in policy.conditions]
        for name in columns[0].under(columns):
            standing.pop(name, None)
        for name in [n for n in standing if n not in subjects]:
            del standing[name]
        over = [n for n in columns[0].over(columns) if self._may(policy, subjects.get(n), now)]
        for name in over:
            standing.setdefault(name, _Standing(now, float("-inf")))
        rows = {name: i for i, name in enumerate(columns[0].volumes.subjects)}
        found = []
        for name, stands in standing.items():
            if name in rows and now - stands.told >= self._repeat:
                stands.told = now
                found.append(_evidence(policy, columns, rows[name], stands.began, source))
        return found

    @staticmethod
    def _may(policy: Policy, subject: Subject | None, now: float) -> bool:
        return subject is not None and policy.scope.matches(subject, now)


@dataclass(frozen=True, slots=True)
class _Column:
    """One condition's numbers of everybody."""

    condition: Condition
    volumes: Volumes
    estimate: F64
    lower: F64
    upper: F64

    @classmethod
    def of(cls, condition: Condition, volumes: Volumes) -> _Column:
        ways = _WAYS[condition.detector]
        parts = [part[ways].sum(axis=0) for part in (volumes.estimate, volumes.lower, volumes.upper)]
        return cls(condition, volumes, *parts)

    def over(self, columns: Iterable[_Column]) -> list[str]:
        """Name whoever is surely over every line."""
        lines: list[Bool] = [c.lower >= c.condition.threshold.amount for c in columns]
        return self._names(np.logical_and.reduce(lines))

    def under(self, columns: Iterable[_Column]) -> list[str]:
        """Name whoever has come down under some line far enough to be clear of it."""
        lines: list[Bool] = [c.estimate < c.condition.clear for c in columns]
        return self._names(np.logical_or.reduce(lines))

    def _names(self, chosen: Bool) -> list[str]:
        return [self.volumes.subjects[i] for i in np.flatnonzero(chosen).tolist()]


def is_metered(policy: Policy) -> bool:
    """Tell whether a policy is judged by volumes metered elsewhere, and not by flows."""
    return bool(policy.conditions) and all(c.detector in METERED for c in policy.conditions)


def _evidence(policy: Policy, columns: list[_Column], row: int, began: float, source: str) -> Evidence:
    findings = tuple(
        Finding(
            c.condition.detector,
            c.condition.threshold.unit,
            c.condition.threshold.window,
            float(c.estimate[row]),
            float(c.lower[row]),
            float(c.upper[row]),
            c.condition.threshold.amount,
            int(c.volumes.readings[row]),
        )
        for c in columns
    )
    return Evidence(
        subject=columns[0].volumes.subjects[row],
        policy=policy.name,
        findings=findings,
        window_start=min(c.volumes.start for c in columns),
        window_end=columns[0].volumes.stop,
        confidence=policy.confidence,
        collector=source,
        first_seen=began,
    )
