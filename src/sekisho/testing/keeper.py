"""A keeper in memory, for tests of the API, the client and the command line.

It is a fake: nothing is written anywhere, no guard counts, and time moves only through `advance`.
Otherwise it answers as the real one does; `contract_keeper` holds both to the same behaviour.
"""

from __future__ import annotations

import hashlib
import threading
from collections import Counter
from dataclasses import replace
from typing import TYPE_CHECKING, Any, TypeVar

from sekisho.detect.detectors.catalogue import CATALOGUE
from sekisho.metering.catalogue import METERED
from sekisho.model import policy_file
from sekisho.model.access import FOREIGN, Issuer, Principal, Role, Token
from sekisho.model.errors import Conflict, Forbidden, Malformed, NotFound, SekishoError, Unauthenticated
from sekisho.model.inventory import Host, HostReport, Inventory, Subject
from sekisho.model.plain import to_plain
from sekisho.model.policy import Exemption, Mode, PolicySet, Scope
from sekisho.model.release import MOST, SHOWN, OwnView, Release, release
from sekisho.model.report import (
    CollectorReport,
    Enforcement,
    Explanation,
    HostProgram,
    HostStatus,
    Outcome,
    Override,
    Page,
    PolicyView,
    PortCounter,
    Status,
    Talker,
    Verdict,
)
from sekisho.model.restriction import (
    Binding,
    Evidence,
    JournalEntry,
    Receipt,
    Restriction,
    State,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from sekisho.model.cloud import CloudPort
    from sekisho.model.policy import Action, Policy

T = TypeVar("T")

SECRETS: dict[Role, str] = {role: f"{role.value}-secret" for role in Role if role is not Role.MEMBER}
"""The tokens a fake keeper knows from the start, one for each role."""

START = 1_700_000_000.0


_OUTCOMES = {Mode.WATCH: Outcome.WATCHED, Mode.PROPOSE: Outcome.PROPOSED, Mode.ENFORCE: Outcome.IMPOSED}
# What counts as an offence before; what a person lifted is forgiven.
COUNTED = (State.PROPOSED, State.ACTIVE, State.EXPIRED)


class FakeKeeper:
    """Answers like a keeper, from memory; safe to call from many threads.

    `not_ready`, `protected` (subjects the guard never binds) and `failure` (raised by every method
    but `listen`, once set) are for the test to set.
    """

    def __init__(self, policies: PolicySet | None = None, now: float = START) -> None:
        self.now = now
        self.not_ready: tuple[str, ...] = ()
        self.protected: set[str] = set()
        self.failure: Exception | None = None
        self.denials: Counter[tuple[str, str, str]] = Counter()
        self._lock = threading.RLock()
        self.signed_in: dict[str, Principal] = {}
        self._told: set[tuple[str, str]] = set()
        self._callbacks: list[Callable[[str], None]] = []
        self._revision = 0
        self._view = PolicyView(policies or PolicySet())
        self._next_view: PolicyView | None = None
        self._written: dict[str, Mode] = {}
        self._inventory = Inventory()
        self._ports: dict[str, CloudPort] = {}
        self._local: tuple[Subject, ...] = ()
        self._restrictions: dict[str, Restriction] = {}
        self._journal: list[JournalEntry] = []
        self._exemptions: dict[str, Exemption] = {}
        self._enforcement = Enforcement(enabled=True, since=now)
        self._collectors: dict[str, CollectorReport] = {}
        self._hosts: dict[str, HostStatus] = {}
        self._host_revisions: Counter[str] = Counter()
        self._answers: dict[tuple[str, str], tuple[Any, Any]] = {}
        self._ids = 0
        self._tokens = {r.value: Token(f"token-{r.value}", r.value, r, now) for r in SECRETS}
        self._secrets = {_hash(secret): role.value for role, secret in SECRETS.items()}

    # --- what the test turns ---------------------------------------------------------------------

    def advance(self, seconds: float) -> None:
        """Let time pass; what ends meanwhile expires."""
        with self._lock:
            self.now += seconds
            for r in list(self._restrictions.values()):
                if r.state is State.ACTIVE and r.until <= self.now:
                    self._change(r, "keeper", "expire", "", state=State.EXPIRED, ended=r.until)

    def stage_policies(self, policies: PolicySet, problems: tuple[str, ...] = ()) -> None:
        """Lay new policies in the files, for `reload_policies` to find; with problems they stay out."""
        self._next_view = PolicyView(policies, problems)

    # --- who asks --------------------------------------------------------------------------------

    def authenticate(self, secret: str, issuer: Issuer) -> Principal:
        """Find whom a token speaks for; Keystone's are those the test put into `signed_in`."""
        with self._open():
            if issuer is Issuer.KEYSTONE:
                if secret not in self.signed_in:
                    raise Unauthenticated("This token is not valid.")
                return self.signed_in[secret]
            token = self._tokens.get(self._secrets.get(_hash(secret), ""))
            if token is None or (token.until and token.until <= self.now):
                raise Unauthenticated("This token is unknown or has ended.")
            return Principal(token.name, token.role, token.host)

    def recognised(self, secret: str, issuer: Issuer) -> Principal | None:
        """Find whom a token of ours speaks for; about Keystone's `authenticate` is asked."""
        try:
            return self.authenticate(secret, issuer) if issuer is Issuer.SEKISHO else None
        except SekishoError:
            return None

    def knows(self, secret: str, issuer: Issuer) -> bool:
        """Tell that nobody else is asked, but about Keystone's."""
        return issuer is Issuer.SEKISHO or secret in self.signed_in

    def moment(self) -> float:
        """Tell the test's time."""
        return self.now

    def denied(self, name: str, what: str, why: str) -> None:
        """Journal the first of equal denials, count the rest."""
        with self._open():
            self.denials[(name, what, why)] += 1
            if self.denials[(name, what, why)] == 1:
                self._write(name, "deny", reason=why, detail=what)

    def tokens(self) -> tuple[Token, ...]:
        """List all tokens."""
        with self._open():
            return tuple(self._tokens.values())

    def create_token(
        self, who: Principal, name: str, role: Role, host: str, duration: float
    ) -> tuple[Token, str]:
        """Make a token; duration 0 is no end."""
        with self._open():
            if name.startswith(FOREIGN):
                raise Malformed(f"name: {FOREIGN!r} begins the names of Keystone's users only.")
            if any(t.name == name for t in self._tokens.values()):
                raise Conflict(f"There is a token named {name!r} already.")
            secret = f"secret-{self._id('s')}"
            until = self.now + duration if duration else 0.0
            token = Token(self._id("token"), name, role, self.now, until, host)
            self._tokens[token.id] = token
            self._secrets[_hash(secret)] = token.id
            self._write(who.name, "create-token", detail=token.id)
            return token, secret

    def revoke_token(self, who: Principal, token: str) -> None:
        """Forget a token."""
        with self._open():
            known = next((key for key, t in self._tokens.items() if t.id == token), None)
            if known is None:
                raise NotFound(f"There is no token {token!r}.")
            del self._tokens[known]
            self._write(who.name, "revoke-token", detail=token)

    # --- state of the whole ----------------------------------------------------------------------

    def listen(self, callback: Callable[[str], None]) -> None:
        """Call back on every change."""
        self._callbacks.append(callback)

    def ready(self) -> tuple[str, ...]:
        """List what the test said is not ready."""
        with self._open():
            return self.not_ready

    def status(self) -> Status:
        """Sum up."""
        with self._open():
            states = Counter(r.state for r in self._restrictions.values())
            policies = self._view.policies
            return Status(
                version="0.0.0+fake",
                now=self.now,
                revision=self._revision,
                enforcing=self._enforcement.enabled,
                subjects=len(self._inventory.subjects),
                active=states[State.ACTIVE],
                proposed=states[State.PROPOSED],
                policies=len(policies.policies),
                baselines=len(policies.baselines),
                hosts=tuple(
                    replace(self._hosts[n], revision=self._host_revisions[n]) for n in sorted(self._hosts)
                ),
                collectors=tuple(self._collectors[name] for name in sorted(self._collectors)),
                degraded=self._view.problems,
            )

    def metrics(self) -> dict[str, float]:
        """Give a few gauges."""
        status = self.status()
        return {
            "sekisho_subjects": float(status.subjects),
            'sekisho_restrictions{state="active"}': float(status.active),
            'sekisho_restrictions{state="proposed"}': float(status.proposed),
            "sekisho_denied_total": float(sum(self.denials.values())),
        }

    # --- subjects --------------------------------------------------------------------------------

    def subjects(
        self, host: str, project: str, text: str, limit: int, marker: str, flavor: str = "", plan: str = ""
    ) -> Page[Subject]:
        """List by id those of a host, project, flavor, plan, with the text in some name or address."""
        with self._open():
            found = (
                s
                for s in self._everybody()
                if (not host or s.host == host)
                and (not project or s.project == project)
                and (not flavor or s.flavor == flavor)
                and (not plan or plan in s.qos)
                and (not text or any(text in t for t in (s.id, s.server, s.mac, s.network, *s.addresses)))
            )
            return _page(sorted(found, key=lambda s: s.id), limit, marker)

    def subject(self, subject: str, project: str = "") -> Subject:
        """Find one."""
        with self._open():
            for s in self._everybody():
                if s.id == subject and project in ("", s.project):
                    return s
            raise NotFound(f"There is no subject {subject!r}.")

    def _everybody(self) -> tuple[Subject, ...]:
        """Give the inventory, and the ports that are on no host yet."""
        here = {s.id for s in self._inventory.subjects}
        ahead = (_merged(Subject(p.id, p.host), p) for p in self._ports.values() if p.id not in here)
        return (*self._inventory.subjects, *ahead)

    def explain(self, subject: str, project: str = "") -> Explanation:
        """Say all that is known of one."""
        with self._open():
            found = self.subject(subject, project)
            mine = [
                r
                for r in reversed(self._restrictions.values())
                if r.subject == subject and project in ("", r.project)
            ]
            mine.sort(key=lambda r: r.state not in (State.ACTIVE, State.PROPOSED))
            return Explanation(
                subject=found,
                restrictions=tuple(mine),
                baselines=tuple(b for b in self._view.policies.baselines if b.scope.matches(found)),
                exemptions=tuple(e for e in self._exemptions.values() if e.scope.matches(found)),
                journal=tuple(e for e in reversed(self._journal) if e.subject == subject),
                talker=next((t for t in self._talkers() if t.subject == subject), None),
            )

    def top(self, by: str, limit: int) -> tuple[Talker, ...]:
        """List the greatest by one of Talker's rates."""
        with self._open():
            if by == "subject" or by not in Talker.__dataclass_fields__:
                raise Malformed(f"There is no rate named {by!r}.")
            return tuple(sorted(self._talkers(), key=lambda t: -getattr(t, by))[:limit])

    # --- restrictions ----------------------------------------------------------------------------

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
        """List, newest first."""
        with self._open():
            ids = list(self._restrictions)
            if before and before not in ids:
                raise NotFound(f"There is no restriction {before!r}.")
            older = set(ids[: ids.index(before)] if before else ids)
            found = [
                r
                for r in reversed(self._restrictions.values())
                if (not subject or r.subject == subject)
                and (not policy or r.policy == policy)
                and (not states or r.state in states)
                and project in ("", r.project)
                and r.revision > since
                and r.id in older
            ]
            return _page(found, limit, marker)

    def restriction(self, restriction: str, project: str = "") -> Restriction:
        """Find one."""
        with self._open():
            found = self._restrictions.get(restriction)
            if found is None or project not in ("", found.project):
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
        """Bind a subject by hand."""

        def once() -> Restriction:
            _need(duration > 0, "duration: expected more than 0 seconds.")
            _need(bool(reason), "reason: say why.")
            found = self.subject(subject)
            if subject in self.protected:
                raise Forbidden(f"The guard refuses to bind {subject!r}: it is infrastructure.")
            return self._new(found, who.name, "impose", actions, reason, duration)

        return self._once(who, key, ("impose", subject, actions, reason, duration), once)

    def extend(
        self, who: Principal, restriction: str, duration: float, reason: str, revision: int | None, key: str
    ) -> Restriction:
        """Let it end `duration` seconds from now."""

        def once() -> Restriction:
            _need(duration > 0, "duration: expected more than 0 seconds.")
            entry = self._in_state(restriction, State.ACTIVE)
            if revision is not None and revision != entry.revision:
                raise Conflict(f"{restriction} has changed: its revision is {entry.revision}.")
            until = self.now + duration
            return self._change(entry, who.name, "extend", reason, until=until, duration=duration)

        return self._once(who, key, ("extend", restriction, duration, reason, revision), once)

    def lift(self, who: Principal, restriction: str, reason: str, key: str) -> Restriction:
        """End an active one now."""

        def once() -> Restriction:
            entry = self._in_state(restriction, State.ACTIVE)
            return self._change(entry, who.name, "lift", reason, state=State.LIFTED, ended=self.now)

        return self._once(who, key, ("lift", restriction, reason), once)

    def own(self, project: str) -> OwnView:
        """Show a project itself."""
        with self._open():
            found = self.restrictions("", "", SHOWN, MOST, "", project).items
            active = [r for r in found if r.state is State.ACTIVE]
            subjects = self.subjects("", project, "", MOST, "").items
            return OwnView(project, self.now, subjects, found, tuple(map(self._release, active)))

    def _release(self, entry: Restriction) -> Release:
        before = [
            r.ended
            for r in self._restrictions.values()
            if (r.subject, r.policy, r.state) == (entry.subject, entry.policy, State.EXPIRED)
            and r.ended < r.until
        ]
        policy = self._view.policies.named(entry.policy)
        return release(entry, policy, before, self.now)

    def release(self, who: Principal, restriction: str, reason: str, key: str) -> Restriction:
        """End one of the asker's own early."""

        def once() -> Restriction:
            self.restriction(restriction, who.project)
            if not who.may_release:
                raise Forbidden("You may look at this project's restrictions, and not end them.")
            entry = self._in_state(restriction, State.ACTIVE)
            judged = self._release(entry)
            if not judged.may:
                raise Forbidden(judged.why)
            return self._change(entry, who.name, "release", reason, state=State.EXPIRED, ended=self.now)

        return self._once(who, key, ("release", restriction, reason), once)

    def approve(self, who: Principal, restriction: str, reason: str, key: str) -> Restriction:
        """Turn a proposal into a restriction."""

        def once() -> Restriction:
            entry = self._in_state(restriction, State.PROPOSED)
            until = self.now + entry.duration
            # From here on it counts as a person's: the kill switch leaves it alone.
            to: dict[str, Any] = {"state": State.ACTIVE, "automatic": False, "author": who.name}
            return self._change(entry, who.name, "approve", reason, until=until, **to)

        return self._once(who, key, ("approve", restriction, reason), once)

    def reject(self, who: Principal, restriction: str, reason: str, key: str) -> Restriction:
        """Turn a proposal down."""

        def once() -> Restriction:
            entry = self._in_state(restriction, State.PROPOSED)
            return self._change(entry, who.name, "reject", reason, state=State.REJECTED, ended=self.now)

        return self._once(who, key, ("reject", restriction, reason), once)

    def journal(self, restriction: str, subject: str, limit: int, marker: str) -> Page[JournalEntry]:
        """List, newest first."""
        with self._open():
            found = [
                e
                for e in reversed(self._journal)
                if (not restriction or e.restriction == restriction) and (not subject or e.subject == subject)
            ]
            return _page(found, limit, marker)

    # --- policies, exemptions, kill switch -------------------------------------------------------

    def policies(self) -> PolicyView:
        """Give those in force."""
        with self._open():
            return self._view

    def check_policies(self, text: str) -> tuple[str, ...]:
        """Check as the real one does."""
        try:
            policy_file.parse(text, CATALOGUE | METERED, "policy")
        except Malformed as error:
            return error.problems or (error.asker,)
        return ()

    def reload_policies(self, who: Principal) -> PolicyView:
        """Take over what was staged, unless it has problems."""
        with self._open():
            staged = self._next_view
            if staged is None:
                return self._view
            if staged.problems:
                self._view = replace(self._view, problems=staged.problems)
                return self._view
            version = self._view.policies.version + 1
            self._view = PolicyView(replace(staged.policies, version=version))
            self._written = {}
            self._write(who.name, "reload-policies")
            self._tell("policies", *(f"host:{h.name}" for h in self._inventory.hosts))
            return self._view

    def foresee(self, policy: str, mode: Mode, subjects: tuple[str, ...]) -> tuple[Verdict, ...]:
        """Tell what a mode leads to for whoever is there; the fake's guard looks at nobody here."""
        with self._open():
            self._view.policies.need(policy)
            known = {s.id for s in self._inventory.subjects}
            outcome = _OUTCOMES[mode] if self._enforcement.enabled else Outcome.WATCHED
            return tuple(
                Verdict(s, policy, outcome if s in known else Outcome.REFUSED, "", "") for s in subjects
            )

    def set_mode(
        self, who: Principal, policy: str, mode: Mode | None, reason: str, version: int | None
    ) -> PolicyView:
        """Turn a policy's mode."""
        with self._open():
            before, held = self._view.policies.need(policy), self._view.policies
            written = self._written.setdefault(policy, before.mode)
            chosen = written if mode is None else mode
            if before.mode is not chosen and version not in (None, held.version):
                raise Conflict("The policies have changed since you looked: look again.")
            others = tuple(o for o in self._view.overrides if o.policy != policy)
            mine = Override(policy, chosen, who.name, reason, self.now, written)
            turned = tuple(replace(p, mode=chosen) if p.name == policy else p for p in held.policies)
            self._view = replace(
                self._view,
                policies=replace(held, version=held.version + 1, policies=turned),
                overrides=others if chosen is written else (*others, mine),
            )
            self._write(who.name, "mode", reason=reason)
            self._tell("policies")
            return self._view

    def exemptions(self) -> tuple[Exemption, ...]:
        """List those that have not ended."""
        with self._open():
            return tuple(e for e in self._exemptions.values() if not e.until or e.until > self.now)

    def exempt(
        self, who: Principal, scope: Scope, reason: str, duration: float, policies: tuple[str, ...], key: str
    ) -> Exemption:
        """Exempt a scope; duration 0 is no end."""

        def once() -> Exemption:
            _need(duration >= 0, "duration: expected 0 or more seconds.")
            until = self.now + duration if duration else 0.0
            made = Exemption(self._id("e"), scope, reason, who.name, self.now, until, policies)
            self._exemptions[made.id] = made
            self._write(who.name, "exempt", reason=reason, detail=made.id)
            return made

        return self._once(who, key, ("exempt", scope, reason, duration, policies), once)

    def revoke_exemption(self, who: Principal, exemption: str, reason: str) -> None:
        """End an exemption."""
        with self._open():
            if self._exemptions.pop(exemption, None) is None:
                raise NotFound(f"There is no exemption {exemption!r}.")
            self._write(who.name, "revoke-exemption", reason=reason, detail=exemption)

    def enforcement(self) -> Enforcement:
        """Tell how the kill switch stands."""
        with self._open():
            return self._enforcement

    def enforce(self, who: Principal, *, enabled: bool, reason: str) -> Enforcement:
        """Turn the kill switch; off lifts everything automatic."""
        with self._open():
            self._enforcement = Enforcement(enabled, who.name, reason, self.now)
            self._write(who.name, "enforce", reason=reason, detail=str(enabled))
            for r in list(self._restrictions.values()):
                if not enabled and r.automatic and r.state is State.ACTIVE:
                    self._change(r, who.name, "lift", reason, state=State.LIFTED, ended=self.now)
            return self._enforcement

    # --- agents and collectors -------------------------------------------------------------------

    def inventory(self) -> Inventory:
        """Give all hosts and subjects."""
        with self._open():
            return self._inventory

    def report_host(self, who: Principal, report: HostReport) -> HostProgram:
        """Replace what is known of one host."""
        del who
        with self._open():
            old, name = self._inventory, report.host.name
            reported = {s.id for s in report.subjects}
            hosts = (*(h for h in old.hosts if h.name != name), report.host)
            others = (s for s in self._local if s.host != name and s.id not in reported)
            self._local = (*others, *report.subjects)
            self._take_over(hosts)
            known = self._hosts.get(name, HostStatus(name, 0.0, 0, 0, 0))
            self._hosts[name] = replace(known, last_seen=self.now, subjects=len(report.subjects))
            return self.program(name)

    def forget_host(self, who: Principal, host: str) -> None:
        """Forget a host that has not reported for a minute."""
        with self._open():
            if host not in self._hosts:
                raise NotFound(f"There is no host {host!r}.")
            if self._hosts[host].last_seen >= self.now - 60.0:
                raise Conflict(f"The host {host!r} reports: stop its agent.")
            del self._hosts[host]
            self._local = tuple(s for s in self._local if s.host != host)
            self._take_over(tuple(h for h in self._inventory.hosts if h.name != host))
            self._write(who.name, "forget-host", detail=host)

    def program(self, host: str) -> HostProgram:
        """Say what a host must carry."""
        with self._open():
            mine = [s for s in self._everybody() if s.host == host]
            if not any(h.name == host for h in self._inventory.hosts):
                raise NotFound(f"There is no host {host!r}.")
            ids = {s.id for s in mine}
            bound = (
                r
                for r in self._restrictions.values()
                if r.state is State.ACTIVE and r.actions and r.subject in ids
            )
            ports = {p for c in self._collectors.values() for p in c.exact_ports}
            return HostProgram(
                host=host,
                revision=self._host_revisions[host],
                bindings=tuple(Binding(r.id, r.subject, r.actions, r.until - self.now) for r in bound),
                baselines=self._view.policies.baselines,
                exact_ports=tuple(sorted(ports)),
            )

    def revision(self, host: str) -> int:
        """Tell the revision of what a host must carry."""
        return self.program(host).revision

    def report_port(self, who: Principal, port: CloudPort) -> None:
        """Take what the cloud says of one port."""
        del who
        with self._open():
            self._ports[port.id] = port
            self._take_over(self._inventory.hosts)

    def forget_port(self, who: Principal, port: str) -> None:
        """Forget what the cloud said of one."""
        del who
        with self._open():
            self._ports.pop(port, None)
            self._take_over(self._inventory.hosts)

    def receipts(
        self, who: Principal, host: str, applied: int, receipts: tuple[Receipt, ...], problem: str
    ) -> None:
        """Take down what a host says it did."""
        with self._open():
            if host not in self._hosts:
                raise NotFound(f"There is no host {host!r}.")
            self._hosts[host] = replace(
                self._hosts[host], last_seen=self.now, applied=applied, problem=problem
            )
            for receipt in receipts:
                if not who.host or self._is_of(host, receipt):
                    self._receive(who, receipt)

    def evidence(self, who: Principal, evidence: tuple[Evidence, ...]) -> tuple[Verdict, ...]:
        """Judge each piece; unknown subjects and policies are refused one by one."""
        del who
        with self._open():
            return tuple(self._judge(e) for e in evidence)

    def report_counters(self, who: Principal, host: str, counters: tuple[PortCounter, ...]) -> None:
        """Take counters and let them go."""

    def report_collector(self, who: Principal, report: CollectorReport) -> None:
        """Replace what is known of one collector."""
        del who
        with self._open():
            old = self._collectors.get(report.name)
            self._collectors[report.name] = report
            if old is None or old.exact_ports != report.exact_ports:
                self._tell(*(f"host:{h.name}" for h in self._inventory.hosts))

    # --- inside ----------------------------------------------------------------------------------

    def _open(self) -> threading.RLock:
        if self.failure is not None:
            raise self.failure
        return self._lock

    def _id(self, prefix: str) -> str:
        self._ids += 1
        return f"{prefix}-{self._ids}"

    def _once(self, who: Principal, key: str, request: object, act: Callable[[], T]) -> T:
        with self._open():
            if (who.name, key) in self._answers:
                first, answer = self._answers[(who.name, key)]
                if first != request:
                    raise Conflict("This idempotency key was used for another request.")
                return answer  # type: ignore[no-any-return] # it is what this very request got
            done = act()
            if key:
                self._answers[(who.name, key)] = (request, done)
            return done

    def _tell(self, *topics: str) -> None:
        for topic in topics:
            if topic.startswith("host:"):
                self._host_revisions[topic.removeprefix("host:")] += 1
            for callback in self._callbacks:
                callback(topic)

    def _write(self, author: str, verb: str, entry: Restriction | None = None, **more: str) -> None:
        if entry is not None:
            more |= {"restriction": entry.id, "subject": entry.subject}
        self._journal.append(JournalEntry(len(self._journal) + 1, self.now, author, verb, **more))

    def _new(
        self,
        subject: Subject,
        author: str,
        verb: str,
        actions: tuple[Action, ...],
        reason: str,
        duration: float,
        **more: Any,
    ) -> Restriction:
        self._revision += 1
        fields: dict[str, Any] = {"state": State.ACTIVE, "until": self.now + duration} | more
        entry = Restriction(
            id=self._id("r"),
            subject=subject.id,
            actions=actions,
            reason=reason,
            author=author,
            created=self.now,
            duration=duration,
            revision=self._revision,
            project=subject.project,
            host=subject.host,
            **fields,
        )
        return self._keep(entry, author, verb, reason)

    def _change(self, entry: Restriction, author: str, verb: str, reason: str, /, **to: Any) -> Restriction:
        self._revision += 1
        return self._keep(replace(entry, revision=self._revision, **to), author, verb, reason)

    def _keep(self, entry: Restriction, author: str, verb: str, reason: str) -> Restriction:
        self._restrictions[entry.id] = entry
        self._write(author, verb, entry, reason=reason)
        self._tell(*(f"host:{s.host}" for s in self._inventory.subjects if s.id == entry.subject))
        return entry

    def _in_state(self, restriction: str, state: State) -> Restriction:
        entry = self.restriction(restriction)
        if entry.state is not state:
            raise Conflict(f"{restriction} is {entry.state.value}, not {state.value}.")
        return entry

    def _talkers(self) -> list[Talker]:
        return [t for c in self._collectors.values() for t in c.talkers]

    def _take_over(self, hosts: Iterable[Host]) -> None:
        old = self._inventory
        subjects = [_merged(s, self._ports[s.id]) if s.id in self._ports else s for s in self._local]
        new = Inventory(
            old.version + 1,
            tuple(sorted(hosts, key=lambda h: h.name)),
            tuple(sorted(subjects, key=lambda s: s.id)),
        )
        if (new.hosts, new.subjects) == (old.hosts, old.subjects):
            return
        self._inventory = new
        moved = set(new.subjects) ^ set(old.subjects)
        self._tell("inventory", *sorted({f"host:{s.host}" for s in moved}))

    def _is_of(self, host: str, receipt: Receipt) -> bool:
        """Tell whether a host carries what it gives a receipt for, or did so before."""
        entry = self._restrictions.get(receipt.restriction)
        if entry is None:
            return False
        there = {s.id for s in self._inventory.subjects if s.host == host}
        return entry.host == host or entry.subject in there or (host, entry.id) in self._told

    def _receive(self, who: Principal, receipt: Receipt) -> None:
        entry = self._restrictions.get(receipt.restriction)
        if entry is None:
            return
        self._told.add((receipt.host, entry.id))
        if receipt.in_force and not entry.in_force:
            self._write(who.name, "receipt", entry, detail=str(to_plain(receipt)))
        self._restrictions[entry.id] = replace(
            entry,
            in_force=entry.in_force or (receipt.time if receipt.in_force else 0.0),
            dropped_packets=receipt.dropped_packets,
            dropped_bytes=receipt.dropped_bytes,
        )

    def _judge(self, evidence: Evidence) -> Verdict:
        policy = self._view.policies.named(evidence.policy)
        subject = next((s for s in self._inventory.subjects if s.id == evidence.subject), None)
        if policy is None or subject is None:
            return self._verdict(evidence, Outcome.REFUSED, reason="Nobody knows this subject or policy.")
        if not policy.scope.matches(subject):
            return self._verdict(evidence, Outcome.REFUSED, reason="The policy's scope leaves it out.")
        if self._is_exempt(subject, policy.name):
            return self._verdict(evidence, Outcome.REFUSED, reason="The subject is exempt.")
        if policy.mode is Mode.WATCH or not self._enforcement.enabled:
            self._write("policy:" + policy.name, "watch", subject=subject.id)
            return self._verdict(evidence, Outcome.WATCHED)
        return self._bind(evidence, policy, subject)

    def _is_exempt(self, subject: Subject, policy: str) -> bool:
        return subject.id in self.protected or any(
            e.scope.matches(subject) and (not e.policies or policy in e.policies) for e in self.exemptions()
        )

    def _bind(self, evidence: Evidence, policy: Policy, subject: Subject) -> Verdict:
        before = [
            r
            for r in self._restrictions.values()
            if r.subject == subject.id and r.policy == policy.name and r.state in COUNTED
        ]
        author, step = f"policy:{policy.name}", policy.ladder[min(len(before), len(policy.ladder) - 1)]
        if before and before[-1].state is State.ACTIVE:
            entry = before[-1]
            until = self.now + entry.duration
            self._change(entry, author, "extend", "It goes on.", until=until, evidence=evidence)
            return self._verdict(evidence, Outcome.EXTENDED, entry.id)
        if before and before[-1].state is State.PROPOSED:
            return self._verdict(evidence, Outcome.PROPOSED, before[-1].id)
        more: dict[str, Any] = {
            "policy": policy.name,
            "automatic": True,
            "offence": len(before) + 1,
            "evidence": evidence,
        }
        if policy.mode is Mode.PROPOSE:
            more |= {"state": State.PROPOSED, "until": 0.0}
        verb = "propose" if policy.mode is Mode.PROPOSE else "impose"
        made = self._new(subject, author, verb, step.actions, policy.description, step.duration, **more)
        warned = Outcome.IMPOSED if step.actions else Outcome.WARNED
        return self._verdict(evidence, Outcome.PROPOSED if policy.mode is Mode.PROPOSE else warned, made.id)

    def _verdict(
        self, evidence: Evidence, outcome: Outcome, restriction: str = "", reason: str = ""
    ) -> Verdict:
        return Verdict(evidence.subject, evidence.policy, outcome, restriction, reason)


def _merged(local: Subject, port: CloudPort) -> Subject:
    """Join what the cloud says of a port to what its host says."""
    return replace(
        local,
        project=port.project or local.project,
        server=port.server or local.server,
        network=port.network or local.network,
        mac=port.mac or local.mac,
        addresses=port.addresses or local.addresses,
        tags=port.tags or local.tags,
        flavor=port.flavor or local.flavor,
        qos=(port.qos,) if port.qos else local.qos,
    )


def _hash(secret: str) -> str:
    return hashlib.sha256(secret.encode()).hexdigest()


def _need(condition: bool, problem: str) -> None:  # noqa: FBT001 - reads as a sentence
    if not condition:
        raise Malformed("The request makes no sense.", problems=(problem,))


def _page(found: list[Any], limit: int, marker: str) -> Page[Any]:
    """Cut a list of things with ids; the marker is the id of the last one given."""
    start = 0
    if marker:
        places = [i for i, item in enumerate(found) if str(item.id) == marker]
        if not places:
            raise Malformed(f"The marker {marker!r} leads nowhere.")
        start = places[0] + 1
    items = tuple(found[start : start + limit])
    return Page(items, str(items[-1].id) if start + limit < len(found) else "")
