"""From evidence to a verdict, over a real ledger."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from sekisho.app.fleet import Fleet
from sekisho.app.settings import KeeperSettings
from sekisho.app.verdicts import Verdicts
from sekisho.detect.guard import GuardSettings
from sekisho.ledger.ledger import Ledger
from sekisho.model.access import Principal, Role
from sekisho.model.inventory import Host, HostReport, Subject
from sekisho.model.policy import (
    Condition,
    Direction,
    Drop,
    Mode,
    Police,
    Policy,
    PolicySet,
    Protocol,
    Scope,
    Step,
    Threshold,
    Unit,
)
from sekisho.model.report import CollectorReport, Outcome, Verdict
from sekisho.model.restriction import Evidence, Finding, State

SMTP = Drop(Protocol.TCP, Direction.EGRESS, 25, 25)
SLOW = Police(10_000_000, Direction.EGRESS)
SPAM = Policy(
    "spam",
    (Condition("smtp-connections", Threshold(60, 60, Unit.COUNT, "60/min")),),
    (Step((SMTP,), 100.0), Step((SMTP, SLOW), 1000.0)),
    Mode.ENFORCE,
    memory=5000.0,
)
COLLECTOR = Principal("collector", Role.AGENT)


@dataclass
class Court:
    """The verdicts with all they ask, and a clock the test moves."""

    ledger: Ledger
    fleet: Fleet
    verdicts: Verdicts
    woken: list[str]
    now: float = 10_000.0

    def decide(self, *evidence: Evidence, policy: Policy = SPAM) -> tuple[Verdict, ...]:
        return self.verdicts.decide(COLLECTOR, evidence, PolicySet(1, (policy,)), self.now)

    def add(self, *subjects: Subject) -> None:
        for host in sorted({s.host for s in subjects}):
            here = tuple(s for s in subjects if s.host == host)
            self.fleet.report_host(HostReport(Host(host), here), self.now)
        self.woken.clear()


def evidence(subject: str = "p1", policy: str = "spam", first_seen: float = 9_990.0) -> Evidence:
    finding = Finding("smtp-connections", "count", 60.0, 80.0, 72.0, 89.0, 60.0, 80)
    return Evidence(subject, policy, (finding,), 9_940.0, 10_000.0, first_seen=first_seen)


def make(tmp_path: Path, settings: KeeperSettings) -> Court:
    ledger = Ledger(tmp_path / "ledger.db")
    woken: list[str] = []
    fleet = Fleet(10_000.0, woken.append)
    court = Court(ledger, fleet, Verdicts(settings, ledger, fleet), woken)
    court.add(Subject("p1", "h1", "red"), Subject("p2", "h2", "blue"))
    return court


@pytest.fixture
def court(tmp_path: Path) -> Iterator[Court]:
    made = make(tmp_path, KeeperSettings())
    yield made
    made.ledger.close()


def test_enforced_is_in_the_ledger_and_wakes_only_its_host(court: Court) -> None:
    (verdict,) = court.decide(evidence())
    entry = court.ledger.restriction(verdict.restriction)
    assert verdict.outcome is Outcome.IMPOSED
    assert (entry.subject, entry.actions, entry.until) == ("p1", (SMTP,), 10_100.0)
    assert entry.evidence == evidence()
    assert court.woken == ["host:h1"]


def test_while_crossed_it_is_extended_not_doubled(court: Court) -> None:
    (first,) = court.decide(evidence())
    court.now += 50
    (second,) = court.decide(evidence())
    assert second.outcome is Outcome.EXTENDED
    assert second.restriction == first.restriction
    (entry,) = court.ledger.active()
    assert entry.until == court.now + 100


def test_who_offends_again_takes_the_next_rung_and_then_longer(court: Court) -> None:
    durations = []
    for _ in range(4):
        (verdict,) = court.decide(evidence())
        entry = court.ledger.restriction(verdict.restriction)
        durations.append(entry.duration)
        court.now = entry.until + 1
        court.ledger.expire(court.now)
    assert durations == [100.0, 1000.0, 2000.0, 4000.0]


def test_old_offences_are_forgotten(court: Court) -> None:
    court.decide(evidence())
    court.now += 101
    court.ledger.expire(court.now)
    court.now += 5001
    (verdict,) = court.decide(evidence())
    assert court.ledger.restriction(verdict.restriction).offence == 1


def test_watch_imposes_nothing_and_journals_each_crossing_once(court: Court) -> None:
    watch = replace(SPAM, mode=Mode.WATCH)
    for _ in range(3):
        (verdict,) = court.decide(evidence(), policy=watch)
        assert verdict.outcome is Outcome.WATCHED
    court.decide(evidence(first_seen=9_999.0), policy=watch)
    verbs = [e.verb for e in court.ledger.journal(subject="p1").items]
    assert verbs == ["watch", "watch"]
    assert court.ledger.standing() == ()


def test_propose_waits_for_a_yes(court: Court) -> None:
    propose = replace(SPAM, mode=Mode.PROPOSE)
    (first,) = court.decide(evidence(), policy=propose)
    (second,) = court.decide(evidence(), policy=propose)
    assert first.outcome is second.outcome is Outcome.PROPOSED
    assert first.restriction == second.restriction
    assert court.woken == []
    assert court.ledger.active() == ()


def test_a_warning_binds_nobody_and_the_next_rung_comes_after_it(court: Court) -> None:
    policy = replace(SPAM, ladder=(Step((), 60.0), Step((SMTP,), 100.0)))
    (warned,) = court.decide(evidence(), policy=policy)
    assert warned.outcome is Outcome.WARNED
    assert court.woken == []
    court.now += 30
    court.decide(evidence(), policy=policy)
    court.now += 31
    court.ledger.expire(court.now)
    (bound,) = court.decide(evidence(), policy=policy)
    assert bound.outcome is Outcome.IMPOSED


def test_whom_a_person_freed_is_left_alone_for_the_grace(court: Court) -> None:
    (verdict,) = court.decide(evidence())
    court.ledger.lift(verdict.restriction, "alice", "their newsletter", court.now)
    court.now += 3000
    (again,) = court.decide(evidence())
    assert again.outcome is Outcome.REFUSED
    court.now += 700
    (later,) = court.decide(evidence())
    assert later.outcome is Outcome.IMPOSED


def test_the_kill_switch_lifts_and_only_watches_until_it_is_on_again(court: Court) -> None:
    court.decide(evidence())
    court.ledger.set_enforcement(enabled=False, author="alice", reason="storm", now=court.now)
    assert court.ledger.active() == ()
    (off,) = court.decide(evidence())
    assert off.outcome is Outcome.WATCHED
    court.now += 10
    court.ledger.set_enforcement(enabled=True, author="alice", reason="over", now=court.now)
    (on,) = court.decide(evidence())
    assert on.outcome is Outcome.IMPOSED


def test_the_exempt_the_unknown_and_the_out_of_scope_are_refused_with_a_reason(court: Court) -> None:
    court.ledger.exempt(Scope(projects=("red",)), "our relay", "alice", court.now)
    exempt, unknown, stale = court.decide(evidence(), evidence("nobody"), evidence(policy="gone"))
    assert "our relay" in exempt.reason
    assert "No host" in unknown.reason
    assert "gone" in stale.reason
    (out,) = court.decide(evidence("p2"), policy=replace(SPAM, scope=Scope(projects=("red",))))
    assert out.outcome is Outcome.REFUSED
    assert court.ledger.standing() == ()


def test_a_burst_of_ten_thousand_is_bound_up_to_the_limit_and_the_rest_proposed(tmp_path: Path) -> None:
    settings = KeeperSettings(guard=GuardSettings(50, 10_000, 10_000))
    court = make(tmp_path, settings)
    names = [f"vm{i:05}" for i in range(10_000)]
    court.add(*(Subject(n, "h1", "red") for n in names))
    outcomes = [v.outcome for v in court.decide(*map(evidence, names))]
    again = [v.outcome for v in court.decide(*map(evidence, names))]
    assert outcomes == [Outcome.IMPOSED] * 50 + [Outcome.PROPOSED] * 9_950
    assert again == [Outcome.EXTENDED] * 50 + [Outcome.PROPOSED] * 9_950
    assert court.ledger.counts() == {State.ACTIVE: 50, State.PROPOSED: 9_950}
    assert len(court.verdicts.notices(court.now)) == 1
    assert [e.verb for e in court.ledger.journal(limit=1000).items].count("notice") <= 1
    court.ledger.close()


def test_our_own_collector_is_never_bound(court: Court) -> None:
    court.add(Subject("p1", "h1", "red", addresses=("192.0.2.9",)))
    report = CollectorReport("c", 0.0, addresses=("192.0.2.9", "127.0.0.1"))
    court.fleet.report_collector(report, court.now)
    (verdict,) = court.decide(evidence())
    assert verdict.outcome is Outcome.REFUSED
    assert "192.0.2.9" in verdict.reason


def test_a_proposal_that_nobody_answered_is_made_again_at_once(court: Court) -> None:
    propose = replace(SPAM, mode=Mode.PROPOSE)
    court.decide(evidence(), policy=propose)
    court.now += KeeperSettings().proposal_life + 1
    court.ledger.reject_before(court.now - KeeperSettings().proposal_life, court.now)
    (verdict,) = court.decide(evidence(), policy=propose)
    assert verdict.outcome is Outcome.PROPOSED


@pytest.mark.parametrize("told", ["collector.example.net", "fe80::1%eth0", "", "10.0.0.0/33"])
def test_what_a_collector_calls_itself_stops_no_decision(court: Court, told: str) -> None:
    court.fleet.report_collector(CollectorReport("c", court.now, addresses=(told,)), court.now)
    (verdict,) = court.decide(evidence())
    assert verdict.outcome is Outcome.IMPOSED
