"""Bindings and baselines in, rules and meters out. Pure: the same input gives the same program.

Overlaps merge and the strictest wins, in every second of what is to come: whatever is written into
the switch ends there by itself at the right time, should nobody be left to change it.
"""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from sekisho.devices.vswitch import matches, pipeline
from sekisho.devices.vswitch.pipeline import GUARD, Layout, Stage
from sekisho.devices.vswitch.program import (
    MARK,
    Again,
    Bound,
    Limit,
    Mark,
    Match,
    Meter,
    Program,
    Rule,
    Sample,
    Step,
    term,
)
from sekisho.model.policy import Action, Direction, Drop, Police, Protocol

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from sekisho.model.inventory import Subject
    from sekisho.model.policy import Baseline

_LARGEST: Final = 2**32 - 1  # kbit/s and kbit are 32 bits in OpenFlow


@dataclass(frozen=True, slots=True)
class CompileSettings:
    """`collector_set` and `exact_domain` say where exact telemetry goes; domain 0 is none.

    A meter's burst is `burst` seconds of its rate, and no less than `least_burst` bits (a packet
    may be 64 KB where the sender's card cuts it). Measured: TCP gets 95 % of the rate from 0.2 s on,
    half of it at 0.1 s; with 0.4 s no ten seconds ever see more than 104 % of the rate.
    """

    layout: Layout = field(default_factory=Layout)
    collector_set: int = 1
    exact_domain: int = 0
    burst: float = 0.4
    least_burst: int = 600_000


@dataclass(frozen=True, slots=True)
class _Claim:
    """One action on one subject, until when (infinity: no end), and by whose word."""

    subject: Subject
    action: Action
    until: float
    owner: str


def compile(  # noqa: A001 - it is what this room calls it; nobody needs the builtin here
    subjects: Sequence[Subject],
    bounds: Iterable[Bound],
    baselines: Iterable[Baseline],
    exact_ports: Iterable[int],
    settings: CompileSettings,
    now: float,
    access: Mapping[int, int] | None = None,
) -> Program:
    """Compile what one bridge must carry.

    `subjects` are those of this bridge; bounds of others are left alone, as are those that have
    ended by `now`. `until` of bounds and `now` are of one clock. `access` is the VLAN of each OpenFlow
    port in one, beside the subjects' own: a router's port too sends to who shares a MAC with another.
    Never raises for what operators wrote: what cannot be carried is told in the program's `problems`.
    """
    by_id = {s.id: s for s in subjects}
    live = [b for b in bounds if b.subject in by_id and b.until > now]
    claims = [_Claim(by_id[b.subject], a, b.until, b.restriction) for b in live for a in b.actions]
    for baseline in baselines:
        named = [s for s in subjects if baseline.actions and baseline.scope.matches(s)]
        owner = f"baseline:{baseline.name}"
        claims += [_Claim(s, a, math.inf, owner) for s in named for a in baseline.actions]
    walk = _Walk(subjects, settings)
    walk.observe(subjects, sorted(set(exact_ports)))
    walk.drop(claims)
    walk.limit(claims)
    own = {s.ofport: s.vlan for s in subjects if s.vlan and s.ofport > 0}
    return walk.program({**(access or {}), **own})


def compile_alone(
    subject: Subject,
    subjects: Sequence[Subject],
    bounds: Iterable[Bound],
    baselines: Iterable[Baseline],
    exact_ports: Iterable[int],
    settings: CompileSettings,
    now: float,
) -> Program | None:
    """Compile what one subject adds to the program of all; None where others' rules change with it."""
    others = [s for s in subjects if s.id != subject.id]
    macs = Counter(s.mac.lower() for s in others if s.mac)
    # Subjects that share a MAC share rules or need the place stage, which is about every port.
    if max(macs.values(), default=1) > 1 or subject.mac.lower() in macs:
        return None
    if subject.ofport > 0 and any(s.ofport == subject.ofport for s in others):
        return None
    mine = [b for b in bounds if b.subject == subject.id]
    return compile((subject,), mine, baselines, exact_ports, settings, now)


class _Walk:
    """Collects the rules of one program; equal ones become one that ends with the last of them."""

    def __init__(self, subjects: Sequence[Subject], settings: CompileSettings) -> None:
        self._settings = settings
        self._places = matches.Places(subjects)
        self._rules: dict[tuple[int, Match], tuple[Stage, tuple[Step, ...], float, set[str]]] = {}
        self._meters: list[Meter] = []
        self._problems: dict[str, str] = {}

    def observe(self, subjects: Sequence[Subject], ports: Sequence[int]) -> None:
        """Sample each connection to and reply from the exact ports, at the VM's port."""
        if not self._settings.exact_domain:
            return
        both = (Direction.EGRESS, matches.attempts), (Direction.INGRESS, matches.replies)
        for subject in subjects:
            if subject.ofport <= 0:
                continue
            step = Sample(self._settings.collector_set, self._settings.exact_domain, subject.ofport)
            for direction, kinds in both:
                for match in (m for port in ports for m in kinds(port)):
                    self._lay(pipeline.OBSERVE, 0, subject, direction, match, (step,), math.inf, "")

    def drop(self, claims: Iterable[_Claim]) -> None:
        """Drop what Drops name; a port that may not speak ICMP may still find its neighbours."""
        for claim in claims:
            drop = claim.action
            if not isinstance(drop, Drop) or not self._possible(claim, matches.problem(drop)):
                continue
            place = claim.subject, drop.direction
            for says, match in matches.dropped(drop):
                self._lay(pipeline.DROP, says - 31, *place, match, (), claim.until, claim.owner)
            if drop.protocol is Protocol.ICMP:
                for match in matches.neighbour_discovery():
                    self._lay(pipeline.SPARE, 0, *place, match, (), claim.until, claim.owner)

    def limit(self, claims: Iterable[_Claim]) -> None:
        """Send each limited subject's traffic through its meters, the strictest first.

        A stricter limit that ends earlier stands above a laxer one that ends later: when its rule
        times out in the switch, the other takes over without anybody's help.
        """
        limited: dict[tuple[Subject, Direction], list[_Claim]] = {}
        for claim in claims:
            police = claim.action
            if isinstance(police, Police) and self._possible(claim, _unlimited(police)):
                limited.setdefault((claim.subject, police.direction), []).append(claim)
        for (subject, direction), those in limited.items():
            for layer, (meter, until) in enumerate(self._layers(subject, direction, those)):
                self._meters.append(meter)
                stage = _LIMITS[direction]
                steps = (Limit(meter.key),)
                for owner in meter.owners:
                    self._lay(stage, -layer, subject, direction, frozenset(), steps, until, owner)

    def _layers(
        self, subject: Subject, direction: Direction, claims: Sequence[_Claim]
    ) -> Iterator[tuple[Meter, float]]:
        """Give the meters that are each the strictest for a time, and when that ends; strictest first."""
        left = sorted(claims, key=lambda c: (*self._bucket(c.action), -c.until, c.owner))
        layer = 0
        while left and layer < pipeline.LIMIT_EGRESS.width:
            strictest, until = left[0], left[0].until
            owners = tuple(c.owner for c in left if c.until <= until)
            rate, burst = self._bucket(strictest.action)
            yield Meter(f"{subject.id}/{direction}/{layer}", rate, burst, owners), until
            left = [c for c in left if c.until > until]
            layer += 1

    def _bucket(self, action: Action) -> tuple[int, int]:
        """Give a Police's rate in kbit/s and burst in kbit."""
        if not isinstance(action, Police):
            return 0, 0
        burst = action.burst or max(action.rate * self._settings.burst, self._settings.least_burst)
        return min(_LARGEST, max(1, action.rate // 1000)), min(_LARGEST, max(1, round(burst / 1000)))

    def _possible(self, claim: _Claim, problem: str) -> bool:
        unset = next(self._places.seen(claim.subject, claim.action.direction, GUARD), None)
        if not problem and unset is None:
            what = "OpenFlow port" if claim.action.direction is Direction.EGRESS else "MAC address"
            problem = f"{claim.subject.id} has no {what} on this switch yet"
        if problem:
            self._problems.setdefault(claim.owner, problem)
        return not problem

    def _lay(
        self,
        stage: Stage,
        below: int,
        subject: Subject,
        direction: Direction,
        match: Match,
        steps: tuple[Step, ...],
        until: float,
        owner: str,
    ) -> None:
        if stage.marks:
            steps = (*steps, Mark(stage.marks, stage.marks), Again())
        unset = stage.marks or GUARD
        if stage is pipeline.DROP and _icmp6(match):
            unset |= pipeline.SPARED
        for place in self._places.seen(subject, direction, unset):
            self._put(stage, stage.priority + below, place | match, steps, until, owner)

    def _put(
        self, stage: Stage, priority: int, match: Match, steps: tuple[Step, ...], until: float, owner: str
    ) -> None:
        found = self._rules.get((priority, match))
        if found is None:
            self._rules[priority, match] = stage, steps, until, {owner} - {""}
            return
        owners = found[3] | ({owner} - {""})
        self._rules[priority, match] = stage, found[1], max(found[2], until), owners

    def _place(self, access: Mapping[int, int]) -> None:
        """Write each access port's VLAN into the register, where any rule asks for it."""
        if not any(t.name == MARK and t.mask & pipeline.PLACED for _, m in self._rules for t in m):
            return
        stage = pipeline.PLACE
        for ofport, vlan in access.items():
            mark = Mark((vlan | 0x1000) << 16, pipeline.PLACED)
            match = frozenset({term("in_port", ofport), pipeline.unset(pipeline.PLACED)})
            self._put(stage, stage.priority, match, (mark, Again()), math.inf, "")

    def program(self, access: Mapping[int, int]) -> Program:
        """Put the walk in order and hold it against the contract; `access` is the VLAN by OpenFlow port."""
        self._place(access)
        order = sorted(self._rules.items(), key=lambda item: (-item[0][0], sorted(item[0][1])))
        rules = tuple(
            Rule(
                stage.name,
                priority,
                match,
                steps,
                None if until == math.inf else until,
                tuple(sorted(owners)),
            )
            for (priority, match), (stage, steps, until, owners) in order
        )
        pipeline.check_all(rules)
        ends = [r.until for r in rules if r.until is not None]
        meters = tuple(sorted(self._meters, key=lambda m: m.key))
        return Program(rules, meters, self._problems, min(ends, default=None))


_LIMITS: Final = {Direction.EGRESS: pipeline.LIMIT_EGRESS, Direction.INGRESS: pipeline.LIMIT_INGRESS}


def _unlimited(police: Police) -> str:
    return "" if police.rate > 0 and police.burst >= 0 else f"{police.rate} bit/s is no rate"


def _icmp6(match: Match) -> bool:
    return term("nw_proto", 58) in match
