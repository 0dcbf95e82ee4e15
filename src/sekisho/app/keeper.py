"""The keeper: answers the API from ledger, fleet and policies, and lets restrictions end on time."""

from __future__ import annotations

import json
import logging
import threading
from collections.abc import Callable
from dataclasses import asdict, replace
from typing import TYPE_CHECKING, Protocol

import sekisho
from sekisho.app import figures, rules, subjects
from sekisho.app.deciding import Deciding
from sekisho.app.denials import Denials
from sekisho.app.fleet import Fleet
from sekisho.app.named import strangers
from sekisho.app.programs import Programs
from sekisho.app.receipts import Receipts
from sekisho.app.recent import Recent
from sekisho.app.rules import Rules, Source
from sekisho.app.verdicts import Verdicts
from sekisho.model.access import Issuer
from sekisho.model.errors import Conflict, Forbidden, Unauthenticated, Unavailable
from sekisho.model.release import MOST, REMEMBERED, SHOWN, OwnView, Release, release
from sekisho.model.report import (
    CollectorReport,
    Explanation,
    HostProgram,
    Override,
    Page,
    PolicyView,
    PortCounter,
    Status,
    Talker,
    Verdict,
)
from sekisho.model.restriction import Evidence, Receipt, Restriction, State

if TYPE_CHECKING:
    from sekisho.app.identity import Identity
    from sekisho.app.settings import KeeperSettings
    from sekisho.host.clock import Clock
    from sekisho.host.tasks import Troubles
    from sekisho.ledger.ledger import Ledger
    from sekisho.model.access import Principal
    from sekisho.model.cloud import Cloud, CloudPort
    from sekisho.model.inventory import HostReport, Inventory, Subject
    from sekisho.model.policy import Mode

log = logging.getLogger("sekisho.keeper")

# A host or collector not heard of for so long is named in `status`.
SILENT = 60.0
NO_KEYSTONE = "Keystone's tokens are not taken here; send 'Authorization: Bearer TOKEN'."


class CounterSink(Protocol):
    """Takes what hosts tell of their ports' counters; thread-safe."""

    def take(self, host: str, counters: tuple[PortCounter, ...], now: float) -> None:
        """Take one host's counters."""
        ...


class Keeper(Deciding):
    """Implements `api.keeper.Keeper`; thread-safe."""

    def __init__(
        self,
        settings: KeeperSettings,
        ledger: Ledger,
        clock: Clock,
        source: Source,
        identity: Identity | None = None,
    ) -> None:
        self._listeners: list[Callable[[str], None]] = []
        super().__init__(settings, ledger, clock, Fleet(clock.now(), self._notify), Receipts(ledger))
        self._identity = identity
        self._turning = threading.Lock()  # of reading policies anew and of turning their modes
        self._rules = Rules(source, clock.now(), rules.before(ledger), ledger.overrides())
        rules.keep(ledger, self._rules.written)
        self._end_stray("keeper", clock.now())
        self._verdicts = Verdicts(settings, ledger, self._fleet)
        self._programs = Programs(settings, ledger, self._fleet, self._rules)
        self._listed: tuple[float, int] | None = None  # when the cloud was last listed, and how many ports
        self._strangers: tuple[str, ...] = ()
        self._look_at_names()
        self._denials = Denials(ledger)
        self.totals: dict[str, float] = {}
        self.troubles: Troubles | None = None
        self.notices: list[Callable[[], tuple[str, ...]]] = []
        self.numbers: list[Callable[[], dict[str, float]]] = []
        self.counters: CounterSink | None = None
        self.recent = Recent()

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
            self.recent.shift(step)
        expired = self._ledger.expire(self._clock.now())
        if expired:
            self._fleet.touch({r.subject for r in expired}, {r.host for r in expired})
        self._fleet.touch((), self._programs.due(self._clock.now()))
        self._ledger.reject_before(self._clock.now() - self._settings.proposal_life, self._clock.now())
        for gone in self._fleet.forget_hosts(self._clock.now() - self._settings.forget_host):
            log.warning("host %s has not reported for %.0f s: forgotten", gone, self._settings.forget_host)
            self._programs.forget(gone)
        for gone in self._fleet.forget_collectors(self._clock.now() - self._settings.forget_host):
            log.warning(
                "collector %s has not reported for %.0f s: forgotten", gone, self._settings.forget_host
            )
        self._receipts.tick(self._clock.now())

    def close(self) -> None:
        """Write what has been told and not written yet; raises Unavailable. The ledger stays open."""
        self._receipts.write(self._clock.now())

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
        self._count("denied_total")
        self._denials.add(name, what, why, self._clock.now())

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
        return subjects.page(self._fleet, host, project, text, limit, marker, flavor, plan)

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
        self._receipts.write(now)
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
        """Find what subjects send now; what a silent collector said last is no news of now."""
        now = self._clock.now()
        return subjects.talkers(c for c in self._fleet.collectors if now - c.time <= SILENT)

    # --- owners --------------------------------------------------------------------------------

    def own(self, project: str) -> OwnView:
        now = self._clock.now()
        self._receipts.write(now)
        subjects = self.subjects("", project, "", MOST, "").items
        found = self._ledger.restrictions(project=project, states=SHOWN, limit=MOST).items
        active = (r for r in found if r.state is State.ACTIVE)
        return OwnView(project, now, subjects, found, tuple(self._release(r, now) for r in active))

    def _release(self, entry: Restriction, now: float) -> Release:
        before = self._ledger.releases(entry.subject, entry.policy, now - REMEMBERED)
        return release(entry, self._rules.policies.named(entry.policy), before, now)

    def release(self, who: Principal, restriction: str, reason: str, key: str) -> Restriction:
        self.restriction(restriction, who.project)  # of others it is not there at all
        if not who.may_release:
            raise Forbidden("You may look at this project's restrictions, and not end them.")
        now = self._clock.now()

        def may(entry: Restriction, before: tuple[float, ...]) -> Release:
            return release(entry, self._rules.policies.named(entry.policy), before, now)

        return self._changed(self._ledger.release(restriction, who.name, reason, now, may, key=key))

    # --- policies ------------------------------------------------------------------------------

    def policies(self) -> PolicyView:
        return self._rules.view()

    def check_policies(self, text: str) -> tuple[str, ...]:
        return rules.check(text)

    def foresee(self, policy: str, mode: Mode, subjects: tuple[str, ...]) -> tuple[Verdict, ...]:
        turned = replace(self._rules.written.need(policy), mode=mode)
        return self._verdicts.foresee(turned, subjects, self._clock.now())

    def set_mode(
        self, who: Principal, policy: str, mode: Mode | None, reason: str, version: int | None
    ) -> PolicyView:
        with self._turning:
            now, written = self._clock.now(), self._rules.written.need(policy).mode
            chosen = written if mode is None else mode
            present = self._rules.policies.named(policy)
            # Who says the same twice (a form sent again) is not told that somebody was faster.
            if present and present.mode is not chosen and version not in (None, self._rules.policies.version):
                raise Conflict("The policies have changed since you looked: look again.")
            override = Override(policy, chosen, who.name, reason, now) if chosen is not written else None
            self._ledger.set_mode(policy, chosen, override, who.name, reason, now)
            changed = self._rules.turn(self._ledger.overrides(), now)
        if changed:
            self._notify("policies")
        return self._rules.view()

    def _end_stray(self, author: str, now: float) -> None:
        """End overrides that turn nothing any more: one that comes to turn some day must not surprise."""
        names = {p.name for p in self._rules.written.policies}
        try:
            for stray in self._rules.stray():
                same = stray.policy in names
                reason = "Its file says the same now." if same else "The policy is in no file any more."
                self._ledger.set_mode(stray.policy, stray.mode, None, author, reason, now)
            self._rules.turn(self._ledger.overrides(), now)
        except Unavailable as error:
            log.warning("modes that turn nothing any more could not be forgotten: %s", error.fixer)

    def reload_policies(self, who: Principal) -> PolicyView:
        now = self._clock.now()
        with self._turning:
            changed = self._rules.reload(now)
            rules.keep(self._ledger, self._rules.written)
            self._end_stray(who.name, now)
        self._look_at_names()
        view = self._rules.view()
        detail = json.dumps({"version": view.policies.version, "problems": view.problems})
        self._ledger.write_journal(now, who.name, "reload-policies", detail=detail)
        if changed:
            self._notify("policies")
            self._fleet.touch_all()
        return view

    # --- hosts and collectors ------------------------------------------------------------------

    def report_host(self, who: Principal, report: HostReport) -> HostProgram:
        name = report.host.name
        if self._fleet.report_host(report, self._clock.now()):
            log.info("%s reports host %s with %d subjects", who.name, name, len(report.subjects))
        return self.program(name)

    def forget_host(self, who: Principal, host: str) -> None:
        now = self._clock.now()
        self._fleet.forget_host(host, now - SILENT)
        self._programs.forget(host)
        self._ledger.write_journal(now, who.name, "forget-host", detail=host)

    def revision(self, host: str) -> int:
        return self._fleet.revision(host)

    def program(self, host: str) -> HostProgram:
        return self._programs.of(host, self._clock.now())

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
        self._look_at_names()
        return changed

    def _look_at_names(self) -> None:
        """Find the plans that are named and that nobody knows; each is logged once."""
        plans = self._fleet.plans() if self._listed is not None else None
        before, asked = self._strangers, bool(self._settings.cloud.name)
        self._strangers = strangers(self._rules.policies, plans, asked=asked)
        for sentence in self._strangers:
            if sentence not in before:
                log.warning("%s", sentence)

    def begin_list(self) -> None:
        """Say that a full list of the cloud is being read: what is pushed meanwhile is newer."""
        self._fleet.begin_list()

    def receipts(
        self, who: Principal, host: str, applied: int, receipts: tuple[Receipt, ...], problem: str
    ) -> None:
        now = self._clock.now()
        self._fleet.applied(host, applied, problem, now)
        if problem:
            log.warning("%s: host %s says: %s", who.name, host, problem)
        if receipts and who.host and not self._receipts.knows(host, receipts):
            receipts = self._of_host(who, host, receipts)
        if receipts:
            self._receipts.take(host, receipts, now)

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
        now = self._clock.now()
        anew = self._fleet.report_collector(report, now)
        self.recent.take(self._fleet.collectors, now)
        if anew:
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
        found += self._strangers
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
        found = {figures.metric("restrictions", state=s): float(counts.get(s, 0)) for s in State}
        found |= {
            "sekisho_ledger_revision": float(self._ledger.revision()),
            "sekisho_enforcing": float(self._ledger.enforcement().enabled),
            "sekisho_subjects": float(self._fleet.count),
            "sekisho_scopes_unknown": float(len(self._strangers)),
            "sekisho_degraded": float(len(self._degraded(self._clock.now()))),
        }
        found |= {f"sekisho_{name}": n for name, n in self.totals.items()}
        if self._listed is not None:
            found["sekisho_cloud_listed_seconds"], found["sekisho_cloud_ports"] = self._listed
        if self._identity is not None:
            found |= figures.of_identity(self._identity)
        for numbers in self.numbers:
            found |= numbers()
        found |= figures.of_hosts(self._fleet.host_status())
        return found | figures.of_collectors(self._fleet.collectors)
