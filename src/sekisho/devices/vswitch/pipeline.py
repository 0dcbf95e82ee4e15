"""Our part of a bridge's table, as data: stages in the order of the walk, and what each may do.

All rules stand in one table, above everything else, under our own cookie. A packet that a stage lets
pass is marked in one register and looked up again in the same table, where that stage no longer
matches it; at the end it falls through to whatever the bridge did before we came.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from sekisho.devices.vswitch.program import FIELDS, MARK, Again, Limit, Mark, Rule, Sample, Term, term
from sekisho.model.errors import Malformed

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

# Bits of our register. GUARD is never set: rules that need no other bit match it to stay apart from
# a stranger's rule of the same match and priority.
OBSERVED: Final = 1 << 0
LIMITED_EGRESS: Final = 1 << 1
LIMITED_INGRESS: Final = 1 << 2
SPARED: Final = 1 << 3
GUARD: Final = 1 << 4
# VLAN id with the "present" bit, as OpenFlow has it (0x1000), in bits 16 to 28.
PLACED: Final = 0x1FFF << 16

_HEADERS: Final = frozenset({"vlan_tci", "eth_type", "nw_proto", MARK})
_EITHER: Final = frozenset({"in_port", "dl_dst"})


@dataclass(frozen=True, slots=True)
class Layout:
    """Where our rules stand on a bridge: table 0 of a bare one, 60 (TRANSIENT) of Neutron's br-int.

    `cookie` is the upper half of every cookie of ours, `register` the OpenFlow register we mark. The
    lower half says what the rule says, or with `one_cookie` is always 1: for a bridge whose owner
    deletes what bears a cookie that was not reserved with it.
    """

    table: int = 0
    register: int = 13
    cookie: int = 0x5E4B15E0
    one_cookie: bool = False

    @property
    def reserved(self) -> int:
        """The whole cookie of all our rules where there is but one."""
        return self.cookie << 32 | 1


@dataclass(frozen=True, slots=True)
class Stage:
    """One stop of the walk: `priority` is its highest, `width` how many below belong to it too.

    `marks` are the register bits it sets, which its rules must find unset; 0 for a stage that ends
    the walk. `steps` are what it may do before it marks.
    """

    name: str
    priority: int
    width: int
    fields: frozenset[str]
    marks: int = 0
    steps: tuple[type[Sample | Limit], ...] = ()


PLACE: Final = Stage("place", 65000, 1, frozenset({"in_port", MARK}), PLACED)
OBSERVE: Final = Stage(
    "observe", 64900, 1, _HEADERS | _EITHER | {"tp_src", "tp_dst", "tcp_flags"}, OBSERVED, (Sample,)
)
SPARE: Final = Stage("spare", 64800, 1, _HEADERS | _EITHER | {"icmp_type"}, SPARED)
DROP: Final = Stage("drop", 64100, 32, _HEADERS | _EITHER | {"tp_src", "tp_dst", "nw_frag"})
LIMIT_EGRESS: Final = Stage(
    "limit-egress", 63999, 500, frozenset({"in_port", MARK}), LIMITED_EGRESS, (Limit,)
)
LIMIT_INGRESS: Final = Stage(
    "limit-ingress", 62999, 500, frozenset({"dl_dst", "vlan_tci", MARK}), LIMITED_INGRESS, (Limit,)
)
STAGES: Final[Mapping[str, Stage]] = {
    s.name: s for s in (PLACE, OBSERVE, SPARE, DROP, LIMIT_EGRESS, LIMIT_INGRESS)
}

_IP: Final = (0x0800, 0x86DD)
_TRANSPORTS: Final = (6, 17, 132)


def unset(bits: int) -> Term:
    """Match packets on which those bits of the register are not set yet."""
    return term(MARK, 0, bits)


def check(rule: Rule) -> None:
    """Refuse a rule that breaks its stage's contract; raises Malformed naming every breach."""
    stage = STAGES.get(rule.stage)
    problems = [f"there is no stage {rule.stage!r}"] if stage is None else list(_breaches(stage, rule))
    if problems:
        raise Malformed(
            "A rule breaks the contract of our table.", f"{rule}: {'; '.join(problems)}.", tuple(problems)
        )


def check_all(rules: Iterable[Rule]) -> None:
    """Check every rule, and that no two have the same place in the table."""
    seen: set[object] = set()
    for rule in rules:
        check(rule)
        if rule.key in seen:
            raise Malformed(
                "Two rules claim one place in our table.", f"{rule}: same match and priority twice."
            )
        seen.add(rule.key)


def _breaches(stage: Stage, rule: Rule) -> Iterable[str]:
    terms = {t.name: t for t in rule.match}
    if not stage.priority - stage.width < rule.priority <= stage.priority:
        yield f"priority {rule.priority} is not of stage {stage.name}"
    if len(terms) != len(rule.match):
        yield "a field is matched twice"
    if alien := sorted(set(terms) - stage.fields):
        yield f"stage {stage.name} does not match {', '.join(alien)}"
    if not _EITHER & set(terms):
        yield "it names no subject: in_port or dl_dst must be matched"
    yield from _marks(stage, rule, terms)
    yield from _headers(terms)
    for t in rule.match:
        if t.mask == 0 or t.mask >> FIELDS[t.name] or t.value & ~t.mask:
            yield f"{t.name}={t.value:#x}/{t.mask:#x} is no match at all or outside its mask"


def _marks(stage: Stage, rule: Rule, terms: Mapping[str, Term]) -> Iterable[str]:
    mark = terms.get(MARK)
    needed = stage.marks or GUARD
    # One bit of those it sets is enough: a packet passes a marking stage once.
    if mark is None or not mark.mask & needed or mark.value & needed & mark.mask:
        yield f"it does not ask for register bits {needed:#x} to be unset"
    if not stage.marks:
        if rule.steps:
            yield f"stage {stage.name} drops and does nothing else"
        return
    match rule.steps:
        case (*before, Mark() as last, Again()):
            if not last.mask & needed or last.mask & ~stage.marks or not last.value:
                yield f"stage {stage.name} marks bits {stage.marks:#x} and no others"
            if not all(isinstance(step, stage.steps) for step in before):
                yield f"stage {stage.name} does not take such a step"
        case _:
            yield f"stage {stage.name} ends by marking and looking up again"


def _headers(terms: Mapping[str, Term]) -> Iterable[str]:
    def value(name: str) -> int:
        return terms[name].value if name in terms else -1

    if {"nw_proto", "nw_frag"} & set(terms) and value("eth_type") not in _IP:
        yield "an IP header is matched without eth_type"
    if {"tp_src", "tp_dst"} & set(terms) and value("nw_proto") not in _TRANSPORTS:
        yield "ports are matched without their protocol"
    if "tcp_flags" in terms and value("nw_proto") != _TRANSPORTS[0]:
        yield "TCP flags are matched without TCP"
    if "icmp_type" in terms and value("nw_proto") not in (1, 58):
        yield "an ICMP type is matched without ICMP"
