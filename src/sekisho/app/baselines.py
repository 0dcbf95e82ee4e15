"""Baselines as one host can judge them: what only the keeper knows becomes names of subjects and projects.

A host knows of a new port what its switch and Neutron's agent say: id, project, network, QoS policy by id.
Of flavors, tags, and QoS policies by name or tag the keeper tells it the subjects. A project's age is told
the other way round, as the old projects that are out: a port nobody has told the host of is bound from its
first packet, and freed once the keeper has said that its project is old.
"""

from __future__ import annotations

import math
import threading
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Sequence

    from sekisho.model.inventory import Subject
    from sekisho.model.policy import Baseline, Scope

# A subject as its host says, and as host and cloud together say.
Pair: TypeAlias = "tuple[Subject, Subject]"


@dataclass(frozen=True, slots=True)
class Resolved:
    """Baselines for a host, and the moment from which they are others by themselves."""

    baselines: tuple[Baseline, ...]
    until: float = math.inf


def resolve(
    baselines: Iterable[Baseline], here: Sequence[Pair], never: Collection[str], now: float
) -> Resolved:
    """Resolve baselines for the subjects of a host; those in `never` are out of every scope."""
    found = tuple(baselines)
    ends = [_ages(b.scope, here, now)[1] for b in found if b.scope.younger]
    return Resolved(
        tuple(replace(b, scope=_resolve(b.scope, here, never, now)) for b in found),
        min(ends, default=math.inf),
    )


def _resolve(scope: Scope, here: Sequence[Pair], never: Collection[str], now: float) -> Scope:
    named = [all_.id for local, all_ in here if scope.names(all_) and not scope.names(local)]
    out = [all_ for local, all_ in here if _out(scope, local, all_)]
    old, _ = _ages(scope, here, now) if scope.younger else ((), math.inf)
    return replace(
        scope,
        subjects=_with(scope.subjects, named),
        exclude_subjects=_with(scope.exclude_subjects, [*never, *(s.id for s in out), *_unsaid(here, old)]),
        exclude_projects=_with(scope.exclude_projects, old),
        younger=0.0,
    )


def _out(scope: Scope, local: Subject, all_: Subject) -> bool:
    return scope.names(all_, "exclude_") and not scope.names(local, "exclude_")


def _ages(scope: Scope, here: Sequence[Pair], now: float) -> tuple[tuple[str, ...], float]:
    """Find the projects here that are too old for a scope, and when the next one will be."""
    created = {s.project: s.project_created for _, s in here if s.project and s.project_created}
    old = tuple(p for p, when in created.items() if now - when >= scope.younger)
    return old, min((when + scope.younger for p, when in created.items() if p not in old), default=math.inf)


def _unsaid(here: Sequence[Pair], old: Collection[str]) -> list[str]:
    """List the subjects of old projects whose host does not know whose they are."""
    return [all_.id for local, all_ in here if all_.project in old and local.project != all_.project]


def _with(names: tuple[str, ...], more: Iterable[str]) -> tuple[str, ...]:
    return (*names, *sorted(set(more).difference(names)))


@dataclass(slots=True)
class Birthdays:
    """When each host's baselines next change by themselves. Asked many times a second: cheap when none do."""

    _lock: threading.Lock = field(default_factory=threading.Lock)
    _due: dict[str, float] = field(default_factory=dict)
    _first: float = math.inf

    def note(self, host: str, when: float) -> None:
        """Take down a host's next moment."""
        with self._lock:
            if when < math.inf:
                self._due[host] = when
                self._first = min(self._first, when)
            else:
                self._due.pop(host, None)

    def due(self, now: float) -> tuple[str, ...]:
        """Name the hosts whose moment has come; each is named once."""
        with self._lock:
            if now < self._first:
                return ()
            found = tuple(h for h, when in self._due.items() if when <= now)
            for host in found:
                del self._due[host]
            self._first = min(self._due.values(), default=math.inf)
            return found
