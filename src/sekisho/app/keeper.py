"""The keeper: answers the API from ledger, fleet and policies, and lets restrictions end on time."""

from __future__ import annotations

import json
import logging
import threading
from collections.abc import Callable
from dataclasses import asdict, replace
from typing import TYPE_CHECKING, Protocol

import sekisho
from sekisho.app import rules
from sekisho.app.baselines import Birthdays, resolve
from sekisho.app.fleet import Fleet
from sekisho.app.rules import Rules, Source
from sekisho.app.verdicts import Verdicts
from sekisho.detect import guard
from sekisho.model.access import FOREIGN, Issuer
from sekisho.model.errors import Forbidden, Malformed, NotFound, Unauthenticated, Unavailable
from sekisho.model.plain import from_plain, to_plain
from sekisho.model.policy import PolicySet, Scope
from sekisho.model.report import (
    CollectorReport,
    Enforcement,
    Explanation,
    HostProgram,
    Page,
    PolicyView,
    PortCounter,
    Status,
    Talker,
    Verdict,
)
from sekisho.model.restriction import Binding, Evidence, JournalEntry, Receipt, Restriction, State

if TYPE_CHECKING:
    from sekisho.app.identity import Identity
    from sekisho.app.settings import KeeperSettings
    from sekisho.host.clock import Clock
    from sekisho.host.tasks import Troubles
    from sekisho.ledger.ledger import Ledger
    from sekisho.model.access import Principal, Role, Token
    from sekisho.model.cloud import Cloud, CloudPort
    from sekisho.model.inventory import HostReport, Inventory, Subject
    from sekisho.model.policy import Action, Baseline, Exemption

log = logging.getLogger("sekisho.keeper")

# A host or collector not heard of for so long is named in `status`.
SILENT = 60.0
# Turned-away requests of one kind are journaled once in so many seconds, those beyond so many kinds together.
DENIED_EVERY = 60.0
DENIED_KINDS = 100
_POLICIES = "policies"  # under which the ledger remembers those in force
NO_KEYSTONE = "Keystone's tokens are not taken here; send 'Authorization: Bearer TOKEN'."
LARGEST_COUNT = 1 << 63  # what is told beyond it is no number of anything
_ESCAPES = {ord("\\"): r"\\", ord('"'): r"\"", ord("\n"): r"\n"}


class CounterSink(Protocol):
    """Takes what hosts tell of their ports' counters; thread-safe."""

    def take(self, host: str, counters: tuple[PortCounter, ...], now: float) -> None:
        """Take one host's counters."""
        ...


class Keeper:
    """Implements `api.keeper.Keeper`; thread-safe."""

    def __init__(
        self,
        settings: KeeperSettings,
        ledger: Ledger,
        clock: Clock,
        source: Source,
        identity: Identity | None = None,
    ) -> None:
        self._settings = settings
        self._identity = identity
        self._ledger = ledger
        self._clock = clock
        self._listeners: list[Callable[[str], None]] = []
        self._fleet = Fleet(clock.now(), self._notify)
        self._rules = Rules(source, clock.now(), _policies_before(ledger))
        self._remember_policies()
        self._verdicts = Verdicts(settings, ledger, self._fleet)
        self._birthdays = Birthdays()
        # What each host was last told, and when: whatever changes it raises the host's revision.
        self._programs: dict[str, tuple[HostProgram, float]] = {}
        self._listed: tuple[float, int] | None = None  # when the cloud was last listed, and how many ports
        self._denied: dict[tuple[str, str], int] = {}
        self._denied_since = 0.0
        self._denied_lock = threading.Lock()
        self.totals: dict[str, float] = {}
        self.troubles: Troubles | None = None
        self.notices: list[Callable[[], tuple[str, ...]]] = []
        self.counters: CounterSink | None = None

    # --- time ----------------------------------------------------------------------------------

    def tick(self) -> None:
        """Let end what has ended; to be called a few times a second."""
        step = self._clock.stepped()
        if step:
            log.warning("the clock was stepped by %+.1f s: every end moves with it", step)
            mark = json.dumps(asdict(self._clock.follow(step)))
            self._ledger.shift(step, "keeper", self._clock.now(), remember={"clock": mark})
            self._clock.anchor(step)
            self._fleet.shift(step)
        expired = self._ledger.expire(self._clock.now())
        if expired:
            self._fleet.touch({r.subject for r in expired}, {r.host for r in expired})
        self._fleet.touch((), self._birthdays.due(self._clock.now()))
        self._ledger.reject_before(self._clock.now() - self._settings.proposal_life, self._clock.now())
        for gone in self._fleet.forget_hosts(self._clock.now() - self._settings.forget_host):
            log.warning("host %s has not reported for %.0f s: forgotten", gone, self._settings.forget_host)
            self._programs.pop(gone, None)
        for gone in self._fleet.forget_collectors(self._clock.now() - self._settings.forget_host):
            log.warning(
                "collector %s has not reported for %.0f s: forgotten", gone, self._settings.forget_host
            )

    # --- who asks ------------------------------------------------------------------------------

    def authenticate(self, secret: str, issuer: Issuer) -> Principal:
        match issuer:
            case Issuer.SEKISHO:
                return self._ledger.authenticate(secret, self._clock.now())
            case Issuer.KEYSTONE:
                if self._identity is None:
                    raise Unauthenticated(NO_KEYSTONE)
                return self._identity.principal(secret)

    def recognised(self, secret: str, issuer: Issuer) -> Principal | None:
        match issuer:
            case Issuer.SEKISHO:
                return self._ledger.recognised(secret, self._clock.now())
            case Issuer.KEYSTONE:
                return self._identity.recognised(secret) if self._identity is not None else None

    def knows(self, secret: str, issuer: Issuer) -> bool:
        return issuer is Issuer.SEKISHO or self._identity is None or self._identity.knows(secret)

    def moment(self) -> float:
        return self._clock.now()

    def denied(self, name: str, what: str, why: str) -> None:
        now, key = self._clock.now(), (name, why)
        self._count("denied_total")
        with self._denied_lock:
            if not 0 <= now - self._denied_since < DENIED_EVERY:
                self._denied_since, self._denied = now, {}
            times = self._denied.get(key)
            if times is None and len(self._denied) >= DENIED_KINDS:
                key, times = ("others", why), self._denied.get(("others", why))
            self._denied[key] = (times or 0) + 1
        if times is None:
            self._ledger.write_journal(now, key[0], "deny", reason=why, detail=json.dumps({"request": what}))

    def listen(self, callback: Callable[[str], None]) -> None:
        self._listeners.append(callback)

    def _notify(self, topic: str) -> None:
        for callback in self._listeners:
            callback(topic)

    def _count(self, name: str, n: float = 1.0) -> None:
        self.totals[name] = self.totals.get(name, 0.0) + n

    # --- subjects ------------------------------------------------------------------------------

    def subjects(
        self, host: str, project: str, text: str, limit: int, marker: str, flavor: str = "", plan: str = ""
    ) -> Page[Subject]:
        known = (s for s in self._fleet.subjects() if s.id > marker and _sold(s, flavor, plan))
        found = [s for s in known if _fits(s, host, project, text)]
        page = tuple(found[:limit])
        return Page(page, page[-1].id if len(found) > limit else "")

    def subject(self, subject: str, project: str = "") -> Subject:
        return self._fleet.subject(subject, project)

    def inventory(self) -> Inventory:
        return self._fleet.inventory

    def top(self, by: str, limit: int) -> tuple[Talker, ...]:
        talkers = self._talkers().values()
        return tuple(sorted(talkers, key=lambda t: -float(getattr(t, by)))[:limit])

    def explain(self, subject: str, project: str = "") -> Explanation:
        found = self._fleet.subject(subject, project)
        now = self._clock.now()
        restrictions = self._ledger.restrictions(subject, "", (), 50, "", project).items
        order = {State.ACTIVE: 0, State.PROPOSED: 1}
        return Explanation(
            found,
            tuple(sorted(restrictions, key=lambda r: (order.get(r.state, 2), -r.created))),
            tuple(b for b in self._rules.policies.baselines if b.scope.matches(found, now)),
            tuple(e for e in self._ledger.exemptions(now) if e.scope.matches(found, now)),
            self._ledger.journal("", subject, 50, "").items,
            self._talkers().get(subject),
        )

    def _talkers(self) -> dict[str, Talker]:
        """Join what the collectors report of each subject; with several, the largest."""
        found: dict[str, Talker] = {}
        for report in self._fleet.collectors:
            for talker in report.talkers:
                other = found.get(talker.subject)
                if (
                    other is None
                    or talker.egress_bps + talker.ingress_bps > other.egress_bps + other.ingress_bps
                ):
                    found[talker.subject] = talker
        return found

    # --- restrictions --------------------------------------------------------------------------

    def restrictions(
        self,
        subject: str,
        policy: str,
        states: tuple[State, ...],
        limit: int,
        marker: str,
        project: str = "",
        since: int = 0,
        before: str = "",
    ) -> Page[Restriction]:
        return self._ledger.restrictions(subject, policy, states, limit, marker, project, since, before)

    def restriction(self, restriction: str, project: str = "") -> Restriction:
        found = self._ledger.restriction(restriction)
        if project not in ("", found.project):
            raise NotFound(f"There is no restriction {restriction!r}.")
        return found

    def impose(
        self,
        who: Principal,
        subject: str,
        actions: tuple[Action, ...],
        reason: str,
        duration: float,
        key: str,
    ) -> Restriction:
        found = self._fleet.subject(subject)
        never = guard.infrastructure(self._settings.guard, found)
        if never:
            raise Forbidden(f"{never} The guard lets nobody bind it.")
        return self._changed(
            self._ledger.impose(
                subject,
                actions,
                reason,
                who.name,
                duration,
                self._clock.now(),
                project=found.project,
                host=found.host,
                key=key,
            )
        )

    def extend(
        self, who: Principal, restriction: str, duration: float, reason: str, revision: int | None, key: str
    ) -> Restriction:
        now = self._clock.now()
        return self._changed(
            self._ledger.extend(restriction, duration, who.name, reason, now, revision=revision, key=key)
        )

    def lift(self, who: Principal, restriction: str, reason: str, key: str) -> Restriction:
        return self._changed(self._ledger.lift(restriction, who.name, reason, self._clock.now(), key=key))

    def approve(self, who: Principal, restriction: str, reason: str, key: str) -> Restriction:
        return self._changed(self._ledger.approve(restriction, who.name, reason, self._clock.now(), key=key))

    def reject(self, who: Principal, restriction: str, reason: str, key: str) -> Restriction:
        return self._changed(self._ledger.reject(restriction, who.name, reason, self._clock.now(), key=key))

    def journal(self, restriction: str, subject: str, limit: int, marker: str) -> Page[JournalEntry]:
        return self._ledger.journal(restriction, subject, limit, marker)

    def _changed(self, restriction: Restriction) -> Restriction:
        self._fleet.touch((restriction.subject,), (restriction.host,))
        return restriction

    # --- policies ------------------------------------------------------------------------------

    def policies(self) -> PolicyView:
        return self._rules.view()

    def check_policies(self, text: str) -> tuple[str, ...]:
        return rules.check(text)

    def reload_policies(self, who: Principal) -> PolicyView:
        now = self._clock.now()
        changed = self._rules.reload(now)
        self._remember_policies()
        view = self._rules.view()
        detail = json.dumps({"version": view.policies.version, "problems": view.problems})
        self._ledger.write_journal(now, who.name, "reload-policies", detail=detail)
        if changed:
            self._notify("policies")
            self._fleet.touch_all()
        return view

    def _remember_policies(self) -> None:
        """Keep what is in force: a file broken since then must not free everybody at the next start."""
        kept = json.dumps(to_plain(replace(self._rules.policies, version=0)))
        try:
            if self._ledger.recall(_POLICIES) != kept:
                self._ledger.remember(_POLICIES, kept)
        except Unavailable as error:
            log.warning("the policies in force could not be kept for the next start: %s", error.fixer)

    # --- exemptions, enforcement ---------------------------------------------------------------

    def exemptions(self) -> tuple[Exemption, ...]:
        return self._ledger.exemptions(self._clock.now())

    def exempt(
        self, who: Principal, scope: Scope, reason: str, duration: float, policies: tuple[str, ...], key: str
    ) -> Exemption:
        if scope == Scope():
            raise Malformed(
                "scope: names nobody, which would exempt everybody; to bind nobody, turn enforcement off."
            )
        now = self._clock.now()
        until = now + duration if duration else 0.0
        return self._ledger.exempt(scope, reason, who.name, now, until=until, policies=policies, key=key)

    def revoke_exemption(self, who: Principal, exemption: str, reason: str) -> None:
        self._ledger.revoke_exemption(exemption, who.name, reason, self._clock.now())

    def enforcement(self) -> Enforcement:
        return self._ledger.enforcement()

    def enforce(self, who: Principal, *, enabled: bool, reason: str) -> Enforcement:
        now = self._clock.now()
        lifted = self._ledger.set_enforcement(enabled=enabled, author=who.name, reason=reason, now=now)
        self._fleet.touch({r.subject for r in lifted}, {r.host for r in lifted})
        return self._ledger.enforcement()

    # --- tokens --------------------------------------------------------------------------------

    def tokens(self) -> tuple[Token, ...]:
        return self._ledger.tokens()

    def create_token(
        self, who: Principal, name: str, role: Role, host: str, duration: float
    ) -> tuple[Token, str]:
        if name.startswith(FOREIGN):
            raise Malformed(f"name: {FOREIGN!r} begins the names of Keystone's users only.")
        now = self._clock.now()
        until = now + duration if duration else 0.0
        return self._ledger.create_token(name, role, who.name, now, host=host, until=until)

    def revoke_token(self, who: Principal, token: str) -> None:
        self._ledger.revoke_token(token, who.name, self._clock.now())

    # --- hosts and collectors ------------------------------------------------------------------

    def report_host(self, who: Principal, report: HostReport) -> HostProgram:
        name = report.host.name
        if self._fleet.report_host(report, self._clock.now()):
            log.info("%s reports host %s with %d subjects", who.name, name, len(report.subjects))
        return self.program(name)

    def revision(self, host: str) -> int:
        return self._fleet.revision(host)

    def program(self, host: str) -> HostProgram:
        # The revision is read first: what changes meanwhile makes the host ask again, never miss it.
        revision, now = self._fleet.revision(host), self._clock.now()
        made, when = self._programs.get(host, (None, now))
        if made is None or made.revision != revision:
            made, when = self._program(host, revision, now), now
            self._programs[host] = made, when
        left = (replace(b, remaining=b.remaining - (now - when)) for b in made.bindings)
        return replace(made, bindings=tuple(b for b in left if b.remaining > 0))

    def _program(self, host: str, revision: int, now: float) -> HostProgram:
        carried = self._fleet.carries(host)
        bindings = tuple(
            Binding(r.id, r.subject, r.actions, r.until - now)
            for r in self._ledger.binding(host, carried)
            if r.actions and r.until > now
        )
        return HostProgram(
            host, revision, bindings, self._baselines(host, now), self.exact_ports, self._fleet.templates
        )

    def _baselines(self, host: str, now: float) -> tuple[Baseline, ...]:
        """Give the baselines for a host, whose infrastructure no scope reaches."""
        here = self._fleet.here(host)
        never = tuple(s.id for _, s in here if guard.infrastructure(self._settings.guard, s))
        resolved = resolve(self._rules.policies.baselines, here, never, now)
        self._birthdays.note(host, resolved.until)
        return resolved.baselines

    def report_port(self, who: Principal, port: CloudPort) -> None:
        del who  # thousands a day: the ports are no decision of anybody's here
        self._fleet.report_port(port)

    def forget_port(self, who: Principal, port: str) -> None:
        del who
        self._fleet.forget_port(port)

    def take_cloud(self, cloud: Cloud) -> int:
        """Take a full list of what the cloud says; how many ports changed."""
        now = self._clock.now()
        seen = self._ledger.see_projects({p.id for p in cloud.projects}, now)
        aged = tuple(p if p.created else replace(p, created=seen[p.id]) for p in cloud.projects)
        changed = self._fleet.take_cloud(replace(cloud, projects=aged))
        self._listed = now, len(cloud.ports)
        return changed

    def begin_list(self) -> None:
        """Say that a full list of the cloud is being read: what is pushed meanwhile is newer."""
        self._fleet.begin_list()

    @property
    def exact_ports(self) -> tuple[int, ...]:
        """The TCP ports whose new connections every host tells exactly."""
        # One that is none would make every switch refuse its whole program.
        return tuple(
            sorted(p for p in {*self._settings.exact_ports, *self._fleet.exact_ports} if 0 < p < 1 << 16)
        )

    def receipts(
        self, who: Principal, host: str, applied: int, receipts: tuple[Receipt, ...], problem: str
    ) -> None:
        now = self._clock.now()
        self._fleet.applied(host, applied, problem, now)
        if problem:
            log.warning("%s: host %s says: %s", who.name, host, problem)
        if receipts and who.host:
            receipts = self._of_host(who, host, receipts)
        if receipts:
            self._ledger.receipts(host, receipts, now)

    def report_counters(self, who: Principal, host: str, counters: tuple[PortCounter, ...]) -> None:
        log.debug("%s tells %d counters of host %s", who.name, len(counters), host)
        if self.counters is not None:
            self.counters.take(host, counters, self._clock.now())

    def _of_host(self, who: Principal, host: str, receipts: tuple[Receipt, ...]) -> tuple[Receipt, ...]:
        """Leave out what a host never carried: whoever has its token speaks for its own subjects only."""
        own = self._ledger.receipts_of(host, receipts, self._fleet.carries(host))
        if len(own) < len(receipts):
            self.denied(who.name, "POST /v1/hosts/{host}/receipts", "Receipts for subjects of other hosts.")
        return own

    def report_collector(self, who: Principal, report: CollectorReport) -> None:
        if self._fleet.report_collector(report, self._clock.now()):
            log.info("%s wants ports %s told exactly", who.name, report.exact_ports)
            self._fleet.touch_all()

    def evidence(self, who: Principal, evidence: tuple[Evidence, ...]) -> tuple[Verdict, ...]:
        now = self._clock.now()
        verdicts = self._verdicts.decide(who, evidence, self._rules.policies, now)
        for verdict in verdicts:
            self._count(f'evidence_total{{outcome="{verdict.outcome}"}}')
        return verdicts

    # --- how it goes ---------------------------------------------------------------------------

    def ready(self) -> tuple[str, ...]:
        try:
            self._ledger.enforcement()
        except Unavailable as error:
            return (f"ledger: {error.fixer}",)
        return ()

    def status(self) -> Status:
        now, policies, counts = self._clock.now(), self._rules.policies, self._ledger.counts()
        return Status(
            version=sekisho.__version__,
            now=now,
            revision=self._ledger.revision(),
            enforcing=self._ledger.enforcement().enabled,
            subjects=self._fleet.count,
            active=counts.get(State.ACTIVE, 0),
            proposed=counts.get(State.PROPOSED, 0),
            policies=len(policies.policies),
            baselines=len(policies.baselines),
            hosts=self._fleet.host_status(),
            collectors=self._fleet.collectors,
            degraded=self._degraded(now),
        )

    def _degraded(self, now: float) -> tuple[str, ...]:
        """Name what needs a person, a sentence each."""
        found = [f"policies: {p}" for p in self._rules.view().problems]
        heard = [(f"host {h.name}", h.last_seen) for h in self._fleet.host_status()]
        heard += [(f"collector {c.name}", c.time) for c in self._fleet.collectors]
        found += [f"{who}: not heard of for {now - when:.0f} s" for who, when in heard if now - when > SILENT]
        found += [f"host {h.name}: {h.problem}" for h in self._fleet.host_status() if h.problem]
        if not self._ledger.enforcement().enabled:
            found.append("enforcement is off: nothing automatic is imposed")
        if self._identity is not None and self._identity.trouble():
            found.append(f"keystone: {self._identity.trouble()}")
        if self.troubles is not None:
            found += [f"keeper: {name} fails" for name in self.troubles.present()]
        found += [sentence for notice in self.notices for sentence in notice()]
        return (*found, *self._verdicts.notices(now))

    def metrics(self) -> dict[str, float]:
        counts = self._ledger.counts()
        found = {_metric("restrictions", state=s): float(counts.get(s, 0)) for s in State}
        found |= {
            "sekisho_ledger_revision": float(self._ledger.revision()),
            "sekisho_enforcing": float(self._ledger.enforcement().enabled),
            "sekisho_subjects": float(self._fleet.count),
            "sekisho_degraded": float(len(self._degraded(self._clock.now()))),
        }
        found |= {f"sekisho_{name}": n for name, n in self.totals.items()}
        if self._listed is not None:
            found["sekisho_cloud_listed_seconds"], found["sekisho_cloud_ports"] = self._listed
        if self._identity is not None:
            found |= {
                _metric("keystone_answers_total", outcome=k): float(n)
                for k, n in self._identity.counts().items()
            }
            found["sekisho_keystone_remembered"] = float(self._identity.remembered())
        for host in self._fleet.host_status():
            found[_metric("host_last_seen_seconds", host=host.name)] = host.last_seen
            found[_metric("host_subjects", host=host.name)] = float(host.subjects)
        for c in self._fleet.collectors:
            found |= {_metric("collector_count", collector=c.name, name=k): v for k, v in c.counters.items()}
            for e in c.exporters:
                labels = {"exporter": e.address, "protocol": e.protocol, "domain": str(e.domain)}
                found |= {
                    _metric(f"exporter_{name}_total", collector=c.name, **labels): float(
                        min(getattr(e, name), LARGEST_COUNT)
                    )
                    for name in ("datagrams", "records", "lost", "late", "restarted")
                }
        return found


def _policies_before(ledger: Ledger) -> PolicySet | None:
    """Recall what an earlier keeper had in force."""
    try:
        kept = ledger.recall(_POLICIES)
        return from_plain(PolicySet, json.loads(kept)) if kept else None
    except (ValueError, Malformed):  # written by another version
        return None


def _metric(metric: str, **labels: str) -> str:
    """Name a metric with its labels as Prometheus wants them (exposition format, escaping)."""
    told = [f'{k}="{v.translate(_ESCAPES)}"' for k, v in labels.items()]
    return f"sekisho_{metric}{{{','.join(told)}}}"


def _sold(subject: Subject, flavor: str, plan: str) -> bool:
    return (not flavor or subject.flavor == flavor) and (not plan or plan in subject.qos)


def _fits(subject: Subject, host: str, project: str, text: str) -> bool:
    if (host and subject.host != host) or (project and subject.project != project):
        return False
    return not text or any(
        text.lower() in field.lower()
        for field in (
            subject.id,
            subject.server,
            subject.project,
            subject.mac,
            subject.network,
            subject.flavor,
            *subject.qos,
            *subject.tags,
            *subject.addresses,
        )
    )
