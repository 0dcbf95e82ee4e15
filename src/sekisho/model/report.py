"""What processes tell each other through the API: reports, programs, verdicts, status."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import Final, Generic, TypeVar

from sekisho.model.inventory import Subject
from sekisho.model.policy import Baseline, Exemption, Mode, PolicySet, Unit
from sekisho.model.restriction import Binding, JournalEntry, Restriction

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Page(Generic[T]):
    """One page of a list; `next` is the marker of the following one, empty at the end."""

    items: tuple[T, ...]
    next: str = ""


@dataclass(frozen=True, slots=True)
class HostProgram:
    """All that one host must carry. `revision` grows whenever any of it changes.

    `exact_ports` are the TCP ports whose new connections the host tells exactly. `templates` is when
    the newest collector started: once it changes, the host sends its IPFIX templates again.
    """

    host: str
    revision: int
    bindings: tuple[Binding, ...] = ()
    baselines: tuple[Baseline, ...] = ()
    exact_ports: tuple[int, ...] = ()
    templates: float = 0.0


class Outcome(StrEnum):
    """What became of one piece of evidence."""

    WATCHED = "watched"
    WARNED = "warned"
    PROPOSED = "proposed"
    IMPOSED = "imposed"
    EXTENDED = "extended"
    REFUSED = "refused"


@dataclass(frozen=True, slots=True)
class Verdict:
    """The keeper's answer to one piece of evidence."""

    subject: str
    policy: str
    outcome: Outcome
    restriction: str = ""
    reason: str = ""


@dataclass(frozen=True, slots=True)
class ExporterReport:
    """One exporter as a collector sees it; counters are totals since the collector started.

    `sampling` is the N of 1:N last applied to its records: 1 unsampled, 0 not told (yet).
    """

    address: str
    protocol: str
    domain: int = 0
    agent: str = ""
    host: str = ""
    datagrams: int = 0
    records: int = 0
    lost: int = 0
    late: int = 0
    restarted: int = 0
    last_seen: float = 0.0
    sampling: int = 0


@dataclass(frozen=True, slots=True)
class Talker:
    """A subject's present rates as the collector estimates them."""

    subject: str
    egress_bps: float = 0.0
    ingress_bps: float = 0.0
    egress_pps: float = 0.0
    ingress_pps: float = 0.0
    smtp_per_minute: float = 0.0


# Bars of a histogram to a factor of ten, and the factors of ten under its line and from it on.
FINE: Final = 4
BELOW: Final = 4
ABOVE: Final = 2


@dataclass(frozen=True, slots=True)
class Histogram:
    """How far all subjects in a policy's scope are from the line of one of its conditions, now.

    `line` is in the detector's unit within `window` seconds, `subjects` how many are in scope, `over` how
    many are at the line or over it by what was estimated. Bar i of `counts` holds those from
    ``line * 10 ** (i / FINE - BELOW)`` up to the next bar; whoever is higher than the last is in it, and
    who is under the first in none. `told` is how many collectors and workers it is the sum of: whom
    several of them see counts in each.
    """

    policy: str
    detector: str
    unit: Unit
    window: float
    line: float
    subjects: int = 0
    over: int = 0
    counts: tuple[int, ...] = ()
    told: int = 1


def added(histograms: Iterable[Histogram]) -> tuple[Histogram, ...]:
    """Add up what several collectors tell of the same line of the same policy."""
    found: dict[tuple[object, ...], Histogram] = {}
    for one in histograms:
        key = one.policy, one.detector, one.unit, one.window, one.line, len(one.counts)
        other = found.get(key)
        found[key] = one if other is None else _sum(other, one)
    return tuple(found.values())


def _sum(one: Histogram, other: Histogram) -> Histogram:
    return replace(
        one,
        subjects=max(one.subjects, other.subjects),
        over=one.over + other.over,
        counts=tuple(a + b for a, b in zip(one.counts, other.counts, strict=True)),
        told=one.told + other.told,
    )


@dataclass(frozen=True, slots=True)
class CollectorReport:
    """What a collector tells the keeper every few seconds; `counters` are totals by name.

    `addresses` are its own: whoever has one of them is never bound. `histograms` set everybody against
    each line of each policy; collectors of earlier versions tell none.
    """

    name: str
    time: float
    exporters: tuple[ExporterReport, ...] = ()
    talkers: tuple[Talker, ...] = ()
    exact_ports: tuple[int, ...] = ()
    counters: Mapping[str, float] = field(default_factory=dict)
    started: float = 0.0
    addresses: tuple[str, ...] = ()
    histograms: tuple[Histogram, ...] = ()


@dataclass(frozen=True, slots=True)
class HostStatus:
    """A host as the keeper knows it."""

    name: str
    last_seen: float
    subjects: int
    revision: int
    applied: int  # the revision the host last said it carries
    problem: str = ""


@dataclass(frozen=True, slots=True)
class Status:
    """The keeper in one answer. `degraded` lists what needs a person, a sentence each."""

    version: str
    now: float
    revision: int
    enforcing: bool
    subjects: int
    active: int
    proposed: int
    policies: int
    baselines: int
    hosts: tuple[HostStatus, ...] = ()
    collectors: tuple[CollectorReport, ...] = ()
    degraded: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class PortCounter:
    """Bytes since a port's counters began, seen from the VM; another `interface` means they began anew."""

    subject: str
    interface: str
    egress: int
    ingress: int


@dataclass(frozen=True, slots=True)
class Override:
    """A policy's mode as a person turned it at `since` (unix seconds); `written` is what its file says."""

    policy: str
    mode: Mode
    author: str
    reason: str
    since: float
    written: Mode = Mode.WATCH


@dataclass(frozen=True, slots=True)
class PolicyView:
    """The policies in force, and what is wrong with the files if a newer version was refused.

    The modes are those in force; `overrides` tells which of them a person turned.
    """

    policies: PolicySet
    problems: tuple[str, ...] = ()
    overrides: tuple[Override, ...] = ()

    def override(self, policy: str) -> Override | None:
        """Find how a person turned a policy's mode, if anybody did."""
        return next((o for o in self.overrides if o.policy == policy), None)


@dataclass(frozen=True, slots=True)
class Explanation:
    """Why a subject is treated as it is."""

    subject: Subject
    restrictions: tuple[Restriction, ...]  # active and proposed first, then ended ones, newest first
    baselines: tuple[Baseline, ...]  # those it is in scope of
    exemptions: tuple[Exemption, ...]
    journal: tuple[JournalEntry, ...]  # newest first
    talker: Talker | None = None


@dataclass(frozen=True, slots=True)
class Enforcement:
    """The kill switch: off lifts everything automatic and keeps what people imposed by hand."""

    enabled: bool
    author: str = ""
    reason: str = ""
    since: float = 0.0
