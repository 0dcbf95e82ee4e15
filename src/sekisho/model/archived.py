"""What the archive answers: who sent most, a subject's series, what a policy would have done."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Literal

from sekisho.model.policy import Action, Exemption
from sekisho.model.restriction import Finding

# By what the greatest are found; names of Traffic's fields.
AMOUNTS = ("egress_bytes", "ingress_bytes", "egress_packets", "ingress_packets")

_PROTOCOLS: Final = {1: "icmp", 6: "tcp", 17: "udp", 47: "gre", 50: "esp", 58: "icmpv6", 132: "sctp"}


def protocol(number: int) -> str:
    """Name an IP protocol; the number of one that few know."""
    return _PROTOCOLS.get(number, str(number))


def service(number: int, port: int) -> str:
    """Name a protocol and its service's port; port 0 is every port that is no service's."""
    return f"{protocol(number)}/{port or 'other'}"


@dataclass(frozen=True, slots=True)
class Traffic:
    """What one subject (or port, or far end: `name`) sent and was sent, scaled by sampling."""

    name: str
    egress_bytes: float = 0.0
    ingress_bytes: float = 0.0
    egress_packets: float = 0.0
    ingress_packets: float = 0.0


@dataclass(frozen=True, slots=True)
class FlowTop:
    """The greatest of a span, greatest first; `total` is of all there are. Times: unix seconds.

    The span is wider than asked for where only whole minutes or hours are kept of its ends.
    """

    since: float
    until: float
    by: str
    items: tuple[Traffic, ...] = ()
    total: Traffic = field(default_factory=lambda: Traffic(""))


@dataclass(frozen=True, slots=True)
class Series:
    """One subject's traffic, or with no subject the whole cloud's, in steps of `step` seconds.

    All rows are of one length: entry i is what was sent in the step that begins at `since + i * step`, in
    bytes or packets (not per second). Steps in which nothing was seen are 0; `heard` is False for those
    of which nobody reported at all, and empty where that cannot be told. `lacking` says why it is not the
    archive that told: `none` is kept, or it was `away`; then only what is remembered of late is there.
    """

    subject: str
    since: float
    until: float
    step: float
    egress_bytes: tuple[float, ...] = ()
    ingress_bytes: tuple[float, ...] = ()
    egress_packets: tuple[float, ...] = ()
    ingress_packets: tuple[float, ...] = ()
    heard: tuple[bool, ...] = field(default=(), kw_only=True)
    lacking: Literal["", "none", "away"] = field(default="", kw_only=True)


@dataclass(frozen=True, slots=True)
class Far:
    """One far end of a subject's traffic over a span: address, protocol and the service's port."""

    address: str
    protocol: int
    port: int
    egress_bytes: float = 0.0
    ingress_bytes: float = 0.0
    egress_packets: float = 0.0
    ingress_packets: float = 0.0


@dataclass(frozen=True, slots=True)
class SubjectFlows:
    """One subject over a span: its totals and its greatest far ends."""

    subject: str
    since: float
    until: float
    total: Traffic
    far: tuple[Far, ...] = ()


@dataclass(frozen=True, slots=True)
class Rows:
    """What a question in SQL answered; `cut` where there was more than is given."""

    columns: tuple[str, ...]
    types: tuple[str, ...]
    rows: tuple[tuple[Any, ...], ...]
    cut: bool = False


@dataclass(frozen=True, slots=True)
class ArchiveStatus:
    """How the archive fares. `oldest` and `newest` are times of rows it holds, 0 while it holds none.

    `spooled_*` is what waits on disk to be loaded; `lost_rows` what had to be dropped since the process
    began; `counters` are totals by name; `problem` is what needs a person, empty when all is well.
    """

    store: str
    rows: int = 0
    bytes: int = 0
    oldest: float = 0.0
    newest: float = 0.0
    spooled_blocks: int = 0
    spooled_bytes: int = 0
    lost_rows: int = 0
    counters: Mapping[str, float] = field(default_factory=dict)
    problem: str = ""


@dataclass(frozen=True, slots=True)
class Bound:
    """Who really was bound: what a restriction of the ledger says, for comparison."""

    subject: str
    policy: str
    since: float
    until: float


@dataclass(frozen=True, slots=True)
class BacktestOrder:
    """What to play again: policies as the text of a file, over a span.

    `step` is how many seconds are closed at once, 0: chosen by the span's length; less where they do not fit
    evenly into the windows of all policies. `guard` are settings as
    ``[keeper.guard]`` has them, `exemptions` whom it leaves alone, `bound` who really was.
    """

    text: str
    since: float
    until: float
    step: float = 0.0
    exemptions: tuple[Exemption, ...] = ()
    guard: Mapping[str, Any] = field(default_factory=dict)
    bound: tuple[Bound, ...] = ()


@dataclass(frozen=True, slots=True)
class Spell:
    """One time a subject would have been bound (or warned), from when until when, and on what evidence.

    `outcome` is imposed, warned, proposed (the guard held it back) or refused; `reason` says why.
    """

    subject: str
    policy: str
    since: float
    until: float
    outcome: str
    offence: int = 1
    actions: tuple[Action, ...] = ()
    findings: tuple[Finding, ...] = ()
    reason: str = ""
    project: str = ""
    overlaps: bool = False  # the subject really was bound at some time of this spell


@dataclass(frozen=True, slots=True)
class CurvePoint:
    """With the first condition's line at `amount`, so many distinct subjects would cross it in a day."""

    amount: float
    mean: float
    most: int


@dataclass(frozen=True, slots=True)
class PolicyBacktest:
    """What one policy would have done. `amount` is its line as it stands, `unit` what it counts."""

    policy: str
    mode: str
    detector: str
    unit: str
    window: float
    amount: float
    subjects: int = 0
    projects: int = 0
    spells: tuple[Spell, ...] = ()
    more_spells: int = 0
    overlap: int = 0  # subjects that really were bound as well
    only_real: int = 0  # subjects that were bound by this policy, and would not be
    curve: tuple[CurvePoint, ...] = ()


@dataclass(frozen=True, slots=True)
class Backtest:
    """A back-test as it runs or ended. `done` is 0 to 1; `state` is running, done or failed.

    `records` is how many the policies looked at, `seconds` how long that took, `gaps` spans of more than a
    minute of which the archive holds nothing, `notes` what the reader must know to trust the rest.
    """

    id: str
    state: str
    since: float
    until: float
    step: float
    done: float = 0.0
    records: int = 0
    seconds: float = 0.0
    policies: tuple[PolicyBacktest, ...] = ()
    gaps: tuple[tuple[float, float], ...] = ()
    notes: tuple[str, ...] = ()
    problem: str = ""
