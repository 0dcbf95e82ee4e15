"""How the ledger behaves, whatever database it stands on.

A test module runs each of `CHECKS` with a fresh, empty ledger::

    @pytest.mark.parametrize("check", CHECKS, ids=name)
    def test_ledger(check: Check, tmp_path: Path) -> None:
        check(Ledger(tmp_path / "ledger.db"))
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING, Any, TypeAlias

from sekisho.model.access import Principal, Role
from sekisho.model.errors import Conflict, Forbidden, Malformed, NotFound, SekishoError, Unauthenticated
from sekisho.model.policy import Direction, Drop, Police, Protocol, Scope
from sekisho.model.restriction import Count, Evidence, Finding, Imposed, Receipt, Restriction, State

if TYPE_CHECKING:
    from sekisho.ledger.ledger import Ledger

Check: TypeAlias = Callable[["Ledger"], None]
CHECKS: list[Check] = []

NOW = 1_800_000_000.0
HOUR = 3600.0
SMTP = Drop(Protocol.TCP, Direction.EGRESS, 25, 25)
SLOW = Police(10_000_000, Direction.INGRESS)
FINDING = Finding("smtp-connections", "count", 60, 300.0, 280.0, 320.0, 60.0, 300)
EVIDENCE = Evidence("port-a", "spam", (FINDING,), NOW - 60, NOW, top_destinations=(Count("192.0.2.9", 7),))


def check(function: Check) -> Check:
    """Let a function be one of the checks."""
    CHECKS.append(function)
    return function


def name(function: Check) -> str:
    """Name a check, as a test's id."""
    return getattr(function, "__name__", "check")


# --- what the checks are made of ---------------------------------------------------------------


def by_hand(ledger: Ledger, subject: str = "port-a", now: float = NOW, **more: Any) -> Restriction:
    """Let a person impose for an hour."""
    return ledger.impose(subject, (SMTP,), "called us", "olga", HOUR, now, **more)


def automatic(ledger: Ledger, subject: str = "port-a", now: float = NOW, **more: Any) -> Restriction:
    """Let the policy `spam` impose for an hour."""
    told: dict[str, Any] = {"policy": "spam", "evidence": EVIDENCE, "project": "p1", "host": "h1"} | more
    actions = told.pop("actions", (SMTP,))
    duration = told.pop("duration", HOUR)
    return ledger.impose(subject, actions, "spam", "policy:spam", duration, now, automatic=True, **told)


def proposal(ledger: Ledger, subject: str = "port-a", now: float = NOW) -> Restriction:
    """Let the policy `spam` propose."""
    return ledger.propose(
        subject, (SMTP,), "spam", "policy:spam", HOUR, now, policy="spam", evidence=EVIDENCE
    )


def verbs(ledger: Ledger, restriction: str = "") -> list[str]:
    """List what the journal says was done, oldest first."""
    return [e.verb for e in reversed(ledger.journal(restriction).items)]


def raises(error: type[SekishoError], act: Callable[[], object]) -> None:
    """Assert that an act fails as it should."""
    try:
        act()
    except error:
        return
    raise AssertionError(f"{error.__name__} was not raised")


# --- imposing ----------------------------------------------------------------------------------


@check
def an_entry_is_read_as_it_was_written(ledger: Ledger) -> None:
    """Every field survives, in the entry and in a list."""
    entry = ledger.impose(
        "port-a",
        (SMTP, SLOW),
        "why",
        "policy:spam",
        HOUR,
        NOW,
        policy="spam",
        automatic=True,
        offence=3,
        project="p1",
        host="h1",
        evidence=EVIDENCE,
    )
    assert entry == Restriction(
        id=entry.id,
        subject="port-a",
        actions=(SMTP, SLOW),
        reason="why",
        author="policy:spam",
        state=State.ACTIVE,
        created=NOW,
        until=NOW + HOUR,
        duration=HOUR,
        revision=1,
        policy="spam",
        automatic=True,
        offence=3,
        project="p1",
        host="h1",
        evidence=EVIDENCE,
    )
    assert ledger.restriction(entry.id) == entry
    assert ledger.restrictions().items == (entry,)
    assert ledger.active() == (entry,)
    assert ledger.active(["port-b"]) == ()


@check
def a_decision_is_journaled_and_counted_with_it(ledger: Ledger) -> None:
    """One revision and one line each."""
    entry = automatic(ledger)
    ledger.lift(entry.id, "olga", "cleaned up", NOW + 5)
    assert ledger.revision() == 2
    lift, impose = ledger.journal(entry.id).items
    assert (impose.verb, impose.author, impose.time, impose.subject) == (
        "impose",
        "policy:spam",
        NOW,
        "port-a",
    )
    assert '"estimate":300.0' in impose.detail
    assert (lift.verb, lift.author, lift.reason, lift.time) == ("lift", "olga", "cleaned up", NOW + 5)


@check
def automatic_ones_extend_and_never_double(ledger: Ledger) -> None:
    """The end moves on; the first evidence stays with the entry, the later is in the journal."""
    entry = automatic(ledger)
    again = automatic(ledger, now=NOW + 600, evidence=replace(EVIDENCE, window_end=NOW + 600))
    assert again.id == entry.id
    assert again.until == NOW + 600 + HOUR
    assert again.evidence == EVIDENCE
    assert ledger.restrictions().items == (again,)
    assert verbs(ledger) == ["impose", "extend"]
    assert f'"window_end":{NOW + 600}' in ledger.journal().items[0].detail


@check
def automatic_ones_never_shorten(ledger: Ledger) -> None:
    """Neither by imposing again nor by extending."""
    entry = automatic(ledger)
    assert automatic(ledger, now=NOW + 1, duration=60.0) == entry
    assert ledger.extend(entry.id, 60.0, "policy:spam", "again", NOW, automatic=True) == entry
    assert verbs(ledger) == ["impose"]


@check
def a_line_crossed_every_second_is_not_written_every_second(ledger: Ledger) -> None:
    """For an hour's restriction once a minute is enough."""
    for second in range(300):
        automatic(ledger, now=NOW + second)
    assert verbs(ledger) == ["impose", *["extend"] * 4]
    assert ledger.active()[0].until >= NOW + 299 + HOUR - 60


@check
def a_warning_runs_out_so_that_the_next_rung_comes(ledger: Ledger) -> None:
    """While its line stays crossed it is not moved; after its end a new entry follows."""
    warning = automatic(ledger, actions=())
    assert automatic(ledger, now=NOW + 1800) == warning
    following = automatic(ledger, now=NOW + HOUR, offence=2)
    assert following.id != warning.id
    assert following.actions == (SMTP,)


@check
def what_has_ended_is_expired_before_the_next_is_imposed(ledger: Ledger) -> None:
    """Also when nobody called expire in between."""
    first = automatic(ledger)
    second = automatic(ledger, now=NOW + HOUR + 1)
    assert second.id != first.id
    assert ledger.restriction(first.id).state is State.EXPIRED
    assert verbs(ledger) == ["impose", "expire", "impose"]
    assert ledger.active() == (second,)


@check
def other_subjects_and_policies_stand_apart(ledger: Ledger) -> None:
    """And people may impose as often as they like."""
    found = [
        automatic(ledger),
        automatic(ledger, "port-b"),
        automatic(ledger, policy="scan"),
        by_hand(ledger),
        by_hand(ledger),
    ]
    assert len({e.id for e in found}) == 5
    assert len(ledger.active(["port-a"])) == 4


@check
def a_duration_must_be_one(ledger: Ledger) -> None:
    """Nothing is bound for no time, backwards, or for ever."""
    for duration in (0.0, -1.0, float("inf"), float("nan")):
        raises(Malformed, lambda d=duration: ledger.impose("a", (SMTP,), "x", "olga", d, NOW))  # type: ignore[misc]
    assert ledger.journal().items == ()


@check
def many_drafts_are_written_all_or_none(ledger: Ledger) -> None:
    """Each is answered in order; a repeat within the batch is not doubled."""
    active = automatic(ledger, "port-b")
    blank = replace(active, id="", subject="port-a", revision=0)
    waits = replace(blank, subject="port-c", state=State.PROPOSED, until=0.0)
    given = [blank, waits, waits, replace(waits, subject="port-b"), blank]
    one, two, three, four, five = ledger.record(given, NOW)
    assert (one.state, two.state) == (State.ACTIVE, State.PROPOSED)
    assert (three, five) == (two, one)
    assert four == active
    assert len(ledger.restrictions().items) == 3
    ledger.set_enforcement(enabled=False, author="ada", reason="stop", now=NOW)
    raises(Forbidden, lambda: ledger.record([replace(waits, subject="port-d"), blank], NOW))
    assert ledger.restrictions("port-d").items == ()


# --- what people do ----------------------------------------------------------------------------


@check
def people_set_any_end(ledger: Ledger) -> None:
    """Shorter too."""
    entry = by_hand(ledger)
    shorter = ledger.extend(entry.id, 60.0, "olga", "enough", NOW + 10, revision=entry.revision)
    assert shorter.until == NOW + 70
    assert shorter.revision > entry.revision
    assert ledger.extend(entry.id, 2 * HOUR, "olga", "again", NOW + 20).until == NOW + 20 + 2 * HOUR


@check
def a_stale_revision_is_a_conflict(ledger: Ledger) -> None:
    """Nobody overwrites what they have not seen."""
    entry = by_hand(ledger)
    ledger.extend(entry.id, 60.0, "olga", "x", NOW)
    raises(Conflict, lambda: ledger.extend(entry.id, 90.0, "oleg", "y", NOW, revision=entry.revision))
    assert ledger.restriction(entry.id).until == NOW + 60


@check
def verbs_need_their_state(ledger: Ledger) -> None:
    """Only what is active is lifted or extended, only what is proposed approved or rejected."""
    active, waits = by_hand(ledger, "port-b"), proposal(ledger)
    raises(Conflict, lambda: ledger.approve(active.id, "olga", "x", NOW))
    raises(Conflict, lambda: ledger.reject(active.id, "olga", "x", NOW))
    raises(Conflict, lambda: ledger.lift(waits.id, "olga", "x", NOW))
    raises(Conflict, lambda: ledger.extend(waits.id, 60, "olga", "x", NOW))
    ledger.lift(active.id, "olga", "x", NOW)
    raises(Conflict, lambda: ledger.lift(active.id, "olga", "x", NOW))
    raises(Conflict, lambda: ledger.extend(active.id, 60, "olga", "x", NOW))
    ended = by_hand(ledger)
    raises(Conflict, lambda: ledger.extend(ended.id, 60, "olga", "x", NOW + HOUR))


@check
def unknown_names_are_not_found(ledger: Ledger) -> None:
    """Whatever they look like."""
    for unknown in ("r99", "", "r", "x1", "r-1", "r1x", "r" + "9" * 40, "r²"):
        raises(NotFound, lambda u=unknown: ledger.restriction(u))  # type: ignore[misc]
        raises(NotFound, lambda u=unknown: ledger.lift(u, "olga", "x", NOW))  # type: ignore[misc]
    raises(NotFound, lambda: ledger.revoke_exemption("x1", "olga", "x", NOW))
    raises(NotFound, lambda: ledger.revoke_token("t1", "olga", NOW))


@check
def a_proposal_waits_for_a_yes(ledger: Ledger) -> None:
    """It binds from the yes on, as that person's decision."""
    waits = proposal(ledger)
    assert (waits.state, waits.until, waits.duration) == (State.PROPOSED, 0.0, HOUR)
    assert ledger.active() == ()
    bound = ledger.approve(waits.id, "olga", "seen it", NOW + 500)
    assert (bound.state, bound.until, bound.author) == (State.ACTIVE, NOW + 500 + HOUR, "olga")
    assert not bound.automatic
    assert verbs(ledger) == ["propose", "approve"]


@check
def proposals_do_not_pile_up(ledger: Ledger) -> None:
    """One per subject and policy, and none beside what binds already."""
    assert proposal(ledger) == proposal(ledger, now=NOW + 60)
    active = automatic(ledger, "port-b")
    assert proposal(ledger, "port-b", NOW + 1) == active
    assert proposal(ledger, "port-b", NOW + HOUR).state is State.PROPOSED


@check
def a_proposal_that_came_too_late_is_a_conflict(ledger: Ledger) -> None:
    """When the subject has been bound under the same policy meanwhile; it can still be rejected."""
    waits = proposal(ledger)
    automatic(ledger)
    raises(Conflict, lambda: ledger.approve(waits.id, "olga", "x", NOW))
    assert ledger.reject(waits.id, "olga", "x", NOW + 3).state is State.REJECTED
    assert proposal(ledger, now=NOW + HOUR).id != waits.id


# --- ends --------------------------------------------------------------------------------------


@check
def time_ends_what_is_due_and_nothing_else(ledger: Ledger) -> None:
    """At its second, once; a proposal never."""
    due, later, waits = by_hand(ledger), by_hand(ledger, now=NOW + 1), proposal(ledger, "port-c")
    assert ledger.expire(NOW + HOUR - 0.001) == ()
    (expired,) = ledger.expire(NOW + HOUR)
    assert (expired.id, expired.state, expired.ended) == (due.id, State.EXPIRED, NOW + HOUR)
    assert ledger.restriction(due.id) == expired
    assert ledger.expire(NOW + HOUR) == ()
    assert {e.id for e in ledger.standing()} == {later.id, waits.id}
    assert verbs(ledger, due.id) == ["impose", "expire"]


@check
def a_clock_step_moves_every_active_end(ledger: Ledger) -> None:
    """So that nobody is freed early or held late; what has ended stays as it was."""
    entry, ended = by_hand(ledger), ledger.lift(by_hand(ledger, "port-b").id, "olga", "x", NOW)
    ledger.shift(-7200.0, "keeper", NOW - 7200, remember={"clock": "behind"})
    assert ledger.recall("clock") == "behind"
    assert ledger.restriction(entry.id).until == entry.until - 7200
    assert ledger.restriction(ended.id) == ended
    assert verbs(ledger, entry.id) == ["impose", "shift"]
    assert [e.id for e in ledger.since(ended.revision)] == [entry.id]


@check
def the_kill_switch_lifts_what_was_automatic(ledger: Ledger) -> None:
    """What people decided stays; nothing automatic binds until it is on again."""
    assert ledger.enforcement().enabled
    auto, hand = automatic(ledger), by_hand(ledger, "port-b")
    approved = ledger.approve(proposal(ledger, "port-c").id, "olga", "x", NOW)
    waits = proposal(ledger, "port-d")
    lifted = ledger.set_enforcement(enabled=False, author="ada", reason="too much", now=NOW + 9)
    assert [e.id for e in lifted] == [auto.id]
    assert {e.id for e in ledger.standing()} == {hand.id, approved.id, waits.id}
    assert {e.id for e in ledger.standing(["port-c", "port-d", "port-z"])} == {approved.id, waits.id}
    assert ledger.standing([]) == ()
    assert {e.id for e in ledger.standing([f"port-{c}" for c in ("d", *range(2000))])} == {waits.id}
    found = ledger.enforcement()
    assert (found.enabled, found.author, found.reason, found.since) == (False, "ada", "too much", NOW + 9)
    raises(Forbidden, lambda: automatic(ledger, "port-e", NOW + 10))
    by_hand(ledger, "port-e", NOW + 10)
    assert ledger.set_enforcement(enabled=True, author="ada", reason="fixed", now=NOW + 20) == ()
    assert automatic(ledger, "port-f", NOW + 21).state is State.ACTIVE
    assert verbs(ledger, auto.id) == ["impose", "lift"]
    assert verbs(ledger).count("enforce") == 2


@check
def lifting_all_automatic_is_one_decision(ledger: Ledger) -> None:
    """One revision for all of them."""
    for i in range(20):
        automatic(ledger, f"port-{i}")
    before = ledger.revision()
    assert len(ledger.lift_automatic("ada", "x", NOW)) == 20
    assert ledger.revision() == before + 1
    assert ledger.lift_automatic("ada", "x", NOW) == ()
    assert ledger.revision() == before + 1


# --- questions ---------------------------------------------------------------------------------


@check
def lists_are_paged_newest_first(ledger: Ledger) -> None:
    """No entry twice, none left out, even while new ones come."""
    made = [by_hand(ledger, f"port-{i}").id for i in range(7)]
    seen: list[str] = []
    marker = ""
    while True:
        page = ledger.restrictions(limit=3, marker=marker)
        seen += [e.id for e in page.items]
        by_hand(ledger, "new")
        marker = page.next
        if not marker:
            break
    assert seen == made[::-1]
    assert [len(ledger.journal(limit=n).items) for n in (1, 5)] == [1, 5]
    raises(Malformed, lambda: ledger.restrictions(marker="r3"))
    raises(Malformed, lambda: ledger.journal(marker="-1"))


@check
def entries_are_found_by_subject_policy_and_state(ledger: Ledger) -> None:
    """Alone and together."""
    auto, hand = automatic(ledger), by_hand(ledger)
    other = ledger.lift(automatic(ledger, "port-b").id, "olga", "x", NOW)
    assert [e.id for e in ledger.restrictions("port-a").items] == [hand.id, auto.id]
    assert [e.id for e in ledger.restrictions(policy="spam").items] == [other.id, auto.id]
    assert [e.id for e in ledger.restrictions(states=(State.LIFTED,)).items] == [other.id]
    assert ledger.restrictions("port-a", "spam", (State.LIFTED,)).items == ()
    assert ledger.counts() == {State.ACTIVE: 2, State.LIFTED: 1}


@check
def what_is_new_can_be_followed(ledger: Ledger) -> None:
    """By the revision last seen."""
    first, second = by_hand(ledger), by_hand(ledger, "port-b")
    assert ledger.since(0) == (first, second)
    assert ledger.since(first.revision) == (second,)
    lifted = ledger.lift(first.id, "olga", "x", NOW)
    assert ledger.since(second.revision) == (lifted,)
    assert ledger.since(ledger.revision()) == ()


@check
def offences_are_remembered_and_lifted_ones_forgiven(ledger: Ledger) -> None:
    """An offence counts from its end, else a long restriction would be forgotten as it ends."""
    assert ledger.offences("port-a", "spam", 0) == 0
    first = automatic(ledger)
    assert ledger.offences("port-a", "spam", NOW + HOUR) == 1
    ledger.expire(first.until)
    assert ledger.offences("port-a", "spam", first.until) == 1
    assert ledger.offences("port-a", "spam", first.until + 1) == 0
    ledger.lift(automatic(ledger, now=NOW + 2 * HOUR).id, "olga", "x", NOW + 2 * HOUR)
    proposal(ledger, now=NOW + 2 * HOUR)
    assert ledger.offences("port-a", "spam", 0) == 1
    assert ledger.offences("port-b", "spam", 0) == ledger.offences("port-a", "scan", 0) == 0
    assert ledger.offence_counts("spam", 0) == {"port-a": 1}


@check
def the_guard_counts_what_was_imposed_automatically(ledger: Ledger) -> None:
    """Not warnings, not people's, not proposals, not extensions, not what is older."""
    automatic(ledger, "old", NOW - 1)
    for subject, project, host in (("a", "p1", "h1"), ("b", "p1", "h2"), ("c", "p2", "h2")):
        automatic(ledger, subject, project=project, host=host)
    automatic(ledger, "a", NOW + 600)
    automatic(ledger, "w", actions=())
    by_hand(ledger, "x")
    ledger.reject(proposal(ledger, "y").id, "olga", "x", NOW)
    ledger.lift(automatic(ledger, "z", project="p3", host="h3").id, "olga", "x", NOW)
    assert ledger.imposed_since(NOW) == Imposed(4, {"p1": 2, "p2": 1, "p3": 1}, {"h1": 1, "h2": 2, "h3": 1})


# --- receipts ----------------------------------------------------------------------------------


def said(entry: Restriction, packets: int = 0, time: float = NOW + 1, **more: Any) -> Receipt:
    """Let a host say it carries an entry and dropped so much."""
    told: dict[str, Any] = {"host": "h1", "in_force": True} | more
    return Receipt(
        restriction=entry.id,
        subject=entry.subject,
        time=time,
        dropped_packets=packets,
        dropped_bytes=packets * 100,
        **told,
    )


@check
def a_receipt_tells_since_when_and_how_much(ledger: Ledger) -> None:
    """The first one counts as the beginning; counters move without a line in the journal."""
    entry = by_hand(ledger)
    (begun,) = ledger.receipts("h1", [said(entry)], NOW + 2)
    assert begun.in_force == NOW + 1
    for packets in (5, 9, 9):
        assert ledger.receipts("h1", [said(entry, packets, NOW + 30)], NOW + 30) == ()
    found = ledger.restriction(entry.id)
    assert (found.in_force, found.dropped_packets, found.dropped_bytes) == (NOW + 1, 9, 900)
    assert found.revision == entry.revision == ledger.revision()
    assert verbs(ledger, entry.id) == ["impose", "receipt"]


@check
def counters_go_on_when_rules_are_laid_anew(ledger: Ledger) -> None:
    """On the same host or on another one."""
    entry = by_hand(ledger)
    for packets in (10, 15, 3, 4):
        ledger.receipts("h1", [said(entry, packets)], NOW + 5)
    ledger.receipts("h2", [said(entry, 2, host="h2")], NOW + 6)
    assert ledger.restriction(entry.id).dropped_packets == 15 + 4 + 2


@check
def a_hosts_clock_is_believed_only_where_it_can_be_right(ledger: Ledger) -> None:
    """Not before the decision, not after now."""
    early, late = by_hand(ledger), by_hand(ledger, "port-b")
    given = [said(early, time=NOW - 100), said(late, time=NOW + 100)]
    assert [e.in_force for e in ledger.receipts("h1", given, NOW + 3)] == [NOW + 3, NOW + 3]


@check
def problems_are_journaled_once(ledger: Ledger) -> None:
    """When they come, not each time they are told."""
    entry = by_hand(ledger)
    for _ in range(3):
        ledger.receipts("h1", [said(entry, in_force=False, problem="no meter left")], NOW + 5)
    assert ledger.restriction(entry.id).in_force == 0
    assert verbs(ledger, entry.id) == ["impose", "receipt"]
    assert ledger.journal(entry.id).items[0].reason == "no meter left"


@check
def totals_beyond_all_measure_stay_whole_numbers(ledger: Ledger) -> None:
    """A sum over 64 bits would become a fraction, and no list with the entry could be read any more."""
    entry = by_hand(ledger)
    for packets in (2**62, 5, 2**70, 5, 2**62, -3):
        ledger.receipts("h1", [said(entry, packets)], NOW + 5)
    found = ledger.restriction(entry.id).dropped_packets
    assert isinstance(found, int)
    assert 0 <= found < 2**63


@check
def receipts_about_nothing_we_know_are_passed_over(ledger: Ledger) -> None:
    """The rest of the batch counts."""
    entry = by_hand(ledger)
    unknown = replace(said(entry), restriction="r77")
    odd = replace(said(entry), restriction="nonsense")
    assert len(ledger.receipts("h1", [unknown, odd, said(entry, 4)], NOW + 5)) == 1
    assert ledger.restriction(entry.id).dropped_packets == 4


# --- keys --------------------------------------------------------------------------------------


@check
def the_same_key_answers_the_same(ledger: Ledger) -> None:
    """However often it is asked, and even after the entry changed."""
    first = by_hand(ledger, key="k1")
    assert by_hand(ledger, now=NOW + 30, key="k1") == first
    lifted = ledger.lift(first.id, "olga", "x", NOW + 40, key="k2")
    assert ledger.lift(first.id, "olga", "x", NOW + 50, key="k2") == lifted
    assert by_hand(ledger, now=NOW + 60, key="k1") == first
    assert verbs(ledger) == ["impose", "lift"]


@check
def every_write_takes_a_key(ledger: Ledger) -> None:
    """And is done once."""
    entry, waits, other = by_hand(ledger), proposal(ledger), proposal(ledger, "port-b")
    exempt = ledger.exempt(Scope(projects=("p",)), "x", "olga", NOW, until=NOW + 60, key="e")
    before = ledger.revision()
    writes: list[Callable[[float], object]] = [
        lambda t: ledger.propose("z", (), "x", "olga", 60, t, key="a"),
        lambda t: ledger.extend(entry.id, 60, "olga", "x", t, key="b"),
        lambda t: ledger.approve(waits.id, "olga", "x", t, key="c"),
        lambda t: ledger.reject(other.id, "olga", "x", t, key="d"),
        lambda t: ledger.exempt(Scope(hosts=("h",)), "x", "olga", t, until=t + 60, key="f"),
        lambda t: ledger.revoke_exemption(exempt.id, "olga", "x", t, key="g"),
        lambda t: ledger.set_enforcement(enabled=False, author="olga", reason="x", now=t, key="h"),
    ]
    for write in writes:
        assert write(NOW) == write(NOW + 9)
    assert ledger.revision() == before + len(writes)


@check
def a_key_stands_for_one_request(ledger: Ledger) -> None:
    """Another one under the same key is a Conflict; another author's keys are their own."""
    by_hand(ledger, key="k")
    raises(Conflict, lambda: by_hand(ledger, "port-b", key="k"))
    raises(Conflict, lambda: ledger.lift("r1", "olga", "x", NOW, key="k"))
    ledger.lift("r1", "oleg", "x", NOW, key="k")
    assert verbs(ledger) == ["impose", "lift"]


@check
def a_key_is_kept_for_a_day(ledger: Ledger) -> None:
    """Then the same request is a new one."""
    first = by_hand(ledger, key="k")
    assert by_hand(ledger, now=NOW + 86400, key="k") == first
    assert by_hand(ledger, now=NOW + 86402, key="k").id != first.id


@check
def a_request_that_failed_can_be_repeated(ledger: Ledger) -> None:
    """Its key is not used up."""
    raises(NotFound, lambda: ledger.lift("r1", "olga", "x", NOW, key="k"))
    by_hand(ledger)
    assert ledger.lift("r1", "olga", "x", NOW, key="k").state is State.LIFTED


# --- tokens, exemptions, small state -----------------------------------------------------------


@check
def a_token_speaks_for_its_principal_until_its_end(ledger: Ledger) -> None:
    """And not after it was revoked."""
    token, secret = ledger.create_token("agent-h1", Role.AGENT, "ada", NOW, host="h1", until=NOW + HOUR)
    assert ledger.authenticate(secret, NOW + 1) == Principal("agent-h1", Role.AGENT, "h1")
    assert ledger.recognised(secret, NOW + 1) == Principal("agent-h1", Role.AGENT, "h1")
    raises(Unauthenticated, lambda: ledger.authenticate(secret, NOW + HOUR))
    assert ledger.recognised(secret, NOW + HOUR) is None
    assert ledger.tokens() == (token,)
    assert secret not in repr(token)
    endless, other = ledger.create_token("ada", Role.ADMIN, "ada", NOW)
    assert ledger.authenticate(other, NOW * 2).role is Role.ADMIN
    ledger.revoke_token(endless.id, "ada", NOW)
    raises(Unauthenticated, lambda: ledger.authenticate(other, NOW))
    assert ledger.recognised(other, NOW) is None
    raises(NotFound, lambda: ledger.revoke_token(endless.id, "ada", NOW))
    assert ledger.tokens() == (token,)
    assert verbs(ledger) == ["token", "token", "revoke-token"]
    assert all(secret not in e.detail + e.reason for e in ledger.journal().items)


@check
def strangers_are_turned_away(ledger: Ledger) -> None:
    """Whatever they say."""
    _, secret = ledger.create_token("ada", Role.ADMIN, "ada", NOW)
    for wrong in ("", "x", secret[:-1], secret + "x", secret.upper(), "\udcff", "' OR 1=1 --"):
        raises(Unauthenticated, lambda w=wrong: ledger.authenticate(w, NOW))  # type: ignore[misc]
        assert ledger.recognised(wrong, NOW) is None


@check
def exemptions_hold_until_their_end(ledger: Ledger) -> None:
    """Or until someone revokes them; they are read as written."""
    scope = Scope(projects=("mail",), exclude_tags=("new",))
    first = ledger.exempt(scope, "our relays", "olga", NOW, policies=("spam",))
    second = ledger.exempt(Scope(hosts=("h1",)), "move", "olga", NOW, until=NOW + 60)
    assert (first.scope, first.policies, first.until) == (scope, ("spam",), 0.0)
    assert ledger.exemptions(NOW) == (first, second)
    assert ledger.exemptions(NOW + 60) == (first,)
    ledger.revoke_exemption(first.id, "oleg", "gone", NOW + 61)
    assert ledger.exemptions(NOW + 61) == ()
    raises(NotFound, lambda: ledger.revoke_exemption(first.id, "oleg", "gone", NOW + 62))
    assert verbs(ledger) == ["exempt", "exempt", "revoke"]


@check
def small_things_are_remembered(ledger: Ledger) -> None:
    """By name; the newest counts."""
    assert ledger.recall("clock") == ""
    ledger.remember("clock", "1")
    ledger.remember("clock", "2")
    ledger.remember("enforcement", "nonsense")
    assert ledger.recall("clock") == "2"
    assert ledger.enforcement().enabled


@check
def the_journal_takes_what_others_tell(ledger: Ledger) -> None:
    """And finds it by subject."""
    ledger.write_journal(NOW, "mallory", "deny", subject="port-a", reason="no token", detail="{}")
    ledger.write_journals(NOW, "keeper", "watch", [("port-b", "crossed", {"n": 1}), ("", "more", None)])
    (line,) = ledger.journal(subject="port-a").items
    assert (line.verb, line.author, line.reason, line.restriction) == ("deny", "mallory", "no token", "")
    assert ledger.journal(subject="port-b").items[0].detail == '{"n":1}'
    assert ledger.revision() == 0


# --- at once -----------------------------------------------------------------------------------


@check
def many_at_once_lose_and_double_nothing(ledger: Ledger) -> None:
    """Threads that impose on the same and on different subjects, and read meanwhile."""
    failed: list[BaseException] = []

    def work(worker: int) -> None:
        try:
            for i in range(10):
                automatic(ledger, "shared", NOW + i)
                by_hand(ledger, f"port-{worker}", key=f"{worker}-{i}")
                ledger.active(["shared"])
        except BaseException as error:  # noqa: BLE001 -- whatever it is, the test must see it
            failed.append(error)

    threads = [threading.Thread(target=work, args=(n,)) for n in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failed
    assert len(ledger.active(["shared"])) == 1
    assert len(ledger.active()) == 61
    assert ledger.revision() == len(ledger.journal(limit=1000).items)
