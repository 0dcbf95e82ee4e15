"""What each subject was last compiled to, so that a change at one port compiles that port and no other."""

from __future__ import annotations

from collections import Counter, defaultdict
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, TypeAlias

from sekisho.devices.vswitch import compile as compiler
from sekisho.devices.vswitch.program import Bound, Program
from sekisho.model.inventory import Subject
from sekisho.model.policy import Baseline

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from sekisho.devices.vswitch.compile import CompileSettings

_Question: TypeAlias = tuple[Subject, tuple[Bound, ...], tuple[Baseline, ...], tuple[int, ...]]


@dataclass(slots=True)
class Compiled:
    """Compiles one bridge's programs one after the other; used by one thread."""

    settings: CompileSettings
    _known: dict[_Question, Program] = field(default_factory=dict)

    def program(
        self,
        subjects: Sequence[Subject],
        bounds: Iterable[Bound],
        baselines: Iterable[Baseline],
        exact_ports: Iterable[int],
        now: float,
        access: Mapping[int, int] | None = None,
    ) -> Program:
        """Give what `compile` would, rules of one priority perhaps in another order."""
        bounds, baselines, ports = tuple(bounds), tuple(baselines), tuple(exact_ports)
        if not _apart(subjects):
            self._known = {}
            return compiler.compile(subjects, bounds, baselines, ports, self.settings, now, access)
        live: dict[str, list[Bound]] = defaultdict(list)
        for bound in bounds:
            if bound.until > now:
                live[bound.subject].append(bound)
        known = {}
        for subject in subjects:
            named = tuple(b for b in baselines if b.actions and b.scope.matches(subject))
            asked = subject, tuple(live[subject.id]), named, ports
            found = self._known.get(asked)
            known[asked] = found or compiler.compile((subject,), *asked[1:], self.settings, now)
        self._known = known
        return _joined(tuple(known.values()))


def _apart(subjects: Sequence[Subject]) -> bool:
    """Tell whether no subject's rules depend on another's: none share a MAC, a port or a name."""
    ids = Counter(s.id for s in subjects)
    macs = Counter(s.mac.lower() for s in subjects if s.mac)
    ports = Counter(s.ofport for s in subjects if s.ofport > 0)
    return all(max(counted.values(), default=1) == 1 for counted in (ids, macs, ports))


def _joined(programs: Sequence[Program]) -> Program:
    problems: dict[str, str] = {}
    for program in programs:
        problems = {**program.problems, **problems}  # the first subject's, as where all are compiled at once
    return Program(
        tuple(sorted((r for p in programs for r in p.rules), key=lambda rule: -rule.priority)),
        tuple(sorted((m for p in programs for m in p.meters), key=lambda meter: meter.key)),
        problems,
        min((p.next_end for p in programs if p.next_end is not None), default=None),
    )
