"""Who reports to the keeper: hosts with their subjects, collectors, and the revisions hosts follow.

Held in memory only: agents and collectors report again after a restart, and what must survive is in
the ledger.
"""

from __future__ import annotations

import threading
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from sekisho.model.errors import NotFound
from sekisho.model.inventory import HostReport, Inventory, Subject
from sekisho.model.report import CollectorReport, HostStatus

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable


@dataclass(slots=True)
class _Host:
    report: HostReport
    last_seen: float
    revision: int
    applied: int = 0
    problem: str = ""
    ids: frozenset[str] = field(default_factory=frozenset)


class Fleet:
    """All hosts and collectors; thread-safe. `notify` hears ``host:NAME`` and ``inventory``."""

    def __init__(self, now: float, notify: Callable[[str], None]) -> None:
        self._lock = threading.RLock()
        self._notify = notify
        self._hosts: dict[str, _Host] = {}
        self._collectors: dict[str, CollectorReport] = {}
        # Seeded by the time, so that a restarted keeper never repeats a number a host has seen.
        self._counter = int(now * 1000)
        self._inventory = Inventory(version=self._counter)
        self._by_id: dict[str, tuple[Subject, ...]] = {}

    # --- hosts -------------------------------------------------------------------------------

    def report_host(self, report: HostReport, now: float) -> bool:
        """Take a host's whole report; True when anything about its subjects or telemetry changed."""
        name = report.host.name
        with self._lock:
            known = self._hosts.get(name)
            if known is not None and known.report == report:
                known.last_seen = now
                return False
            ids = frozenset(s.id for s in report.subjects)
            revision = self._next()
            applied = known.applied if known else 0
            self._hosts[name] = _Host(report, now, revision, applied, ids=ids)
            self._rebuild()
        self._notify("inventory")
        self._notify(f"host:{name}")
        return True

    def applied(self, name: str, revision: int, problem: str, now: float) -> None:
        """Take down what revision a host says it carries."""
        with self._lock:
            host = self._host(name)
            host.last_seen, host.applied, host.problem = now, revision, problem

    def forget_hosts(self, before: float) -> tuple[str, ...]:
        """Forget hosts not heard of since `before`; their subjects leave the inventory."""
        with self._lock:
            gone = tuple(n for n, h in self._hosts.items() if h.last_seen < before)
            for name in gone:
                del self._hosts[name]
            if gone:
                self._rebuild()
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
        """Tell the revision of a host's program; raises NotFound until the host has reported."""
        with self._lock:
            return self._host(name).revision

    def carries(self, name: str) -> frozenset[str]:
        """List the ids of the subjects on a host."""
        with self._lock:
            return self._host(name).ids

    def touch(self, subjects: Iterable[str], hosts: Iterable[str] = ()) -> None:
        """Raise the revision of every host on which one of the subjects lives, and of the hosts named."""
        wanted = set(subjects)
        with self._lock:
            names = {n for n, h in self._hosts.items() if not wanted.isdisjoint(h.ids)}
            names |= {n for n in hosts if n in self._hosts}
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
                HostStatus(n, h.last_seen, len(h.ids), h.revision, h.applied, h.problem)
                for n, h in sorted(self._hosts.items())
            )

    # --- subjects ----------------------------------------------------------------------------

    @property
    def inventory(self) -> Inventory:
        """The whole inventory as it stands."""
        return self._inventory

    def find(self, subject: str) -> Subject | None:
        """Find a subject; of one that is on two hosts (live migration), the newest report."""
        found = self._by_id.get(subject)
        return found[-1] if found else None

    def subject(self, subject: str) -> Subject:
        """Find a subject or raise NotFound."""
        found = self.find(subject)
        if found is None:
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
        if name not in self._hosts:
            raise NotFound(
                f"Host {name!r} has not reported since the keeper started.",
                f"The agent of {name!r} must PUT its report before it asks for its program.",
            )
        return self._hosts[name]

    def _next(self) -> int:
        self._counter += 1
        return self._counter

    def _rebuild(self) -> None:
        hosts = [self._hosts[n] for n in sorted(self._hosts, key=lambda n: self._hosts[n].last_seen)]
        subjects = tuple(s for h in hosts for s in h.report.subjects)
        by_id: dict[str, tuple[Subject, ...]] = {}
        for s in subjects:
            by_id[s.id] = (*by_id.get(s.id, ()), s)
        self._by_id = by_id
        self._inventory = Inventory(self._next(), tuple(h.report.host for h in hosts), subjects)
