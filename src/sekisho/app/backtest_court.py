"""From replayed evidence to what would have been done: the same guard and ladder, no ledger."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from sekisho.detect import guard
from sekisho.model.archived import Spell
from sekisho.model.policy import Mode
from sekisho.model.restriction import Imposed

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from sekisho.detect.guard import GuardSettings
    from sekisho.model.archived import Bound
    from sekisho.model.inventory import Subject
    from sekisho.model.policy import Exemption, Policy
    from sekisho.model.restriction import Evidence

IMPOSED, WARNED, PROPOSED, REFUSED = "imposed", "warned", "proposed", "refused"
# What is refused or proposed is told again after so many seconds, not with each piece of evidence.
PROPOSED_FOR = 86400.0


@dataclass(slots=True)
class Court:
    """Decides on evidence in the order of its times; `spells` is what came of it, `more` what found no room.

    Every policy is taken as if it enforced: that is what is asked.
    """

    policies: Mapping[str, Policy]
    settings: GuardSettings
    exemptions: Sequence[Exemption]
    bound: Sequence[Bound]
    most: int = 1000
    spells: dict[str, list[Spell]] = field(default_factory=dict)
    more: dict[str, int] = field(default_factory=dict)
    subjects: dict[str, set[str]] = field(default_factory=dict)
    projects: dict[str, set[str]] = field(default_factory=dict)
    _standing: dict[tuple[str, str], Spell] = field(default_factory=dict)
    _offences: dict[tuple[str, str], list[float]] = field(default_factory=dict)
    _hour: deque[tuple[float, str, str]] = field(default_factory=deque)

    def decide(self, evidence: Sequence[Evidence], known: Mapping[str, Subject], now: float) -> None:
        """Take the evidence of one close."""
        fresh: list[tuple[Evidence, Subject]] = []
        for e in evidence:
            subject, policy = known.get(e.subject), self.policies.get(e.policy)
            if subject is not None and policy is not None and not self._stands(e, policy, now):
                fresh.append((e, subject))
        if fresh:
            self._judge(fresh, now)

    def _stands(self, e: Evidence, policy: Policy, now: float) -> bool:
        """Extend what stands already, if the policy says so."""
        spell = self._standing.get((e.subject, e.policy))
        if spell is None or spell.until <= now:
            return False
        if policy.extend and spell.outcome in (IMPOSED, WARNED):
            step = guard.step(policy, spell.offence)
            self._standing[e.subject, e.policy] = replace(spell, until=now + step.duration)
        return True

    def _judge(self, fresh: Sequence[tuple[Evidence, Subject]], now: float) -> None:
        offences = [self._offence(e, self.policies[e.policy], now) for e, _ in fresh]
        candidates = [
            guard.Candidate(s, e.policy, bool(guard.step(self.policies[e.policy], n).actions))
            for (e, s), n in zip(fresh, offences, strict=True)
        ]
        ruling = guard.judge_all(self.settings, candidates, self.exemptions, self._imposed(now), now)
        for (e, s), n, judgement in zip(fresh, offences, ruling.judgements, strict=True):
            self._note(self._spell(e, s, n, judgement, now))

    def _spell(self, e: Evidence, s: Subject, offence: int, judgement: guard.Judgement, now: float) -> Spell:
        policy = self.policies[e.policy]
        step = guard.step(policy, offence)
        spell = Spell(e.subject, e.policy, now, now + step.duration, IMPOSED, offence, step.actions)
        spell = replace(spell, findings=e.findings, project=s.project)
        match judgement:
            case guard.Refuse(reason):
                return replace(spell, outcome=REFUSED, reason=reason, actions=())
            case guard.Propose(reason):
                return replace(spell, outcome=PROPOSED, reason=reason, until=now + PROPOSED_FOR)
            case guard.Allow():
                self._offences.setdefault((e.subject, e.policy), []).append(now)
                if not step.actions:
                    return replace(spell, outcome=WARNED)
                self._hour.append((now, s.project, s.host))
                return spell

    def _offence(self, e: Evidence, policy: Policy, now: float) -> int:
        before = self._offences.get((e.subject, e.policy), [])
        return 1 + sum(now - when < policy.memory for when in before)

    def _imposed(self, now: float) -> Imposed:
        while self._hour and self._hour[0][0] <= now - guard.HOUR:
            self._hour.popleft()
        projects: dict[str, int] = {}
        hosts: dict[str, int] = {}
        for _, project, host in self._hour:
            projects[project] = projects.get(project, 0) + 1
            hosts[host] = hosts.get(host, 0) + 1
        return Imposed(len(self._hour), projects, hosts)

    def _note(self, spell: Spell) -> None:
        key = (spell.subject, spell.policy)
        self._file(key)
        self._standing[key] = spell
        if spell.outcome != REFUSED:
            self.subjects.setdefault(spell.policy, set()).add(spell.subject)
            self.projects.setdefault(spell.policy, set()).add(spell.project)

    def _file(self, key: tuple[str, str]) -> None:
        """Put away a spell that is over."""
        spell = self._standing.pop(key, None)
        if spell is None:
            return
        filed = self.spells.setdefault(spell.policy, [])
        if len(filed) < self.most:
            filed.append(replace(spell, overlaps=self._overlaps(spell)))
        else:
            self.more[spell.policy] = self.more.get(spell.policy, 0) + 1

    def _overlaps(self, spell: Spell) -> bool:
        return any(
            b.subject == spell.subject and b.since < spell.until and spell.since < b.until for b in self.bound
        )

    def end(self) -> None:
        """Put away all that still stands."""
        for key in sorted(self._standing, key=lambda k: self._standing[k].since):
            self._file(key)

    def really(self, policy: str) -> tuple[int, int]:
        """Count who would have been bound and really was, by any policy; and who was only by this one."""
        would = self.subjects.get(policy, set())
        was = {b.subject for b in self.bound}
        by_this = {b.subject for b in self.bound if b.policy == policy}
        return len(would & was), len(by_this - would)

    def mode(self, policy: str) -> Mode:
        """Tell how a policy stands."""
        return self.policies[policy].mode
