"""Who reports to the keeper: hosts with their subjects, collectors, the cloud; what revisions hosts follow.

Held in memory only: agents and collectors report again after a restart, the cloud is asked again, and what
must survive is in the ledger. Nothing here goes through all subjects but a full list of the cloud and the
inventory, which is put together when somebody asks for it.
"""

from __future__ import annotations

import threading
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from sekisho.app.facts import Facts
from sekisho.model.errors import Conflict, NotFound
from sekisho.model.inventory import HostReport, Inventory, Subject
from sekisho.model.report import CollectorReport, HostStatus

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from sekisho.model.cloud import Cloud, CloudPort


@dataclass(slots=True)
class _Host:
    report: HostReport
    last_seen: float
    revision: int
    applied: int = 0
    problem: str = ""
    local: dict[str, Subject] = field(default_factory=dict)  # as the host itself says, by id
    reported: int = 0  # orders hosts by when they last said something new


class Fleet:
    """All hosts and collectors; thread-safe. `notify` hears ``host:NAME`` and ``inventory``."""

    def __init__(self, now: float, notify: Callable[[str], None]) -> None:
        self._lock = threading.RLock()
        self._notify = notify
        self._hosts: dict[str, _Host] = {}
        self._collectors: dict[str, CollectorReport] = {}
        # Seeded by the time, so that a restarted keeper never repeats a number a host has seen.
        self._counter = int(now * 1000)
        self._version = self._counter
        self._inventory = Inventory(version=self._version)
        self._facts = Facts()
        # Where each subject is, host by host, the host that last said something new of it last.
        self._places: dict[str, dict[str, Subject]] = {}

    # --- hosts -------------------------------------------------------------------------------

    def report_host(self, report: HostReport, now: float) -> bool:
        """Take a host's whole report; True when anything about its subjects or telemetry changed."""
        name = report.host.name
        with self._lock:
            known = self._hosts.get(name)
            if known is not None and known.report == report:
                known.last_seen = now
                return False
            local = {s.id: s for s in report.subjects}
            revision = self._next()
            applied = known.applied if known else 0
            self._hosts[name] = _Host(report, now, revision, applied, local=local, reported=revision)
            before = known.local if known else {}
            for gone in before.keys() - local.keys():
                self._leave(gone, name)
            for subject in report.subjects:
                if not subject.qos and subject.id in before and before[subject.id].qos:
                    self._facts.lose_plan(subject.id)
                self._place(self._facts.merged(subject))
            self._version = self._next()
        self._notify("inventory")
        self._notify(f"host:{name}")
        return True

    def applied(self, name: str, revision: int, problem: str, now: float) -> None:
        """Take down what revision a host says it carries."""
        with self._lock:
            host = self._host(name)
            host.last_seen, host.applied, host.problem = now, revision, problem

    def forget_host(self, name: str, before: float) -> None:
        """Forget a host; raises NotFound, and Conflict where it was heard of since `before`."""
        with self._lock:
            heard = self._host(name).last_seen
        if heard >= before:
            raise Conflict(
                f"The host {name!r} reports: stop its agent, and ask again a minute after its last word."
            )
        self.forget_hosts(before, name)

    def forget_hosts(self, before: float, only: str = "") -> tuple[str, ...]:
        """Forget hosts not heard of since `before`; their subjects leave the inventory."""
        with self._lock:
            gone = tuple(n for n, h in self._hosts.items() if h.last_seen < before and only in ("", n))
            for name in gone:
                for subject in self._hosts.pop(name).local:
                    self._leave(subject, name)
            if gone:
                self._version = self._next()
        if gone:
            self._notify("inventory")
        return gone

    def shift(self, step: float) -> None:
        """Move every moment along with a stepped clock, and wake every host: its ends are told anew."""
        with self._lock:
            for host in self._hosts.values():
                host.last_seen += step
            self._collectors = {n: replace(r, time=r.time + step) for n, r in self._collectors.items()}
        self.touch_all()

    def revision(self, name: str) -> int:
        """Tell the revision of a host's program; raises NotFound until the host has reported.

        Waits for nobody, not even for a full list of the cloud that is being taken.
        """
        return self._host(name).revision

    def carries(self, name: str) -> frozenset[str]:
        """List the ids of the subjects on a host, and of those that the cloud is about to put there.

        They are bound ahead: what comes up, or comes over from another host, is bound from its first packet.
        """
        with self._lock:
            return frozenset((*self._host(name).local, *self._facts.expected(name)))

    def here(self, name: str) -> tuple[tuple[Subject, Subject], ...]:
        """Give the subjects on a host or about to be: as the host itself says, and as all together say."""
        with self._lock:
            host = self._host(name)
            there = {i: (s, self._places[i][name]) for i, s in host.local.items()}
            ahead = (self._facts.alone(i) for i in self._facts.expected(name) if i not in there)
            return (*there.values(), *((Subject(s.id, name), replace(s, host=name)) for s in ahead if s))

    def touch(self, subjects: Iterable[str], hosts: Iterable[str] = ()) -> None:
        """Raise the revision of every host on which one of the subjects lives, and of the hosts named."""
        with self._lock:
            concerned = {n for s in set(subjects) for n in (*self._places.get(s, ()), *self._facts.hosts(s))}
            names = {n for n in (*concerned, *hosts) if n in self._hosts}
            for name in names:
                self._hosts[name].revision = self._next()
        for name in sorted(names):
            self._notify(f"host:{name}")

    def touch_all(self) -> None:
        """Raise every host's revision."""
        with self._lock:
            names = tuple(self._hosts)
        self.touch((), names)

    def host_status(self) -> tuple[HostStatus, ...]:
        """Tell what is known of each host."""
        with self._lock:
            return tuple(
                HostStatus(n, h.last_seen, len(h.local), h.revision, h.applied, h.problem)
                for n, h in sorted(self._hosts.items())
            )

    # --- the cloud ---------------------------------------------------------------------------

    def report_port(self, port: CloudPort) -> bool:
        """Take what the cloud says of one port; True when that is news."""
        with self._lock:
            concerned = set(self._facts.hosts(port.id))
            if not self._facts.put(port):
                return False
            moved = self._merge(port.id)
        self._tell(moved=moved, subjects=(port.id,), hosts=concerned)
        return True

    def forget_port(self, port: str) -> bool:
        """Forget a port that the cloud has no more; True when it was known."""
        with self._lock:
            concerned = set(self._facts.hosts(port))
            if not self._facts.forget(port):
                return False
            moved = self._merge(port)
        self._tell(moved=moved, subjects=(port,), hosts=concerned)
        return True

    def begin_list(self) -> None:
        """Say that a full list of the cloud is being read: what is pushed from here on is newer."""
        with self._lock:
            self._facts.begin()

    def take_cloud(self, cloud: Cloud) -> int:
        """Replace what the cloud said by a full list; how many ports changed."""
        with self._lock:
            before = {p: self._facts.hosts(p) for p in self._facts.ports}
            changed = self._facts.take(cloud)
            # A project's age or a plan's tags change subjects that the cloud has no port of, too.
            moved = {i for i in self._places if self._merge(i)}
            concerned = {h for i in changed for h in before.get(i, ())}
        self._tell(moved=bool(moved), subjects=changed | moved, hosts=concerned)
        return len(changed | moved)

    def plans(self) -> frozenset[str]:
        """Give the ids, names and tags of all plans that the last full list of the cloud had."""
        with self._lock:
            return self._facts.plans()

    def _merge(self, subject: str) -> bool:
        """Join a subject's facts anew wherever it is; True when that changed it."""
        places = self._places.get(subject, {})
        before = dict(places)
        for host in before:
            places[host] = self._facts.merged(self._hosts[host].local[subject])
        return before != places

    def _tell(self, *, moved: bool, subjects: Iterable[str], hosts: Iterable[str]) -> None:
        if moved:
            with self._lock:
                self._version = self._next()
            self._notify("inventory")
        self.touch(subjects, hosts)

    # --- subjects ----------------------------------------------------------------------------

    @property
    def inventory(self) -> Inventory:
        """The whole inventory as it stands."""
        with self._lock:
            if self._inventory.version != self._version:
                self._inventory = self._whole()
            return self._inventory

    def _whole(self) -> Inventory:
        hosts = sorted(self._hosts.items(), key=lambda item: item[1].reported)
        subjects = tuple(self._places[i][name] for name, host in hosts for i in host.local)
        return Inventory(self._version, tuple(h.report.host for _, h in hosts), subjects)

    @property
    def count(self) -> int:
        """How many subjects are on hosts."""
        return len(self._places)

    def subjects(self) -> tuple[Subject, ...]:
        """Give every subject once, those that are on no host yet too, by id."""
        with self._lock:
            known = {*self._places, *self._facts.ports}
            return tuple(s for s in map(self._found, sorted(known)) if s is not None)

    def find(self, subject: str) -> Subject | None:
        """Find a subject; the cloud alone may know one that is on no host.

        One that is on two (live migration) is where the cloud has bound it, else where it was last reported.
        """
        with self._lock:
            return self._found(subject)

    def _found(self, subject: str) -> Subject | None:
        places = self._places.get(subject)
        if not places:
            return self._facts.alone(subject)
        port = self._facts.ports.get(subject)
        return places.get(port.host if port else "") or next(reversed(places.values()))

    def subject(self, subject: str, project: str = "") -> Subject:
        """Find a subject, of one project if told so, or raise NotFound."""
        found = self.find(subject)
        if found is None or project not in ("", found.project):
            raise NotFound(
                f"No host reports a subject {subject!r}; `sekisho subjects list` shows all.",
            )
        return found

    # --- collectors --------------------------------------------------------------------------

    def report_collector(self, report: CollectorReport, now: float) -> bool:
        """Take a collector's report; True when hosts must hear of it: exact ports, or a new start."""
        with self._lock:
            before = self.exact_ports, self.templates
            self._collectors[report.name] = replace(report, time=now)
            return before != (self.exact_ports, self.templates)

    def forget_collectors(self, before: float) -> tuple[str, ...]:
        """Forget collectors not heard of since `before`, with the ports and addresses they told."""
        with self._lock:
            gone = tuple(n for n, r in self._collectors.items() if r.time < before)
            ports = self.exact_ports
            for name in gone:
                del self._collectors[name]
            changed = ports != self.exact_ports
        if changed:
            self.touch_all()
        return gone

    @property
    def collectors(self) -> tuple[CollectorReport, ...]:
        """The latest report of each collector, `time` being when it came."""
        with self._lock:
            return tuple(self._collectors[n] for n in sorted(self._collectors))

    @property
    def exact_ports(self) -> tuple[int, ...]:
        """Every TCP port some collector's detectors want told exactly."""
        return tuple(sorted({p for r in self._collectors.values() for p in r.exact_ports}))

    @property
    def templates(self) -> float:
        """When the newest collector started."""
        return max((r.started for r in self._collectors.values()), default=0.0)

    # --- inside ------------------------------------------------------------------------------

    def _host(self, name: str) -> _Host:
        host = self._hosts.get(name)
        if host is None:
            raise NotFound(
                f"Host {name!r} has not reported since the keeper started.",
                f"The agent of {name!r} must PUT its report before it asks for its program.",
            )
        return host

    def _next(self) -> int:
        self._counter += 1
        return self._counter

    def _place(self, subject: Subject) -> None:
        places = self._places.setdefault(subject.id, {})
        if places.get(subject.host) != subject:
            places.pop(subject.host, None)
            places[subject.host] = subject

    def _leave(self, subject: str, host: str) -> None:
        places = self._places.get(subject, {})
        places.pop(host, None)
        if not places:
            self._places.pop(subject, None)
