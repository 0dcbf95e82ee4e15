"""How every keeper behaves, whatever it keeps its memory in.

A test module runs each of `CHECKS` with a fresh `Rig` around the keeper it is about::

    @pytest.mark.parametrize("check", CHECKS, ids=name)
    def test_keeper(check: Check) -> None:
        check(MyRig(POLICIES))
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Protocol, TypeAlias, TypeVar

from sekisho.model.access import Issuer, Principal, Role
from sekisho.model.cloud import CloudPort
from sekisho.model.errors import Conflict, Forbidden, Malformed, NotFound, SekishoError, Unauthenticated
from sekisho.model.inventory import Host, HostReport, Subject, Telemetry
from sekisho.model.policy import (
    Baseline,
    Condition,
    Direction,
    Drop,
    Mode,
    Police,
    Policy,
    PolicySet,
    Scope,
    Step,
    Threshold,
    Unit,
)
from sekisho.model.policy import Protocol as Transport
from sekisho.model.report import CollectorReport, Outcome, Page, Talker
from sekisho.model.restriction import Count, Evidence, Finding, Receipt, Restriction, State

if TYPE_CHECKING:
    from sekisho.api.keeper import Keeper
    from sekisho.model.release import Release

T = TypeVar("T")


class Rig(Protocol):
    """A fresh keeper with `POLICIES` in force, and time in the test's hands."""

    @property
    def keeper(self) -> Keeper:
        """The keeper under test."""
        ...

    def advance(self, seconds: float) -> None:
        """Let time pass, and let the keeper do what it does as time passes."""
        ...

    def stage(self, policies: PolicySet) -> None:
        """Lay other policies where the keeper's next `reload_policies` finds them."""
        ...


Check: TypeAlias = Callable[[Rig], None]
CHECKS: list[Check] = []

ADMIN = Principal("ada", Role.ADMIN)
OPERATOR = Principal("olga", Role.OPERATOR)
AGENT = Principal("agent-h1", Role.AGENT)

SMTP = Drop(Transport.TCP, Direction.EGRESS, 25, 25)
SLOW = Police(10_000_000, Direction.EGRESS)
HOUR = 3600.0


def _policy(name: str, mode: Mode, *steps: Step, scope: Scope | None = None) -> Policy:
    line = Threshold(60, 60, Unit.COUNT, "60/min")
    ladder = steps or (Step((SMTP,), HOUR),)
    return Policy(name, (Condition("smtp-connections", line),), ladder, mode, scope or Scope())


POLICIES = PolicySet(
    version=1,
    policies=(
        _policy("watch-it", Mode.WATCH),
        _policy("propose-it", Mode.PROPOSE),
        _policy("enforce-it", Mode.ENFORCE, Step((SMTP,), HOUR), Step((SMTP,), 2 * HOUR)),
        _policy("warn-first", Mode.ENFORCE, Step((), HOUR), Step((SMTP,), HOUR)),
        replace(_policy("owner-may", Mode.ENFORCE), early_release=24 * HOUR),
        _policy("others-only", Mode.ENFORCE, scope=Scope(projects=("nobody",))),
    ),
    baselines=(Baseline("no-telnet", (Drop(Transport.TCP, Direction.EGRESS, 23, 23),)),),
)

WEB, MAIL, FAR = "port-web", "port-mail", "h2/tap3"


def check(function: Check) -> Check:
    """Let a function be one of the checks."""
    CHECKS.append(function)
    return function


def name(function: Check) -> str:
    """Name a check, as a test's id."""
    return getattr(function, "__name__", "check")


# --- what the checks are made of ---------------------------------------------------------------


def report(host: str, *subjects: Subject) -> HostReport:
    """Make a host's report."""
    return HostReport(Host(host, ("192.0.2.1",), (Telemetry("br-int", "sflow", 400, 1, 2),)), subjects)


def populate(keeper: Keeper) -> None:
    """Report two hosts: h1 with a web and a mail server, h2 with one more."""
    web = Subject(WEB, "h1", "acme", "web-1", "net", "fa:16:3e:00:00:01", ("10.0.0.5",), ofport=1)
    mail = Subject(MAIL, "h1", "umbrella", "mail-1", "net", "fa:16:3e:00:00:02", ("10.0.0.6",), ofport=2)
    far = Subject(FAR, "h2", "acme", "db-1", "net", "fa:16:3e:00:00:03", ("10.0.0.7",), ofport=1)
    keeper.report_host(AGENT, report("h1", web, mail))
    keeper.report_host(AGENT, report("h2", far))


def evidence(subject: str, policy: str, when: float = 1000.0) -> Evidence:
    """Make a piece of evidence."""
    finding = Finding("smtp-connections", "count", 60, 412, 400, 425, 60, 412)
    tops = (Count("198.51.100.7", 40),)
    return Evidence(
        subject, policy, (finding,), when - 60, when, top_destinations=tops, collector="c1", first_seen=when
    )


def all_of(pages: Callable[[int, str], Page[T]], limit: int) -> list[T]:
    """Go through all pages, which must not be longer than asked."""
    found: list[T] = []
    marker = ""
    while True:
        page = pages(limit, marker)
        assert len(page.items) <= limit
        found += page.items
        if not page.next:
            return found
        assert page.items, "an empty page that has a next one"
        marker = page.next


def raises(kind: type[SekishoError], act: Callable[[], object]) -> SekishoError:
    """Call and expect an error, with a sentence for the asker."""
    try:
        answered = act()
    except kind as error:
        caught = error
    else:
        raise AssertionError(f"expected {kind.__name__}, got {answered!r}")
    assert caught.asker
    return caught


def impose(keeper: Keeper, subject: str = WEB, duration: float = HOUR, key: str = "") -> Restriction:
    """Bind a subject by hand."""
    return keeper.impose(OPERATOR, subject, (SMTP,), "It sends spam.", duration, key)


def bound(keeper: Keeper, host: str) -> dict[str, float]:
    """Tell which restrictions a host must carry, and for how many seconds."""
    return {b.restriction: b.remaining for b in keeper.program(host).bindings}


def in_state(keeper: Keeper, *states: State, subject: str = "") -> list[Restriction]:
    """List restrictions in some states."""
    return all_of(lambda limit, marker: keeper.restrictions(subject, "", states, limit, marker), 100)


# --- who asks ------------------------------------------------------------------------------------


@check
def a_token_speaks_for_its_owner_until_it_is_revoked(rig: Rig) -> None:
    """Create, authenticate, list, revoke."""
    keeper = rig.keeper
    token, secret = keeper.create_token(ADMIN, "h7", Role.AGENT, "h7", 0.0)
    assert keeper.authenticate(secret, Issuer.SEKISHO) == Principal("h7", Role.AGENT, "h7")
    assert keeper.recognised(secret, Issuer.SEKISHO) == Principal("h7", Role.AGENT, "h7")
    assert token in keeper.tokens()
    assert secret not in repr(keeper.tokens())
    keeper.revoke_token(ADMIN, token.id)
    raises(Unauthenticated, lambda: keeper.authenticate(secret, Issuer.SEKISHO))
    assert keeper.recognised(secret, Issuer.SEKISHO) is None
    assert token.id not in [t.id for t in keeper.tokens()]
    raises(NotFound, lambda: keeper.revoke_token(ADMIN, token.id))


@check
def a_token_ends_on_time(rig: Rig) -> None:
    """A duration is kept to."""
    token, secret = rig.keeper.create_token(ADMIN, "guest", Role.VIEWER, "", 60.0)
    assert token.until == token.created + 60
    assert rig.keeper.authenticate(secret, Issuer.SEKISHO).role is Role.VIEWER
    rig.advance(61)
    raises(Unauthenticated, lambda: rig.keeper.authenticate(secret, Issuer.SEKISHO))


@check
def a_token_of_ours_is_none_of_keystones(rig: Rig) -> None:
    """Who made a token is told by how it was sent; it is never tried at the other one."""
    _, secret = rig.keeper.create_token(ADMIN, "guest", Role.VIEWER, "", 0.0)
    raises(Unauthenticated, lambda: rig.keeper.authenticate(secret, Issuer.KEYSTONE))
    assert rig.keeper.recognised(secret, Issuer.KEYSTONE) is None
    assert rig.keeper.knows(secret, Issuer.SEKISHO)


@check
def no_token_of_ours_bears_the_name_of_a_keystone_user(rig: Rig) -> None:
    """The journal's names say who made the token."""
    name = "keystone:ada@Default (acme)"
    raises(Malformed, lambda: rig.keeper.create_token(ADMIN, name, Role.VIEWER, "", 0.0))


@check
def what_is_another_projects_is_not_there(rig: Rig) -> None:
    """Lists leave it out, names lead nowhere, with the words of what never was; markers lead on."""
    keeper = rig.keeper
    populate(keeper)
    made = [keeper.impose(OPERATOR, s, (SMTP,), "why", HOUR, "") for s in (WEB, MAIL, FAR, MAIL, WEB)]
    own = [r.id for r in reversed(made) if r.project == "acme"]
    pages = all_of(lambda limit, marker: keeper.restrictions("", "", (), limit, marker, "acme"), 1)
    assert [r.id for r in pages] == own
    assert keeper.restrictions(MAIL, "", (), 10, "", "acme") == Page(())
    older = [r.id for r in keeper.restrictions("", "", (), 10, "", "acme", before=own[0]).items]
    assert older == own[1:]
    raises(NotFound, lambda: keeper.restrictions("", "", (), 10, "", before="nobody"))
    told = made[0].revision
    assert {r.id for r in keeper.restrictions("", "", (), 10, "", since=told).items} == {
        r.id for r in made[1:]
    }
    lifted = keeper.lift(OPERATOR, made[0].id, "why", "")
    changed = keeper.restrictions("", "", (), 10, "", since=lifted.revision - 1).items
    assert [r.id for r in changed] == [lifted.id]
    assert keeper.restriction(own[0], "acme").id == own[0]
    foreign = raises(NotFound, lambda: keeper.restriction(made[1].id, "acme"))
    assert foreign.asker.replace(made[1].id, "r999") == (
        raises(NotFound, lambda: keeper.restriction("r999", "acme")).asker
    )
    assert keeper.subject(WEB, "acme").id == WEB
    assert {r.project for r in keeper.explain(WEB, "acme").restrictions} == {"acme"}
    for ask in (keeper.subject, keeper.explain):
        error = raises(NotFound, lambda ask=ask: ask(MAIL, "acme"))  # type: ignore[misc]
        unknown = raises(NotFound, lambda ask=ask: ask("nobody", "acme"))  # type: ignore[misc]
        assert error.asker.replace(MAIL, "nobody") == unknown.asker


@check
def a_hosts_token_tells_of_its_own_subjects_only(rig: Rig) -> None:
    """What is on another host is not its to tell; what has moved away was."""
    keeper = rig.keeper
    populate(keeper)
    bound = Principal("h2-agent", Role.AGENT, "h2")
    web, far = (keeper.impose(OPERATOR, s, (SMTP,), "why", HOUR, "") for s in (WEB, FAR))

    def tell(entry: Restriction, packets: int) -> int:
        receipt = Receipt(entry.id, entry.subject, "h2", True, entry.created, packets, packets * 60)
        keeper.receipts(bound, "h2", 1, (receipt,), "")
        return keeper.restriction(entry.id).dropped_packets

    assert tell(web, 5) == 0, "it is on h1"
    assert not keeper.restriction(web.id).in_force
    assert tell(far, 5) == 5
    moved = replace(keeper.subject(WEB), host="h2")
    keeper.report_host(AGENT, report("h2", moved))  # FAR has left, WEB is on both for a moment
    assert tell(web, 7) == 7
    keeper.report_host(AGENT, report("h2"))
    assert tell(web, 9) == 9, "the last receipts of the host it left"
    assert tell(far, 6) == 6


@check
def strangers_are_turned_away(rig: Rig) -> None:
    """Whatever they send."""
    for secret in ("", "no-such-token", "x" * 4000, "é'; DROP TABLE token; --"):
        raises(Unauthenticated, lambda secret=secret: rig.keeper.authenticate(secret, Issuer.SEKISHO))  # type: ignore[misc]


@check
def denials_are_journaled_but_do_not_fill_the_journal(rig: Rig) -> None:
    """The same one a thousand times is a few lines."""
    for _ in range(1000):
        rig.keeper.denied("mallory", "PUT /v1/enforcement", "This needs the role admin.")
    found = all_of(lambda limit, marker: rig.keeper.journal("", "", limit, marker), 1000)
    lines = [e for e in found if e.author == "mallory"]
    assert 1 <= len(lines) <= 100
    assert "admin" in lines[0].reason


# --- inventory -----------------------------------------------------------------------------------


@check
def a_host_that_is_no_more_is_forgotten(rig: Rig) -> None:
    """With its subjects; not while it reports, and one that comes again is back."""
    keeper = rig.keeper
    populate(keeper)
    raises(Conflict, lambda: keeper.forget_host(OPERATOR, "h2"))
    raises(NotFound, lambda: keeper.forget_host(OPERATOR, "never"))
    rig.advance(61.0)
    keeper.report_host(AGENT, report("h1", keeper.subject(WEB)))
    keeper.forget_host(OPERATOR, "h2")
    raises(NotFound, lambda: keeper.subject(FAR))
    raises(NotFound, lambda: keeper.program("h2"))
    assert [h.name for h in keeper.status().hosts] == ["h1"]
    assert keeper.subject(WEB).host == "h1"
    last = keeper.journal("", "", 10, "").items[0]
    assert (last.verb, last.author, last.detail) == ("forget-host", OPERATOR.name, "h2")
    keeper.report_host(AGENT, report("h2"))
    assert keeper.program("h2").host == "h2"


@check
def a_report_replaces_what_was_known_of_a_host(rig: Rig) -> None:
    """And of that host only."""
    keeper = rig.keeper
    populate(keeper)
    before = keeper.inventory()
    assert {s.id for s in before.subjects} == {WEB, MAIL, FAR}
    assert {h.name for h in before.hosts} == {"h1", "h2"}
    web = keeper.subject(WEB)
    assert web.addresses == ("10.0.0.5",)
    keeper.report_host(AGENT, report("h1", replace(web, ofport=9)))
    after = keeper.inventory()
    assert after.version > before.version
    assert {s.id for s in after.subjects} == {WEB, FAR}
    assert keeper.subject(WEB).ofport == 9
    raises(NotFound, lambda: keeper.subject(MAIL))


@check
def the_same_report_changes_nothing(rig: Rig) -> None:
    """Agents report often; nobody is to be woken by it."""
    keeper = rig.keeper
    populate(keeper)
    version, revision, told = keeper.inventory().version, keeper.program("h1").revision, _heard(keeper)
    populate(keeper)
    assert keeper.inventory().version == version
    assert keeper.program("h1").revision == revision
    assert told == []


@check
def what_the_cloud_says_of_a_port_is_joined_to_what_its_host_says(rig: Rig) -> None:
    """Whose it is comes from the cloud, where it is from the host; and back when the cloud forgets it."""
    keeper = rig.keeper
    populate(keeper)
    before, version = keeper.subject(WEB), keeper.inventory().version
    told = CloudPort(
        WEB, "globex", "net-2", flavor="m1.tiny", qos="plan-1", host="h1", addresses=("10.9.9.9",)
    )
    keeper.report_port(AGENT, told)
    after = keeper.subject(WEB)
    assert (after.project, after.network, after.addresses) == ("globex", "net-2", ("10.9.9.9",))
    assert (after.flavor, after.qos) == ("m1.tiny", ("plan-1",))
    assert (after.host, after.ofport, after.mac) == (before.host, before.ofport, before.mac)
    assert keeper.inventory().version > version
    assert after in keeper.inventory().subjects
    assert [s.id for s in keeper.subjects("", "", "", 100, "", "m1.tiny", "plan-1").items] == [WEB]
    assert not keeper.subjects("", "", "", 100, "", "", "plan-2").items
    keeper.forget_port(AGENT, WEB)
    assert keeper.subject(WEB) == before
    keeper.forget_port(AGENT, WEB)


@check
def a_port_that_is_on_no_host_yet_can_be_bound_ahead(rig: Rig) -> None:
    """It is in force when the port comes up: its host is told before."""
    keeper = rig.keeper
    populate(keeper)
    keeper.report_port(AGENT, CloudPort("port-new", "acme", host="h2"))
    assert keeper.subject("port-new").project == "acme"
    assert "port-new" in [s.id for s in all_of(lambda n, m: keeper.subjects("", "", "", n, m), 100)]
    assert "port-new" not in [s.id for s in keeper.inventory().subjects]
    made = keeper.impose(OPERATOR, "port-new", (SMTP,), "It was a spammer before.", HOUR, "")
    assert (made.project, made.host) == ("acme", "h2")
    assert made.id in bound(keeper, "h2")
    assert made.id not in bound(keeper, "h1")
    keeper.forget_port(AGENT, "port-new")
    raises(NotFound, lambda: keeper.subject("port-new"))


@check
def subjects_are_found_by_host_project_and_text(rig: Rig) -> None:
    """Alone and together."""
    keeper = rig.keeper
    populate(keeper)

    def ids(host: str = "", project: str = "", text: str = "") -> list[str]:
        return [s.id for s in keeper.subjects(host, project, text, 100, "").items]

    assert sorted(ids()) == sorted([WEB, MAIL, FAR])
    assert sorted(ids(host="h1")) == sorted([WEB, MAIL])
    assert sorted(ids(project="acme")) == sorted([WEB, FAR])
    assert ids(text="mail-1") == [MAIL]
    assert ids(text="10.0.0.7") == [FAR]
    assert ids(host="h1", project="acme") == [WEB]
    assert ids(text="no such thing") == []


@check
def pages_give_everything_once(rig: Rig) -> None:
    """Subjects, restrictions and the journal, restrictions and journal newest first."""
    keeper = rig.keeper
    subjects = [Subject(f"port-{i:02}", "h1") for i in range(7)]
    keeper.report_host(AGENT, report("h1", *subjects))
    for subject in subjects:
        impose(keeper, subject.id)
        rig.advance(1)
    for limit in (1, 3, 7, 100):
        ids = [s.id for s in all_of(lambda n, m: keeper.subjects("", "", "", n, m), limit)]
        assert ids == [s.id for s in subjects]
        found = all_of(lambda n, m: keeper.restrictions("", "", (), n, m), limit)
        assert [r.subject for r in found] == ids[::-1]
        lines = all_of(lambda n, m: keeper.journal("", "", n, m), limit)
        assert [e.id for e in lines] == sorted({e.id for e in lines}, reverse=True)


# --- restrictions --------------------------------------------------------------------------------


@check
def an_imposed_restriction_is_in_its_hosts_program(rig: Rig) -> None:
    """And in no other's; and in the journal."""
    keeper = rig.keeper
    populate(keeper)
    made = impose(keeper)
    assert made.state is State.ACTIVE
    assert (made.subject, made.host, made.project, made.author) == (WEB, "h1", "acme", "olga")
    assert not made.automatic
    assert made.until == made.created + HOUR
    assert keeper.restriction(made.id) == made
    assert bound(keeper, "h1").keys() == {made.id}
    assert bound(keeper, "h2") == {}
    binding = keeper.program("h1").bindings[0]
    assert (binding.subject, binding.actions) == (WEB, (SMTP,))
    assert HOUR - 5 < binding.remaining <= HOUR
    line = keeper.journal(made.id, "", 10, "").items[-1]
    assert (line.verb, line.author, line.subject, line.reason) == ("impose", "olga", WEB, "It sends spam.")


@check
def a_restriction_ends_on_time(rig: Rig) -> None:
    """Not before, not after."""
    keeper = rig.keeper
    populate(keeper)
    made = impose(keeper, duration=600)
    rig.advance(500)
    assert 95 < bound(keeper, "h1")[made.id] <= 100
    told = _heard(keeper)
    rig.advance(101)
    assert bound(keeper, "h1") == {}
    assert keeper.restriction(made.id).state is State.EXPIRED
    assert keeper.restriction(made.id).ended > 0
    assert "host:h1" in told
    assert keeper.journal(made.id, "", 10, "").items[0].verb == "expire"


@check
def extending_moves_the_end_from_now(rig: Rig) -> None:
    """And only of the entry the asker saw."""
    keeper = rig.keeper
    populate(keeper)
    made = impose(keeper, duration=600)
    rig.advance(300)
    longer = keeper.extend(OPERATOR, made.id, 600, "Still at it.", made.revision, "")
    assert longer.revision > made.revision
    assert 595 < bound(keeper, "h1")[made.id] <= 600
    raises(Conflict, lambda: keeper.extend(OPERATOR, made.id, 9000, "Again.", made.revision, ""))
    assert keeper.restriction(made.id) == longer
    keeper.extend(OPERATOR, made.id, 9000, "Whatever it is now.", None, "")
    assert bound(keeper, "h1")[made.id] > 8990


@check
def lifting_frees_at_once_and_once(rig: Rig) -> None:
    """A second lift finds nothing to lift."""
    keeper = rig.keeper
    populate(keeper)
    made = impose(keeper)
    lifted = keeper.lift(OPERATOR, made.id, "They cleaned up.", "")
    assert lifted.state is State.LIFTED
    assert lifted.ended > 0
    assert bound(keeper, "h1") == {}
    for again in (keeper.lift, keeper.approve, keeper.reject):
        raises(Conflict, lambda again=again: again(OPERATOR, made.id, "Again.", ""))  # type: ignore[misc]
    raises(Conflict, lambda: keeper.extend(OPERATOR, made.id, 60, "Again.", None, ""))


@check
def what_is_not_there_is_not_found(rig: Rig) -> None:
    """Whoever asks for it."""
    keeper = rig.keeper
    populate(keeper)
    for wrong in ("nobody", "r999999", "h1/no/such", "é"):
        questions: list[Callable[[str], object]] = [
            keeper.subject,
            keeper.explain,
            keeper.restriction,
            lambda w: impose(keeper, w),
            lambda w: keeper.lift(OPERATOR, w, "why", ""),
            lambda w: keeper.extend(OPERATOR, w, 60, "why", None, ""),
            lambda w: keeper.approve(OPERATOR, w, "why", ""),
            lambda w: keeper.revoke_exemption(OPERATOR, w, "why"),
            lambda w: keeper.revoke_token(ADMIN, w),
            keeper.program,
        ]
        for question in questions:
            raises(NotFound, lambda q=question, w=wrong: q(w))  # type: ignore[misc]


@check
def senseless_durations_are_malformed(rig: Rig) -> None:
    """Nothing is written for them."""
    keeper = rig.keeper
    populate(keeper)
    for wrong in (0.0, -1.0):
        raises(Malformed, lambda wrong=wrong: impose(keeper, duration=wrong))  # type: ignore[misc]
    assert in_state(keeper) == []


@check
def a_repeated_key_is_carried_out_once(rig: Rig) -> None:
    """Another request under it is a conflict; without a key each is its own."""
    keeper = rig.keeper
    populate(keeper)
    first = impose(keeper, key="k1")
    rig.advance(5)
    assert impose(keeper, key="k1") == first
    raises(Conflict, lambda: impose(keeper, subject=MAIL, key="k1"))
    assert len(in_state(keeper, State.ACTIVE)) == 1
    lifted = keeper.lift(OPERATOR, first.id, "why", "k2")
    assert keeper.lift(OPERATOR, first.id, "why", "k2") == lifted
    exempted = keeper.exempt(OPERATOR, Scope(projects=("acme",)), "why", 0.0, (), "k3")
    assert keeper.exempt(OPERATOR, Scope(projects=("acme",)), "why", 0.0, (), "k3") == exempted
    assert len(keeper.exemptions()) == 1


@check
def many_with_one_key_make_one_entry(rig: Rig) -> None:
    """At the same time, from many threads."""
    populate(rig.keeper)
    answers: list[str] = []
    threads = [
        threading.Thread(target=lambda: answers.append(impose(rig.keeper, key="same").id)) for _ in range(8)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert len(answers) == 8
    assert len(set(answers)) == 1
    assert len(in_state(rig.keeper)) == 1


@check
def a_warning_binds_nobody(rig: Rig) -> None:
    """It is an entry without actions."""
    keeper = rig.keeper
    populate(keeper)
    warned = keeper.impose(OPERATOR, WEB, (), "Last warning.", HOUR, "")
    assert warned.state is State.ACTIVE
    assert bound(keeper, "h1") == {}


@check
def a_restriction_moves_along_with_its_subject(rig: Rig) -> None:
    """The host it left is free of it, the host it came to carries it."""
    keeper = rig.keeper
    populate(keeper)
    made = impose(keeper)
    web, mail = keeper.subject(WEB), keeper.subject(MAIL)
    there = keeper.report_host(AGENT, report("h2", keeper.subject(FAR), replace(web, host="h2")))
    keeper.report_host(AGENT, report("h1", mail))
    assert made.id in {b.restriction for b in there.bindings}
    assert bound(keeper, "h2").keys() == {made.id}
    assert keeper.subject(WEB).host == "h2"


# --- programs and news ---------------------------------------------------------------------------


def _heard(keeper: Keeper) -> list[str]:
    told: list[str] = []
    keeper.listen(told.append)
    return told


@check
def a_program_has_a_new_revision_whenever_it_changes(rig: Rig) -> None:
    """And the host is told after the change can be seen, never before."""
    keeper = rig.keeper
    populate(keeper)
    seen: list[int] = []
    keeper.listen(lambda topic: seen.append(keeper.program("h1").revision) if topic == "host:h1" else None)
    revisions = [keeper.program("h1").revision]

    def changed(by: Callable[[], Any]) -> Any:
        seen.clear()
        answer = by()
        revisions.append(keeper.program("h1").revision)
        assert seen, "the host was not told"
        assert seen[-1] == revisions[-1], "the host was told before it could see"
        assert revisions[-1] > revisions[-2]
        return answer

    made = changed(lambda: impose(keeper))
    changed(lambda: keeper.extend(OPERATOR, made.id, 60, "why", None, ""))
    changed(lambda: keeper.lift(OPERATOR, made.id, "why", ""))
    changed(lambda: keeper.evidence(AGENT, (evidence(MAIL, "enforce-it"),)))
    changed(lambda: keeper.enforce(ADMIN, enabled=False, reason="why"))
    changed(lambda: keeper.report_collector(AGENT, CollectorReport("c1", 1.0, exact_ports=(25,))))
    impose(keeper, FAR)
    assert keeper.program("h1").revision == revisions[-1], "another host's restriction is no news"


@check
def listeners_hear_of_inventory_and_policies(rig: Rig) -> None:
    """Each by its topic."""
    keeper = rig.keeper
    told = _heard(keeper)
    populate(keeper)
    assert "inventory" in told
    told.clear()
    rig.stage(replace(POLICIES, policies=POLICIES.policies[:1], baselines=()))
    view = keeper.reload_policies(ADMIN)
    assert view.problems == ()
    assert [p.name for p in view.policies.policies] == ["watch-it"]
    assert keeper.policies() == view
    assert "policies" in told
    assert {"host:h1", "host:h2"} <= set(told), "baselines are part of every program"
    assert keeper.program("h1").baselines == ()


@check
def baselines_and_exact_ports_are_in_the_program(rig: Rig) -> None:
    """Those in scope, and what collectors ask for."""
    keeper = rig.keeper
    populate(keeper)
    assert [b.name for b in keeper.program("h1").baselines] == ["no-telnet"]
    keeper.report_collector(AGENT, CollectorReport("c1", 1.0, exact_ports=(25, 587)))
    assert {25, 587} <= set(keeper.program("h1").exact_ports)


# --- evidence ------------------------------------------------------------------------------------


@check
def evidence_leads_where_the_mode_says(rig: Rig) -> None:
    """Watch, propose, enforce, warn; an answer for each, in order."""
    keeper = rig.keeper
    populate(keeper)
    asked = tuple(evidence(WEB, p) for p in ("watch-it", "propose-it", "enforce-it", "warn-first"))
    verdicts = keeper.evidence(AGENT, asked)
    assert [v.policy for v in verdicts] == [e.policy for e in asked]
    assert [v.outcome for v in verdicts] == [
        Outcome.WATCHED,
        Outcome.PROPOSED,
        Outcome.IMPOSED,
        Outcome.WARNED,
    ]
    assert bound(keeper, "h1").keys() == {verdicts[2].restriction}
    made = keeper.restriction(verdicts[2].restriction)
    assert made.automatic
    assert (made.policy, made.offence, made.duration) == ("enforce-it", 1, HOUR)
    assert made.evidence == asked[2]


@check
def what_goes_on_extends_and_never_doubles(rig: Rig) -> None:
    """One entry per subject and policy."""
    keeper = rig.keeper
    populate(keeper)
    first = keeper.evidence(AGENT, (evidence(WEB, "enforce-it"),))[0]
    rig.advance(HOUR / 2)
    second = keeper.evidence(AGENT, (evidence(WEB, "enforce-it"),))[0]
    assert second.outcome is Outcome.EXTENDED
    assert second.restriction == first.restriction
    assert len(in_state(keeper, State.ACTIVE)) == 1
    assert bound(keeper, "h1")[first.restriction] > HOUR - 5
    third = keeper.evidence(AGENT, (evidence(WEB, "propose-it"), evidence(WEB, "propose-it")))
    assert len({v.restriction for v in third}) == 1
    assert len(in_state(keeper, State.PROPOSED)) == 1


@check
def who_comes_back_is_bound_longer(rig: Rig) -> None:
    """The second rung of the ladder."""
    keeper = rig.keeper
    populate(keeper)
    keeper.evidence(AGENT, (evidence(WEB, "enforce-it"),))
    rig.advance(HOUR + 1)
    assert bound(keeper, "h1") == {}
    again = keeper.evidence(AGENT, (evidence(WEB, "enforce-it"),))[0]
    assert again.outcome is Outcome.IMPOSED
    made = keeper.restriction(again.restriction)
    assert (made.offence, made.duration) == (2, 2 * HOUR)


@check
def an_owner_may_end_early_what_a_policy_lets_it_and_then_ever_more_seldom(rig: Rig) -> None:
    """Free at once, no grace: who goes on is bound again, for longer, and cannot do it again that day."""
    keeper = rig.keeper
    populate(keeper)
    owner = Principal("keystone:mia", Role.MEMBER, project="acme", may_release=True)
    looker = replace(owner, may_release=False)
    other = replace(owner, project="umbrella")

    def seen(restriction: str) -> Release:
        (found,) = (r for r in keeper.own("acme").releases if r.restriction == restriction)
        return found

    def again() -> str:
        verdict = keeper.evidence(AGENT, (evidence(WEB, "owner-may"),))[0]
        assert verdict.outcome is Outcome.IMPOSED, verdict.reason
        return verdict.restriction

    first = again()
    assert seen(first).may
    raises(NotFound, lambda: keeper.release(other, first, "let me", ""))
    raises(Forbidden, lambda: keeper.release(looker, first, "let me", ""))
    assert bound(keeper, "h1")
    ended = keeper.release(owner, first, "I cleaned it.", "")
    assert (ended.state, bound(keeper, "h1")) == (State.EXPIRED, {})
    assert [e.verb for e in keeper.journal(first, "", 1, "").items] == ["release"]
    raises(Conflict, lambda: keeper.release(owner, first, "again", ""))

    second = again()
    assert keeper.restriction(second).offence == 2
    refused = seen(second)
    assert not refused.may
    assert 23 * HOUR < refused.at - keeper.moment() <= 24 * HOUR
    raises(Forbidden, lambda: keeper.release(owner, second, "please", ""))
    rig.advance(24 * HOUR + 1)
    populate(keeper)  # hosts go on reporting meanwhile
    third = again()
    assert keeper.release(owner, third, "I cleaned it again.", "").state is State.EXPIRED
    fourth = again()
    assert 47 * HOUR < seen(fourth).at - keeper.moment() <= 48 * HOUR


@check
def what_a_person_decided_no_owner_ends(rig: Rig) -> None:
    """Nor what a policy imposed that does not let it."""
    keeper = rig.keeper
    populate(keeper)
    owner = Principal("keystone:mia", Role.MEMBER, project="acme", may_release=True)
    by_hand = impose(keeper).id
    strict = keeper.evidence(AGENT, (evidence(FAR, "enforce-it"),))[0].restriction
    raises(Forbidden, lambda: keeper.release(owner, by_hand, "please", ""))
    raises(Forbidden, lambda: keeper.release(owner, strict, "please", ""))
    view = keeper.own("acme")
    assert {s.id for s in view.subjects} == {WEB, FAR}
    assert {r.restriction: r.may for r in view.releases} == {by_hand: False, strict: False}
    assert keeper.own("umbrella").restrictions == ()


@check
def evidence_about_nobody_is_refused_one_by_one(rig: Rig) -> None:
    """And does not spoil the rest."""
    populate(rig.keeper)
    asked = (
        evidence("nobody", "enforce-it"),
        evidence(WEB, "no-such-policy"),
        evidence(WEB, "others-only"),
        evidence(WEB, "enforce-it"),
    )
    outcomes = [v.outcome for v in rig.keeper.evidence(AGENT, asked)]
    assert outcomes == [Outcome.REFUSED] * 3 + [Outcome.IMPOSED]
    assert rig.keeper.evidence(AGENT, ()) == ()


@check
def a_proposal_binds_when_approved_and_never_when_rejected(rig: Rig) -> None:
    """From the approval on, for its whole duration."""
    keeper = rig.keeper
    populate(keeper)
    asked = (evidence(WEB, "propose-it"), evidence(MAIL, "propose-it"))
    yes, no = (v.restriction for v in keeper.evidence(AGENT, asked))
    assert bound(keeper, "h1") == {}
    assert keeper.restriction(yes).until == 0
    rig.advance(HOUR)
    approved = keeper.approve(OPERATOR, yes, "True.", "")
    assert approved.state is State.ACTIVE
    assert HOUR - 5 < bound(keeper, "h1")[yes] <= HOUR
    assert keeper.reject(OPERATOR, no, "No.", "").state is State.REJECTED
    assert bound(keeper, "h1").keys() == {yes}
    raises(Conflict, lambda: keeper.approve(OPERATOR, no, "After all.", ""))


@check
def exempt_subjects_are_not_bound_while_it_lasts(rig: Rig) -> None:
    """By the policies it names, until it ends or is revoked."""
    keeper = rig.keeper
    populate(keeper)
    made = keeper.exempt(OPERATOR, Scope(subjects=(WEB,)), "A mailing list.", 600, ("enforce-it",), "")
    assert made in keeper.exemptions()
    assert made.until == made.created + 600
    outcomes = [
        v.outcome for v in keeper.evidence(AGENT, (evidence(WEB, "enforce-it"), evidence(MAIL, "enforce-it")))
    ]
    assert outcomes == [Outcome.REFUSED, Outcome.IMPOSED]
    assert made in keeper.explain(WEB).exemptions
    rig.advance(601)
    assert keeper.exemptions() == ()
    assert keeper.evidence(AGENT, (evidence(WEB, "enforce-it"),))[0].outcome is Outcome.IMPOSED
    other = keeper.exempt(OPERATOR, Scope(projects=("acme",)), "why", 0.0, (), "")
    assert keeper.evidence(AGENT, (evidence(FAR, "enforce-it"),))[0].outcome is Outcome.REFUSED
    keeper.revoke_exemption(OPERATOR, other.id, "Enough.")
    assert keeper.evidence(AGENT, (evidence(FAR, "enforce-it"),))[0].outcome is Outcome.IMPOSED


@check
def the_kill_switch_lifts_what_is_automatic_and_keeps_what_people_imposed(rig: Rig) -> None:
    """Nothing automatic is imposed while it is off."""
    keeper = rig.keeper
    populate(keeper)
    assert keeper.enforcement().enabled
    automatic = keeper.evidence(AGENT, (evidence(WEB, "enforce-it"),))[0].restriction
    by_hand = impose(keeper, MAIL)
    off = keeper.enforce(ADMIN, enabled=False, reason="Something is wrong.")
    assert (off.enabled, off.author, off.reason) == (False, "ada", "Something is wrong.")
    assert keeper.enforcement() == off
    assert bound(keeper, "h1").keys() == {by_hand.id}
    assert keeper.restriction(automatic).state is State.LIFTED
    verdict = keeper.evidence(AGENT, (evidence(FAR, "enforce-it"),))[0]
    assert verdict.outcome is Outcome.WATCHED
    assert bound(keeper, "h2") == {}
    assert not keeper.status().enforcing
    keeper.enforce(ADMIN, enabled=True, reason="Mended.")
    assert keeper.evidence(AGENT, (evidence(FAR, "enforce-it"),))[0].outcome is Outcome.IMPOSED


# --- what hosts and collectors tell --------------------------------------------------------------


@check
def receipts_say_since_when_and_how_much(rig: Rig) -> None:
    """And what revision a host carries."""
    keeper = rig.keeper
    populate(keeper)
    made = impose(keeper)
    revision, now = keeper.program("h1").revision, made.created
    receipt = Receipt(made.id, WEB, "h1", in_force=True, time=now + 1, dropped_packets=7, dropped_bytes=420)
    keeper.receipts(AGENT, "h1", revision, (receipt,), "")
    keeper.receipts(AGENT, "h1", revision, (replace(receipt, time=now + 9, dropped_packets=12),), "")
    entry = keeper.restriction(made.id)
    assert entry.in_force > 0
    assert (entry.dropped_packets, entry.dropped_bytes) == (12, 420)
    host = next(h for h in keeper.status().hosts if h.name == "h1")
    assert host.applied == revision
    assert host.revision == keeper.program("h1").revision
    keeper.receipts(AGENT, "h1", revision, (), "The switch is away.")
    host = next(h for h in keeper.status().hosts if h.name == "h1")
    assert host.problem == "The switch is away."
    raises(NotFound, lambda: keeper.receipts(AGENT, "h9", 1, (), ""))


@check
def a_receipt_about_nothing_is_no_error(rig: Rig) -> None:
    """A host may speak of what the keeper has forgotten."""
    populate(rig.keeper)
    stray = Receipt("r424242", WEB, "h1", in_force=True, time=1.0)
    rig.keeper.receipts(AGENT, "h1", 1, (stray,), "")


@check
def collectors_tell_the_talkers(rig: Rig) -> None:
    """Sorted by what is asked for."""
    keeper = rig.keeper
    populate(keeper)
    talkers = (Talker(WEB, egress_bps=5.0, smtp_per_minute=1.0), Talker(MAIL, egress_bps=2.0, egress_pps=9.0))
    keeper.report_collector(AGENT, CollectorReport("c1", 1.0, talkers=talkers))
    assert [t.subject for t in keeper.top("egress_bps", 10)] == [WEB, MAIL]
    assert [t.subject for t in keeper.top("egress_pps", 1)] == [MAIL]
    assert [c.name for c in keeper.status().collectors] == ["c1"]
    assert keeper.explain(WEB).talker == talkers[0]


# --- the whole -----------------------------------------------------------------------------------


@check
def an_explanation_tells_all_about_a_subject(rig: Rig) -> None:
    """What binds it first; what others did is not in it."""
    keeper = rig.keeper
    populate(keeper)
    old = impose(keeper)
    keeper.lift(OPERATOR, old.id, "why", "")
    now = impose(keeper)
    impose(keeper, MAIL)
    told = keeper.explain(WEB)
    assert told.subject == keeper.subject(WEB)
    assert [r.id for r in told.restrictions] == [now.id, old.id]
    assert [b.name for b in told.baselines] == ["no-telnet"]
    assert {e.subject for e in told.journal} == {WEB}
    assert told.journal[0].restriction == now.id


@check
def the_status_counts(rig: Rig) -> None:
    """What there is and what is in force; readiness and metrics agree."""
    keeper = rig.keeper
    assert keeper.ready() == ()
    populate(keeper)
    impose(keeper)
    keeper.evidence(AGENT, (evidence(MAIL, "propose-it"),))
    status = keeper.status()
    assert (status.subjects, status.active, status.proposed) == (3, 1, 1)
    assert (status.policies, status.baselines) == (len(POLICIES.policies), 1)
    assert {h.name: h.subjects for h in status.hosts} == {"h1": 2, "h2": 1}
    assert status.enforcing
    assert status.version
    for metric, value in keeper.metrics().items():
        assert metric.startswith("sekisho_"), metric
        assert isinstance(value, float), metric


@check
def a_policy_file_is_checked_without_being_taken_over(rig: Rig) -> None:
    """Every problem is a sentence."""
    before = rig.keeper.policies()
    problems = rig.keeper.check_policies("[[policy]\nname = ")
    assert problems
    assert all(problems)
    unknown = '[policy.p]\nwhen = [{detector = "no-such-detector", threshold = "60/min"}]\n'
    assert any("no-such-detector" in p for p in rig.keeper.check_policies(unknown))
    assert rig.keeper.check_policies("") == ()
    assert rig.keeper.policies() == before


@check
def a_policys_mode_is_turned_and_turned_back(rig: Rig) -> None:
    """What is foreseen is what evidence then leads to; who looked at other policies is told."""
    keeper = rig.keeper
    populate(keeper)
    before, told = keeper.policies(), _heard(keeper)
    assert before.overrides == ()
    for mode, outcome in ((Mode.WATCH, Outcome.WATCHED), (Mode.ENFORCE, Outcome.IMPOSED)):
        seen = keeper.foresee("watch-it", mode, (WEB, "nobody"))
        assert [v.outcome for v in seen] == [outcome, Outcome.REFUSED], mode
    assert not keeper.restrictions("", "", (), 10, "").items
    assert keeper.policies() == before
    view = keeper.set_mode(OPERATOR, "watch-it", Mode.ENFORCE, "It is time.", before.policies.version)
    assert keeper.policies() == view
    assert view.policies.version > before.policies.version
    assert next(p for p in view.policies.policies if p.name == "watch-it").mode is Mode.ENFORCE
    (turned,) = view.overrides
    assert (turned.policy, turned.mode, turned.written) == ("watch-it", Mode.ENFORCE, Mode.WATCH)
    assert (turned.author, turned.reason) == (OPERATOR.name, "It is time.")
    assert "policies" in told
    last = keeper.journal("", "", 1, "").items[0]
    assert (last.verb, last.author, last.reason) == ("mode", OPERATOR.name, "It is time.")
    (verdict,) = keeper.evidence(AGENT, (evidence(WEB, "watch-it"),))
    assert verdict.outcome is Outcome.IMPOSED
    late = before.policies.version
    raises(Conflict, lambda: keeper.set_mode(OPERATOR, "watch-it", Mode.PROPOSE, "Late.", late))
    back = keeper.set_mode(OPERATOR, "watch-it", None, "Not yet.", None)
    assert back.policies.policies == before.policies.policies
    assert back.overrides == ()
    assert in_state(keeper, State.ACTIVE), "who is bound stays bound"
    raises(NotFound, lambda: keeper.set_mode(OPERATOR, "no-such", Mode.WATCH, "x", None))
    raises(NotFound, lambda: keeper.foresee("no-such", Mode.WATCH, ()))


@check
def restrictions_are_found_by_subject_policy_and_state(rig: Rig) -> None:
    """Alone and together."""
    keeper = rig.keeper
    populate(keeper)
    by_hand = impose(keeper)
    lifted = keeper.lift(OPERATOR, impose(keeper, MAIL).id, "why", "")
    automatic = keeper.evidence(AGENT, (evidence(MAIL, "enforce-it"),))[0].restriction

    def ids(subject: str = "", policy: str = "", *states: State) -> set[str]:
        return {r.id for r in keeper.restrictions(subject, policy, states, 100, "").items}

    assert ids() == {by_hand.id, lifted.id, automatic}
    assert ids(MAIL) == {lifted.id, automatic}
    assert ids("", "enforce-it") == {automatic}
    assert ids("", "", State.ACTIVE) == {by_hand.id, automatic}
    assert ids("", "", State.ACTIVE, State.LIFTED) == {by_hand.id, lifted.id, automatic}
    assert ids(MAIL, "", State.LIFTED) == {lifted.id}
