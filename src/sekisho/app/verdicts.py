"""From evidence to a verdict: policy, guard, ladder, ledger; nothing else decides."""

from __future__ import annotations

import logging
import threading
from dataclasses import dataclass
from ipaddress import ip_address
from typing import TYPE_CHECKING, Final

from sekisho.detect import guard
from sekisho.model.plain import to_plain
from sekisho.model.policy import Mode, PolicySet
from sekisho.model.report import Outcome, Verdict
from sekisho.model.restriction import Evidence, Restriction, State
from sekisho.model.wording import crossings

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from sekisho.app.fleet import Fleet
    from sekisho.app.settings import KeeperSettings
    from sekisho.ledger.ledger import Ledger
    from sekisho.model.access import Principal
    from sekisho.model.inventory import Subject
    from sekisho.model.policy import Policy

log = logging.getLogger("sekisho.keeper")

# Crossings of policies in `watch` that are each journaled from one report; the rest share a line.
WATCHED_EACH: Final = 100
# How many crossings are remembered as journaled already.
REMEMBERED: Final = 100_000


@dataclass(frozen=True, slots=True)
class _Case:
    """One piece of evidence with all that decides it."""

    evidence: Evidence
    policy: Policy
    subject: Subject
    standing: Restriction | None
    offence: int

    def draft(self, author: str, state: State, reason: str, now: float) -> Restriction:
        """Write down what is to be done, as the ladder says."""
        step = guard.step(self.policy, self.offence)
        return Restriction(
            id="",
            subject=self.subject.id,
            actions=step.actions,
            reason=reason,
            author=author,
            state=state,
            created=now,
            until=now + step.duration if state is State.ACTIVE else 0.0,
            duration=step.duration,
            revision=0,
            policy=self.policy.name,
            automatic=True,
            offence=self.offence,
            project=self.subject.project,
            host=self.subject.host,
            evidence=self.evidence,
        )


class Verdicts:
    """Decides on evidence, one batch at a time: what is counted for the guard must not change meanwhile."""

    def __init__(self, settings: KeeperSettings, ledger: Ledger, fleet: Fleet) -> None:
        self._settings = settings
        self._ledger = ledger
        self._fleet = fleet
        self._lock = threading.Lock()
        self._watched: dict[tuple[str, str], float] = {}
        self._notice: tuple[float, str] = (float("-inf"), "")

    def notices(self, now: float) -> tuple[str, ...]:
        """Tell what the guard held back within the last hour."""
        when, sentence = self._notice
        return (sentence,) if sentence and 0 <= now - when < guard.HOUR else ()

    def decide(
        self, who: Principal, evidence: Sequence[Evidence], policies: PolicySet, now: float
    ) -> tuple[Verdict, ...]:
        """Answer each piece of evidence, in order; what binds is in the ledger when this returns."""
        with self._lock:
            verdicts: dict[int, Verdict] = {}
            cases = self._cases(evidence, policies, verdicts, now)
            self._watch(who, cases, verdicts, now)
            left = {i: c for i, c in cases.items() if i not in verdicts}
            drafts = self._guard(left, verdicts, now)
            self._record(left, drafts, verdicts, now)
        return tuple(verdicts[i] for i in range(len(evidence)))

    def foresee(self, policy: Policy, subjects: Sequence[str], now: float) -> tuple[Verdict, ...]:
        """Tell what would be decided if these subjects crossed a policy now; nothing is written."""
        evidence = [Evidence(name, policy.name, (), now, now, policy.confidence) for name in subjects]
        verdicts: dict[int, Verdict] = {}
        with self._lock:
            cases = self._cases(evidence, PolicySet(policies=(policy,)), verdicts, now)
            watched, reason = self._only_watched(cases)
            verdicts |= {i: _verdict(evidence[i], Outcome.WATCHED, reason) for i in watched}
            left = {i: c for i, c in cases.items() if i not in verdicts}
            candidates = self._candidates(left, verdicts, now)
            ruling = self._ruling(candidates.values(), now)
        for i, judgement in zip(candidates, ruling.judgements, strict=True):
            draft = self._judged(cases[i], judgement, now)
            verdicts[i] = (
                _verdict(evidence[i], _outcome(cases[i], draft), "")
                if isinstance(draft, Restriction)
                else draft
            )
        return tuple(verdicts[i] for i in range(len(evidence)))

    def _cases(
        self, evidence: Sequence[Evidence], policies: PolicySet, verdicts: dict[int, Verdict], now: float
    ) -> dict[int, _Case]:
        known = {p.name: p for p in policies.policies}
        standing = {
            (r.subject, r.policy): r
            for r in self._ledger.standing({e.subject for e in evidence})
            if r.until > now or not r.until
        }
        offences = {
            name: self._ledger.offence_counts(name, now - known[name].memory)
            for name in {e.policy for e in evidence} & known.keys()
        }
        cases: dict[int, _Case] = {}
        for i, e in enumerate(evidence):
            policy, subject = known.get(e.policy), self._fleet.find(e.subject)
            if policy is None:
                verdicts[i] = _verdict(e, Outcome.REFUSED, f"No policy {e.policy!r} is in force.")
            elif subject is None:
                verdicts[i] = _verdict(e, Outcome.REFUSED, "No host reports this subject.")
            elif not policy.scope.matches(subject, now):
                verdicts[i] = _verdict(e, Outcome.REFUSED, "The policy's scope leaves this subject out.")
            else:
                stands = standing.get((e.subject, e.policy))
                offence = stands.offence if stands else offences[e.policy].get(e.subject, 0) + 1
                cases[i] = _Case(e, policy, subject, stands, offence)
        return cases

    # --- watch -----------------------------------------------------------------------------------

    def _watch(
        self, who: Principal, cases: Mapping[int, _Case], verdicts: dict[int, Verdict], now: float
    ) -> None:
        """Answer what is only watched, journaling each crossing once."""
        watched, reason = self._only_watched(cases)
        fresh: list[_Case] = []
        for i in watched:
            case = cases[i]
            verdicts[i] = _verdict(case.evidence, Outcome.WATCHED, reason)
            key = (case.subject.id, case.policy.name)
            if self._watched.get(key) != case.evidence.first_seen:
                self._watched[key] = case.evidence.first_seen
                fresh.append(case)
        while len(self._watched) > REMEMBERED:
            self._watched.pop(next(iter(self._watched)))
        self._journal_watched(who, fresh, now)

    def _only_watched(self, cases: Mapping[int, _Case]) -> tuple[list[int], str]:
        """Find what is only watched, and why: its policy's mode, or for everything the kill switch."""
        if not self._ledger.enforcement().enabled:
            return list(cases), "Enforcement is switched off."
        return [i for i, c in cases.items() if c.policy.mode is Mode.WATCH], "The policy only watches."

    def _journal_watched(self, who: Principal, fresh: Sequence[_Case], now: float) -> None:
        lines = [
            (case.subject.id, f"{case.policy.name} was crossed.", to_plain(case.evidence))
            for case in fresh[:WATCHED_EACH]
        ]
        if len(fresh) > WATCHED_EACH:
            rest = len(fresh) - WATCHED_EACH
            lines.append(("", f"{rest} more subjects crossed policies that watch.", None))
        if lines:
            self._ledger.write_journals(now, who.name, "watch", lines)

    # --- guard -----------------------------------------------------------------------------------

    def _guard(
        self, cases: Mapping[int, _Case], verdicts: dict[int, Verdict], now: float
    ) -> dict[int, Restriction]:
        """Let the guard judge what would bind; give what to write into the ledger."""
        candidates = self._candidates(cases, verdicts, now)
        ruling = self._ruling(candidates.values(), now)
        if ruling.notice:
            self._notice = (now, ruling.notice)
            log.error("%s", ruling.notice)
            self._ledger.write_journals(now, "guard", "notice", [("", ruling.notice, None)])
        drafts: dict[int, Restriction] = {}
        for i, judgement in zip(candidates, ruling.judgements, strict=True):
            draft = self._judged(cases[i], judgement, now)
            if isinstance(draft, Restriction):
                drafts[i] = draft
            else:
                verdicts[i] = draft
        return drafts

    def _candidates(
        self, cases: Mapping[int, _Case], verdicts: dict[int, Verdict], now: float
    ) -> dict[int, guard.Candidate]:
        """Find what the guard must judge; what stands already, or was freed lately, is answered here."""
        released = self._released(now)
        candidates: dict[int, guard.Candidate] = {}
        for i, case in cases.items():
            stands = case.standing
            if stands is not None and stands.state is State.PROPOSED:
                verdicts[i] = _verdict(case.evidence, Outcome.PROPOSED, "It waits for a yes.", stands.id)
            elif stands is not None and not case.policy.extend:
                verdicts[i] = _verdict(case.evidence, Outcome.EXTENDED, "It stands until its end.", stands.id)
            elif stands is None and (case.subject.id, case.policy.name) in released:
                verdicts[i] = _verdict(case.evidence, Outcome.REFUSED, "A person freed it a while ago.")
            else:
                # What is only proposed takes nobody's place in the hour.
                enforced = case.policy.mode is Mode.ENFORCE
                binds = enforced and bool(guard.step(case.policy, case.offence).actions)
                candidates[i] = guard.Candidate(case.subject, case.policy.name, binds, stands is not None)
        return candidates

    def _ruling(self, candidates: Iterable[guard.Candidate], now: float) -> guard.Ruling:
        return guard.judge_all(
            guard.protecting(self._settings.guard, self._collectors()),
            candidates,
            self._ledger.exemptions(now),
            self._ledger.imposed_since(now - guard.HOUR),
            now,
            self._notice[0],
        )

    def _collectors(self) -> tuple[str, ...]:
        """Give our own collectors' addresses, loopback apart."""
        told = {a for c in self._fleet.collectors for a in c.addresses}
        return tuple(sorted(a for a in told if _is_elsewhere(a)))

    def _judged(self, case: _Case, judgement: guard.Judgement, now: float) -> Restriction | Verdict:
        author, why = f"policy:{case.policy.name}", f"{crossings(case.evidence)}."
        match judgement:
            case guard.Refuse(reason):
                return _verdict(case.evidence, Outcome.REFUSED, reason)
            case guard.Propose(reason):
                return case.draft("guard", State.PROPOSED, f"{why} {reason}", now)
            case guard.Allow():
                proposed = case.policy.mode is Mode.PROPOSE and case.standing is None
                return case.draft(author, State.PROPOSED if proposed else State.ACTIVE, why, now)

    def _released(self, now: float) -> frozenset[tuple[str, str]]:
        """Find whom a person freed or would not bind lately; what the kill switch lifted does not count."""
        since = max(now - self._settings.lift_grace, self._ledger.enforcement().since)
        life = self._settings.proposal_life
        return frozenset(
            (r.subject, r.policy)
            for r in self._ledger.released_since(since)
            # What nobody answered ended by itself: nobody's word, and no hour's peace.
            if r.state is not State.REJECTED or r.ended - r.created < life
        )

    # --- ledger ----------------------------------------------------------------------------------

    def _record(
        self,
        cases: Mapping[int, _Case],
        drafts: Mapping[int, Restriction],
        verdicts: dict[int, Verdict],
        now: float,
    ) -> None:
        """Write all drafts in one transaction, then wake the hosts of whoever is bound."""
        entries = self._ledger.record(tuple(drafts.values()), now)
        touched: set[str] = set()
        for i, entry in zip(drafts, entries, strict=True):
            case = cases[i]
            verdicts[i] = _verdict(case.evidence, _outcome(case, entry), entry.reason, entry.id)
            if entry.state is State.ACTIVE and entry.actions:
                touched.add(entry.subject)
        if touched:
            self._fleet.touch(touched)


def _is_elsewhere(address: str) -> bool:
    """Tell whether a collector told an address (it may have told a name), and not one of loopback."""
    try:
        return not ip_address(address).is_loopback
    except ValueError:
        return False


def _outcome(case: _Case, entry: Restriction) -> Outcome:
    if entry.state is State.PROPOSED:
        return Outcome.PROPOSED
    if case.standing is not None:
        return Outcome.EXTENDED
    return Outcome.IMPOSED if entry.actions else Outcome.WARNED


def _verdict(evidence: Evidence, outcome: Outcome, reason: str, restriction: str = "") -> Verdict:
    return Verdict(evidence.subject, evidence.policy, outcome, restriction, reason)
