"""What each page shows: a question to the keeper in, a page's nouns out, which are also its JSON twin.

However many subjects and restrictions there are, a page asks for so many and no more.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

from sekisho.api.console import distribution, modes, traffic
from sekisho.model.errors import NotFound
from sekisho.model.policy import Mode
from sekisho.model.report import added
from sekisho.model.restriction import State

if TYPE_CHECKING:
    from collections.abc import Iterable

    from sekisho.api.console.distribution import Distribution
    from sekisho.api.console.traffic import Chart
    from sekisho.api.console.view import Ask
    from sekisho.model.inventory import Subject, Telemetry
    from sekisho.model.policy import Exemption, Policy
    from sekisho.model.report import (
        CollectorReport,
        Enforcement,
        Explanation,
        HostStatus,
        Override,
        PolicyView,
        Talker,
    )
    from sekisho.model.restriction import JournalEntry, Restriction

RATES: Final = ("egress_bps", "ingress_bps", "egress_pps", "ingress_pps", "smtp_per_minute")
# Rows of the tables on the first page, and of the lists.
TOP: Final = 15
FIRST: Final = 25
ROWS: Final = 100
# Seconds after which whoever has said nothing is silent.
SILENT: Final = 60.0
# Seconds of traffic to either side of a restriction.
AROUND: Final = 900.0


@dataclass(frozen=True, slots=True)
class Line:
    """A restriction and whom it binds, if the subject is still here."""

    restriction: Restriction
    subject: Subject | None


@dataclass(frozen=True, slots=True)
class TopLine:
    """One of the greatest talkers, who it is, and whether anything binds it."""

    talker: Talker
    subject: Subject | None
    bound: bool


@dataclass(frozen=True, slots=True)
class Now:
    """The first page: how it stands at this moment."""

    now: float
    revision: int
    enforcement: Enforcement
    subjects: int
    active: int
    proposed: int
    hosts: int
    collectors: int
    egress_bps: float
    ingress_bps: float
    by: str
    range: str
    degraded: tuple[str, ...]
    top: tuple[TopLine, ...]
    bound: tuple[Line, ...]
    proposals: tuple[Line, ...]


def now(ask: Ask) -> Now:
    """Look at everything once."""
    by = ask.query.choice("by", RATES, RATES[0])
    reach = ask.query.choice("range", traffic.RANGES, "15m")
    ask.query.done()
    keeper, status = ask.keeper, ask.keeper.status()
    talkers = keeper.top(by, ROWS * 10)
    return Now(
        ask.now,
        status.revision,
        keeper.enforcement(),
        status.subjects,
        status.active,
        status.proposed,
        len(status.hosts),
        len(status.collectors),
        sum(t.egress_bps for t in talkers),
        sum(t.ingress_bps for t in talkers),
        by,
        reach,
        status.degraded,
        tuple(_top(ask, talkers[:TOP])),
        _lines(ask, keeper.restrictions("", "", (State.ACTIVE,), FIRST, "").items),
        _lines(ask, keeper.restrictions("", "", (State.PROPOSED,), FIRST, "").items),
    )


def _top(ask: Ask, talkers: Iterable[Talker]) -> Iterable[TopLine]:
    for talker in talkers:
        bound = ask.keeper.restrictions(talker.subject, "", (State.ACTIVE,), 1, "").items
        yield TopLine(talker, _subject(ask, talker.subject), bool(bound))


@dataclass(frozen=True, slots=True)
class Subjects:
    """Subjects that were looked for."""

    text: str
    items: tuple[Subject, ...]
    next: str


def subjects(ask: Ask) -> Subjects:
    """Look for subjects by anything they are called."""
    text, marker = ask.query.text("text"), ask.query.text("marker")
    ask.query.done()
    found = ask.keeper.subjects("", "", text, ROWS, marker)
    return Subjects(text, found.items, found.next)


@dataclass(frozen=True, slots=True)
class OneSubject:
    """One subject: why it is treated as it is. `range`, or `since` and `until`, is what its chart shows."""

    now: float
    explanation: Explanation
    policies: tuple[str, ...]
    range: str
    since: float
    until: float


def subject(ask: Ask) -> OneSubject:
    """Explain one subject."""
    reach = ask.query.choice("range", traffic.RANGES, "1h")
    since, until = ask.query.number("since"), ask.query.number("until")
    ask.query.done()
    names = tuple(p.name for p in ask.keeper.policies().policies.policies)
    return OneSubject(ask.now, ask.keeper.explain(ask.param("subject")), names, reach, since, until)


def chart(ask: Ask) -> Chart:
    """Give a chart's numbers; without a subject the whole cloud's."""
    reach = ask.query.choice("range", traffic.RANGES, "1h")
    since, until = ask.query.number("since"), ask.query.number("until")
    name = ask.query.text("subject")
    ask.query.done()
    asked = traffic.window(reach, since, until, ask.now)
    return traffic.chart(ask.keeper, ask.traffic, name, asked, ask.now)


@dataclass(frozen=True, slots=True)
class Restrictions:
    """Restrictions that were looked for, newest first."""

    now: float
    states: tuple[State, ...]
    subject: str
    policy: str
    project: str
    policies: tuple[str, ...]
    items: tuple[Line, ...]
    next: str


def restrictions(ask: Ask) -> Restrictions:
    """List restrictions; those in force where nothing is said."""
    query = ask.query
    states = query.kind("state", State) or (State.ACTIVE,)
    named, policy, project = query.text("subject"), query.text("policy"), query.text("project")
    marker = query.text("marker")
    query.done()
    found = ask.keeper.restrictions(named, policy, states, ROWS, marker, project)
    names = tuple(p.name for p in ask.keeper.policies().policies.policies)
    return Restrictions(ask.now, states, named, policy, project, names, _lines(ask, found.items), found.next)


@dataclass(frozen=True, slots=True)
class OneRestriction:
    """One restriction, its journal, and the span its chart shows."""

    now: float
    restriction: Restriction
    subject: Subject | None
    journal: tuple[JournalEntry, ...]
    since: float
    until: float


def restriction(ask: Ask) -> OneRestriction:
    """Show one restriction."""
    ask.query.done()
    found = ask.keeper.restriction(ask.param("restriction"))
    journal = ask.keeper.journal(found.id, "", ROWS, "").items
    until = min(ask.now, (found.ended or found.until or ask.now) + AROUND)
    since = found.created - AROUND
    return OneRestriction(ask.now, found, _subject(ask, found.subject), journal, since, until)


@dataclass(frozen=True, slots=True)
class Policies:
    """Every policy and baseline in force, exemptions, and the kill switch."""

    now: float
    view: PolicyView
    exemptions: tuple[Exemption, ...]
    enforcement: Enforcement


def policies(ask: Ask) -> Policies:
    """List policies."""
    ask.query.done()
    keeper = ask.keeper
    return Policies(ask.now, keeper.policies(), keeper.exemptions(), keeper.enforcement())


@dataclass(frozen=True, slots=True)
class OnePolicy:
    """One policy against how everybody behaves at this moment, and what it decided last.

    `override` is how a person turned its mode, `modes` what that can be turned to from here.
    """

    now: float
    policy: Policy
    distributions: tuple[Distribution, ...]
    recent: tuple[Line, ...]
    override: Override | None
    modes: tuple[str, ...]
    archive: bool


def policy(ask: Ask) -> OnePolicy:
    """Show one policy."""
    ask.query.done()
    name, view = ask.param("policy"), ask.keeper.policies()
    found = view.policies.need(name)
    turned = view.override(name)
    others = tuple(m.value for m in Mode if m is not found.mode)
    status = ask.keeper.status()
    told = (h for c in status.collectors if ask.now - c.time <= SILENT for h in c.histograms)
    histograms = added(h for h in told if h.policy == name)
    talkers = ask.keeper.top(RATES[0], 100_000)
    return OnePolicy(
        ask.now,
        found,
        tuple(
            distribution.of(name, condition, histograms, talkers, status.subjects)
            for condition in found.conditions
        ),
        _lines(ask, ask.keeper.restrictions("", name, (), FIRST, "").items),
        turned,
        (modes.FILE, *(m for m in others if m != turned.written)) if turned else others,
        ask.flows is not None,
    )


@dataclass(frozen=True, slots=True)
class Exporters:
    """Who sends flow records to which collector, and how hosts fare; `sampling` by host.

    Of each collector's exporters and of the hosts those that need a look come first, and only so many are
    shown; `heard` is how many exporters each collector hears, `all_hosts` how many hosts there are.
    """

    now: float
    collectors: tuple[CollectorReport, ...]
    hosts: tuple[HostStatus, ...]
    sampling: dict[str, tuple[Telemetry, ...]]
    heard: dict[str, int]
    all_hosts: int


def exporters(ask: Ask) -> Exporters:
    """List exporters and hosts, the worst first."""
    ask.query.done()
    status, now = ask.keeper.status(), ask.now
    hosts = sorted(status.hosts, key=lambda h: (_state_of(h, now), h.name))[:ROWS]
    sampling = {h.name: h.telemetry for h in ask.keeper.inventory().hosts}
    return Exporters(
        now,
        tuple(_worst(c, now) for c in status.collectors),
        tuple(hosts),
        {h.name: sampling.get(h.name, ()) for h in hosts},
        {c.name: len(c.exporters) for c in status.collectors},
        len(status.hosts),
    )


def _state_of(host: HostStatus, now: float) -> tuple[bool, bool, bool]:
    return not host.problem, now - host.last_seen <= SILENT, host.applied >= host.revision


def _worst(report: CollectorReport, now: float) -> CollectorReport:
    """Cut a collector's report to what the page shows of it."""
    found = sorted(report.exporters, key=lambda e: (now - e.last_seen <= SILENT, -e.lost, e.address))
    return replace(report, exporters=tuple(found[:ROWS]), talkers=(), histograms=())


@dataclass(frozen=True, slots=True)
class Audit:
    """The journal, newest first."""

    restriction: str
    subject: str
    items: tuple[JournalEntry, ...]
    next: str


def audit(ask: Ask) -> Audit:
    """Read the journal."""
    query = ask.query
    named, of, marker = query.text("restriction"), query.text("subject"), query.text("marker")
    query.done()
    found = ask.keeper.journal(named, of, ROWS, marker)
    return Audit(named, of, found.items, found.next)


def _lines(ask: Ask, found: Iterable[Restriction]) -> tuple[Line, ...]:
    return tuple(Line(r, _subject(ask, r.subject)) for r in found)


def _subject(ask: Ask, name: str) -> Subject | None:
    try:
        return ask.keeper.subject(name)
    except NotFound:  # it is gone, and what was decided about it stays
        return None
