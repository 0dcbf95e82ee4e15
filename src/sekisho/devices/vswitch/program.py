"""What one bridge must carry: rules and meters, and which restrictions they stand for."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, Literal, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Mapping

    from sekisho.model.policy import Action
    from sekisho.model.restriction import Binding

MARK: Final = "mark"
# Width in bits of each field a rule may match; MARK is our register, wherever the layout puts it.
FIELDS: Final[Mapping[str, int]] = {
    "in_port": 32,
    "dl_dst": 48,
    "vlan_tci": 16,
    "eth_type": 16,
    "nw_proto": 8,
    "nw_frag": 2,
    "icmp_type": 8,
    "tp_src": 16,
    "tp_dst": 16,
    "tcp_flags": 12,
    MARK: 32,
}


@dataclass(frozen=True, slots=True, order=True)
class Term:
    """One field of a match: the packet's value under `mask` equals `value`."""

    name: str
    value: int
    mask: int


def term(name: str, value: int, mask: int | None = None) -> Term:
    """Make a term; without a mask the whole field counts."""
    mask = (1 << FIELDS[name]) - 1 if mask is None else mask
    return Term(name, value & mask, mask)


Match: TypeAlias = frozenset[Term]


@dataclass(frozen=True, slots=True)
class Sample:
    """Export every packet as IPFIX: observation domain and point, to one collector set."""

    collector_set: int
    domain: int
    point: int
    kind: Literal["sample"] = "sample"


@dataclass(frozen=True, slots=True)
class Limit:
    """Send through the meter of that key; it drops what is over."""

    meter: str
    kind: Literal["limit"] = "limit"


@dataclass(frozen=True, slots=True)
class Mark:
    """Write `value` into the bits `mask` of our register."""

    value: int
    mask: int
    kind: Literal["mark"] = "mark"


@dataclass(frozen=True, slots=True)
class Again:
    """Look the packet up in our table again, now that it is marked."""

    kind: Literal["again"] = "again"


Step: TypeAlias = Sample | Limit | Mark | Again
RuleKey: TypeAlias = tuple[int, Match]


@dataclass(frozen=True, slots=True)
class Rule:
    """One OpenFlow rule of ours. No steps is a drop.

    `until` is when it ends by itself (the agent's steady clock), None never. `owners` are the
    restrictions it stands for; baselines appear as ``baseline:NAME``.
    """

    stage: str
    priority: int
    match: Match
    steps: tuple[Step, ...] = ()
    until: float | None = None
    owners: tuple[str, ...] = ()

    @property
    def key(self) -> RuleKey:
        """What tells rules of a table apart, for us as for the switch."""
        return self.priority, self.match

    @property
    def identity(self) -> int:
        """32 bits of what the rule says, its end apart; the lower half of its cookie."""
        text = repr((self.priority, sorted(self.match), self.steps))
        return int.from_bytes(hashlib.sha256(text.encode()).digest()[:4], "big")


@dataclass(frozen=True, slots=True)
class Meter:
    """A limit: `rate` in kbit/s and `burst` in kbit, under a key that stays while both change."""

    key: str
    rate: int
    burst: int
    owners: tuple[str, ...] = ()


ItemKey: TypeAlias = RuleKey | str


@dataclass(frozen=True, slots=True)
class Program:
    """All rules and meters one bridge must carry, in the order of the walk.

    `problems` says per restriction what cannot be carried and why; `next_end` is when the first
    of its rules ends, and with it the time to compile anew.
    """

    rules: tuple[Rule, ...] = ()
    meters: tuple[Meter, ...] = ()
    problems: Mapping[str, str] = field(default_factory=dict)
    next_end: float | None = None

    @property
    def items(self) -> dict[ItemKey, Rule | Meter]:
        """Meters first, since rules refer to them."""
        meters: dict[ItemKey, Rule | Meter] = {m.key: m for m in self.meters}
        return meters | {r.key: r for r in self.rules}


@dataclass(frozen=True, slots=True)
class Bound:
    """A restriction as this bridge must carry it until `until` (the agent's steady clock)."""

    restriction: str
    subject: str
    actions: tuple[Action, ...]
    until: float


def bound(binding: Binding, answered: float) -> Bound:
    """Give a binding its end on the clock that showed `answered` when the keeper told it."""
    return Bound(binding.restriction, binding.subject, binding.actions, answered + binding.remaining)
