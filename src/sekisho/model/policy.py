"""What the operator wants: actions, scopes, policies (for who misbehaves), baselines (for all in scope)."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final, Literal, TypeAlias

from sekisho.model.errors import NotFound
from sekisho.model.inventory import Subject
from sekisho.model.plain import whole


class Direction(StrEnum):
    """Seen from the VM, as in OpenStack: egress is sent by it, ingress is sent to it."""

    EGRESS = "egress"
    INGRESS = "ingress"


class Mode(StrEnum):
    """What crossing a policy leads to: a journal entry, a proposal, a restriction."""

    WATCH = "watch"
    PROPOSE = "propose"
    ENFORCE = "enforce"


class Protocol(StrEnum):
    """Transport protocols an action can name; ANY is every frame."""

    ANY = "any"
    TCP = "tcp"
    UDP = "udp"
    SCTP = "sctp"
    ICMP = "icmp"


@whole
@dataclass(frozen=True, slots=True)
class Drop:
    """Drop one protocol or a range of its ports, in IPv4 and IPv6 alike.

    `first_port`..`last_port` are the *remote service's* ports for egress (destination) and the VM's
    own for ingress (destination too): always the destination port. 0, 0 means every port.
    """

    protocol: Protocol
    direction: Direction
    first_port: int = 0
    last_port: int = 0
    kind: Literal["drop"] = "drop"


@whole
@dataclass(frozen=True, slots=True)
class Police:
    """Limit the port's whole traffic in one direction to `rate` bit/s.

    `burst` is in bits; 0 lets the driver choose one with which TCP comes close to the rate.
    """

    rate: int
    direction: Direction
    burst: int = 0
    kind: Literal["police"] = "police"


Action: TypeAlias = Drop | Police
LEAST_RATE: Final = 1000  # bit/s: switches count meters in whole kbit/s
PORTLESS: Final = (Protocol.ANY, Protocol.ICMP)


def unfit(action: Action) -> str:
    """Say why no device can carry an action; empty where one may."""
    match action:
        case Drop(protocol, _, first, last):
            if (first or last) and protocol in PORTLESS:
                return f"{protocol} has no ports."
            if (first or last) and not 1 <= first <= last <= 65535:
                return "ports are 1 to 65535, the lower one first; 0 and 0 are all of them."
        case Police(rate, _, burst):
            if rate < LEAST_RATE:
                return "the rate is at least 1,000 bit/s."
            if burst < 0:
                return "the burst is not negative; 0 lets the driver choose."
    return ""


_ID: Final = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.IGNORECASE)


@whole
@dataclass(frozen=True, slots=True)
class Scope:
    """Whom a policy or baseline is for: all, or those any include names; never those an exclude names.

    Empty includes mean everybody. All are exact names: `networks` are ids, `qos` are ids, names or
    tags of QoS policies, which is how operators sell plans. With `younger`, only subjects whose project
    has existed for fewer seconds are in scope, whatever else names them; one of unknown age is young.
    """

    projects: tuple[str, ...] = ()
    subjects: tuple[str, ...] = ()
    tags: tuple[str, ...] = ()
    hosts: tuple[str, ...] = ()
    exclude_projects: tuple[str, ...] = ()
    exclude_subjects: tuple[str, ...] = ()
    exclude_tags: tuple[str, ...] = ()
    exclude_hosts: tuple[str, ...] = ()
    networks: tuple[str, ...] = ()
    flavors: tuple[str, ...] = ()
    qos: tuple[str, ...] = ()
    exclude_networks: tuple[str, ...] = ()
    exclude_flavors: tuple[str, ...] = ()
    exclude_qos: tuple[str, ...] = ()
    younger: float = 0.0

    def matches(self, subject: Subject, now: float = 0.0) -> bool:
        """Tell whether the subject is in scope at `now` (unix seconds)."""
        if self.younger and self.grown(subject, now):
            return False
        return not self.names(subject, "exclude_") and (not self.includes or self.names(subject))

    def names(self, subject: Subject, side: str = "") -> bool:
        """Tell whether any of its includes, or of its excludes, names the subject."""
        given = ((getattr(self, side + kind), of) for kind, of in KINDS.items())
        return any(names and not of(subject).isdisjoint(names) for names, of in given)

    def grown(self, subject: Subject, now: float) -> bool:
        """Tell whether the subject's project is known to be too old for this scope."""
        return bool(subject.project_created) and now - subject.project_created >= self.younger

    @property
    def includes(self) -> bool:
        """Tell whether it names anybody at all, or is for everybody."""
        return any(getattr(self, kind) for kind in KINDS)

    @property
    def plans_by_name(self) -> tuple[str, ...]:
        """List the plans it names otherwise than by their id: hosts know ids, only the cloud the rest."""
        return tuple(name for name in (*self.qos, *self.exclude_qos) if not _ID.fullmatch(name))


def _one(name: str) -> frozenset[str]:
    return frozenset((name,)) if name else frozenset()


# Which names of each kind a subject has, in the order in which a scope is told.
KINDS: Final[Mapping[str, Callable[[Subject], frozenset[str]]]] = {
    "projects": lambda s: _one(s.project),
    "subjects": lambda s: _one(s.id),
    "tags": lambda s: frozenset(s.tags),
    "hosts": lambda s: _one(s.host),
    "networks": lambda s: _one(s.network),
    "flavors": lambda s: _one(s.flavor),
    "qos": lambda s: frozenset(s.qos),
}


class Unit(StrEnum):
    """What a detector's number counts."""

    COUNT = "count"  # events or distinct things in the window
    BYTES = "bytes"  # octets in the window
    PACKETS = "packets"  # packets in the window
    RATIO = "ratio"  # 0..1


@dataclass(frozen=True, slots=True)
class Threshold:
    """A line: `amount` of the detector's unit within `window` seconds.

    ``200 Mbit/s`` over a 10 s window is 250,000,000 bytes in 10 s; ``50 GB/24h`` is 5e10 bytes in
    86,400 s; a ratio's amount is 0..1. `text` is what the operator wrote.
    """

    amount: float
    window: float
    unit: Unit
    text: str = ""


@dataclass(frozen=True, slots=True)
class Condition:
    """One detector over its line. `clear` is the amount it must fall under to count as over."""

    detector: str
    threshold: Threshold
    clear: float = 0.0


@dataclass(frozen=True, slots=True)
class Step:
    """One rung of a ladder: no actions is a warning."""

    actions: tuple[Action, ...]
    duration: float


@dataclass(frozen=True, slots=True)
class Policy:
    """What happens to who misbehaves.

    Crossed when every condition's lower confidence bound has been over its line for `windows`
    closed seconds in a row. The n-th offence within `memory` seconds takes rung n of the ladder;
    beyond the last, the duration grows by `backoff` each time, up to `max_duration`.
    While it stays crossed what binds is extended, or without `extend` ends when it was said to.
    With `early_release` an owner may end what it imposed early, once in so many seconds (0: never).
    `destinations` is ``internet`` (private and the cloud's own prefixes never count) or ``any``.
    """

    name: str
    conditions: tuple[Condition, ...]
    ladder: tuple[Step, ...]
    mode: Mode = Mode.WATCH
    scope: Scope = field(default_factory=Scope)
    description: str = ""
    destinations: Literal["internet", "any"] = "internet"
    confidence: float = 0.95
    windows: int = 1
    memory: float = 7 * 86400.0
    backoff: float = 2.0
    max_duration: float = 7 * 86400.0
    extend: bool = True
    early_release: float = 0.0


@dataclass(frozen=True, slots=True)
class Baseline:
    """What the operator sells or forbids: in force from the moment a port is added, with no end."""

    name: str
    actions: tuple[Action, ...]
    scope: Scope = field(default_factory=Scope)
    description: str = ""


@dataclass(frozen=True, slots=True)
class PolicySet:
    """All policies and baselines in force together; replaced whole."""

    version: int = 0
    policies: tuple[Policy, ...] = ()
    baselines: tuple[Baseline, ...] = ()

    def named(self, name: str) -> Policy | None:
        """Find a policy."""
        return next((p for p in self.policies if p.name == name), None)

    def need(self, name: str) -> Policy:
        """Find a policy; raises NotFound."""
        found = self.named(name)
        if found is None:
            raise NotFound(f"There is no policy {name!r} in force.")
        return found


@dataclass(frozen=True, slots=True)
class Exemption:
    """Whom the guard refuses to bind, why, by whose word, and until when (unix seconds, 0 = no end)."""

    id: str
    scope: Scope
    reason: str
    author: str
    created: float
    until: float = 0.0
    policies: tuple[str, ...] = ()  # empty: every policy
