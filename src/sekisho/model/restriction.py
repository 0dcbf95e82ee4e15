"""What was found and what was decided: Evidence, Restriction, journal entries and receipts."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from sekisho.model.policy import Action


@dataclass(frozen=True, slots=True)
class Finding:
    """One condition's number: the estimate, its lower and upper confidence bounds, and the line it crossed.

    `samples` is how many real records stand behind the estimate.
    """

    detector: str
    unit: str
    window: float
    estimate: float
    lower: float
    upper: float
    threshold: float
    samples: int


@dataclass(frozen=True, slots=True)
class Count:
    """A name (address or port) and how much of the evidence it stands for."""

    name: str
    amount: float


@dataclass(frozen=True, slots=True)
class Evidence:
    """The numbers that crossed a policy's line, when, and who reported them (times: unix seconds)."""

    subject: str
    policy: str
    findings: tuple[Finding, ...]
    window_start: float
    window_end: float
    confidence: float = 0.95
    top_destinations: tuple[Count, ...] = ()
    top_ports: tuple[Count, ...] = ()
    exporters: tuple[str, ...] = ()
    collector: str = ""
    first_seen: float = 0.0  # when the current crossing began


class State(StrEnum):
    """The life of a restriction."""

    PROPOSED = "proposed"
    ACTIVE = "active"
    LIFTED = "lifted"
    EXPIRED = "expired"
    REJECTED = "rejected"


@dataclass(frozen=True, slots=True)
class Restriction:
    """A ledger entry. Times are unix seconds by the keeper's steady clock.

    `actions` empty is a warning. `automatic` is False for what a person imposed by hand. `until` of
    a proposal is 0 and `duration` says how long it would last once approved. `offence` counts from 1.
    """

    id: str
    subject: str
    actions: tuple[Action, ...]
    reason: str
    author: str
    state: State
    created: float
    until: float
    duration: float
    revision: int
    policy: str = ""
    automatic: bool = False
    offence: int = 1
    project: str = ""
    host: str = ""
    evidence: Evidence | None = None
    ended: float = 0.0
    in_force: float = 0.0  # when a host first said so; 0 = not yet
    dropped_packets: int = 0
    dropped_bytes: int = 0


@dataclass(frozen=True, slots=True)
class JournalEntry:
    """One line of the append-only journal: who did what to which, why."""

    id: int
    time: float
    author: str
    verb: str  # impose, extend, lift, expire, propose, approve, reject, receipt, refuse, exempt, ...
    restriction: str = ""
    subject: str = ""
    reason: str = ""
    detail: str = ""  # JSON


@dataclass(frozen=True, slots=True)
class Receipt:
    """What a host says it did about one restriction; counters are totals since the rules were laid."""

    restriction: str
    subject: str
    host: str
    in_force: bool
    time: float
    dropped_packets: int = 0
    dropped_bytes: int = 0
    problem: str = ""


@dataclass(frozen=True, slots=True)
class Binding:
    """A restriction as a host must carry it: `remaining` seconds at the moment the keeper answered."""

    restriction: str
    subject: str
    actions: tuple[Action, ...]
    remaining: float


@dataclass(frozen=True, slots=True)
class Imposed:
    """How many restrictions that bind were imposed automatically since some moment, and on whom."""

    cloud: int = 0
    projects: Mapping[str, int] = field(default_factory=dict)
    hosts: Mapping[str, int] = field(default_factory=dict)
