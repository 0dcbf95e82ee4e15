"""Bindings in, rules out: what the compiler promises, asked of the switch that executes its rules."""

from __future__ import annotations

import ast
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sekisho.devices.vswitch import compile as compiler
from sekisho.devices.vswitch.compile import CompileSettings
from sekisho.devices.vswitch.matches import prefixes
from sekisho.devices.vswitch.program import Bound, Limit, Program, Rule, bound
from sekisho.model.policy import Action, Baseline, Direction, Drop, Police, Protocol, Scope
from sekisho.model.restriction import Binding
from sekisho.testing.packets import IPV6, SYN, SYN_ACK, TCP, UDP
from support_vswitch import EXACT_DOMAIN, FakeRig, subject

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from sekisho.model.inventory import Subject

EGRESS, INGRESS = Direction.EGRESS, Direction.INGRESS
MAIL = Drop(Protocol.TCP, EGRESS, 25)
SETTINGS = CompileSettings(exact_domain=EXACT_DOMAIN)
NOW = 1000.0


def compiled(
    *bounds: Bound,
    subjects: Sequence[Subject] = (subject(1), subject(2)),
    baselines: Iterable[Baseline] = (),
    ports: Iterable[int] = (),
) -> Program:
    return compiler.compile(subjects, bounds, baselines, ports, SETTINGS, NOW)


def one(*actions: Action, until: float = 100.0, name: str = "r1", port: int = 1) -> Bound:
    return Bound(name, f"port-{port}", actions, NOW + until)


def rules(program: Program, stage: str) -> list[Rule]:
    return [r for r in program.rules if r.stage == stage]


def meter_of(rule: Rule) -> str:
    return next(s.meter for s in rule.steps if isinstance(s, Limit))


def test_nothing_gives_nothing() -> None:
    assert compiled() == Program()


def test_the_same_gives_the_same_whatever_the_order() -> None:
    bounds = [one(MAIL), one(Police(5_000_000, EGRESS), name="r2"), one(MAIL, name="r3", until=50, port=2)]
    assert compiled(*bounds) == compiled(*reversed(bounds))


def test_a_warning_needs_no_rule() -> None:
    program = compiled(one())
    assert (program.rules, program.problems) == ((), {})


def test_what_has_ended_or_is_elsewhere_is_left_alone() -> None:
    assert compiled(one(MAIL, until=0), one(MAIL, port=9)) == Program()


def test_one_rule_of_two_restrictions_ends_with_the_last() -> None:
    program = compiled(one(MAIL, until=60), one(MAIL, until=90, name="r2"))
    assert {r.until for r in program.rules} == {NOW + 90}
    assert {r.owners for r in program.rules} == {("r1", "r2")}


def test_a_wider_drop_does_not_hold_a_narrower_one_longer() -> None:
    program = compiled(one(MAIL, until=90), one(Drop(Protocol.TCP, EGRESS), until=60, name="r2"))
    ends = {owner: r.until for r in program.rules for owner in r.owners}
    assert ends == {"r1": NOW + 90, "r2": NOW + 60}


def test_a_baseline_takes_the_end_away() -> None:
    program = compiled(one(MAIL), baselines=[Baseline("b", (MAIL,), Scope(subjects=("port-1",)))])
    assert {r.until for r in program.rules} == {None}
    assert program.next_end is None
    assert {r.owners for r in program.rules} == {("baseline:b", "r1")}


def test_a_baseline_is_for_those_in_scope() -> None:
    baseline = Baseline("b", (Drop(Protocol.ANY, EGRESS),), Scope(projects=("p",)))
    program = compiled(subjects=[subject(1, project="p"), subject(2)], baselines=[baseline])
    assert len(program.rules) == 1


def test_the_strictest_limit_wins_and_the_laxer_takes_over_when_it_ends() -> None:
    program = compiled(
        one(Police(10_000_000, EGRESS), until=60),
        one(Police(20_000_000, EGRESS), until=90, name="r2"),
        one(Police(30_000_000, EGRESS), until=80, name="r3"),
    )
    first, second = rules(program, "limit-egress")
    rates = {m.key: (m.rate, m.owners) for m in program.meters}
    assert (rates[meter_of(first)], first.until) == ((10_000, ("r1",)), NOW + 60)
    # r3 is laxer than r2 and ends before it: at no time is it the strictest.
    assert (rates[meter_of(second)], second.until) == ((20_000, ("r2", "r3")), NOW + 90)
    assert len(program.meters) == 2


def test_a_limit_that_is_laxer_and_shorter_needs_no_meter() -> None:
    program = compiled(one(Police(10, EGRESS)), one(Police(20, EGRESS), name="r2", until=50))
    assert [m.owners for m in program.meters] == [("r1", "r2")]


def test_a_limits_key_stays_while_its_rate_changes() -> None:
    before = compiled(one(Police(10_000_000, EGRESS)))
    after = compiled(one(Police(20_000_000, EGRESS)))
    assert [m.key for m in before.meters] == [m.key for m in after.meters]
    assert before.rules == after.rules


@pytest.mark.parametrize(
    ("rate", "burst", "bucket"),
    [
        (10_000_000, 0, 4000),
        (100_000, 0, 600),
        (10_000_000, 2_000_000, 2000),
        (1, 1, 1),
        (10**15, 0, 2**32 - 1),
    ],
)
def test_a_burst_lets_tcp_come_close_to_the_rate(rate: int, burst: int, bucket: int) -> None:
    (meter,) = compiled(one(Police(rate, EGRESS, burst))).meters
    assert meter.burst == bucket


@pytest.mark.parametrize(
    ("changes", "action", "word"),
    [
        ({"ofport": 0}, MAIL, "OpenFlow port"),
        ({"ofport": -1}, Police(1000, EGRESS), "OpenFlow port"),
        ({"mac": ""}, Drop(Protocol.ANY, INGRESS), "MAC"),
        ({}, Drop(Protocol.ICMP, EGRESS, 8), "ICMP"),
        ({}, Drop(Protocol.TCP, EGRESS, 30, 20), "30-20"),
        ({}, Drop(Protocol.TCP, EGRESS, 1, 70000), "70000"),
        ({}, Police(0, EGRESS), "no rate"),
    ],
)
def test_what_cannot_be_carried_is_told(changes: dict[str, object], action: Action, word: str) -> None:
    program = compiled(one(action, MAIL, port=2), one(action), subjects=[subject(1, **changes), subject(2)])
    assert word in program.problems["r1"]


def test_a_binding_ends_by_our_own_clock() -> None:
    assert bound(Binding("r1", "s", (), 30.0), 500.0).until == 530.0


@given(st.integers(0, 65535), st.integers(0, 65535))
@settings(max_examples=200, deadline=None)
def test_prefixes_cover_a_range_exactly_and_with_no_more_than_needed(a: int, b: int) -> None:
    first, last = min(a, b), max(a, b)
    cover = list(prefixes(first, last))
    assert sum(65536 - mask for _, mask in cover) == last - first + 1
    assert cover[0][0] == first
    assert all(value & ~mask & 0xFFFF == 0 for value, mask in cover)
    ends = [value + (65535 ^ mask) for value, mask in cover]
    assert [value for value, _ in cover[1:]] == [e + 1 for e in ends[:-1]]
    assert ends[-1] == last
    assert len(cover) <= 30


@given(st.integers(1, 65535), st.integers(1, 65535), st.integers(0, 65535), st.sampled_from([TCP, UDP]))
@settings(max_examples=60, deadline=None)
def test_a_port_is_dropped_when_it_is_in_the_range_and_not_else(
    a: int, b: int, port: int, spoken: int
) -> None:
    first, last = min(a, b), max(a, b)
    rig = FakeRig()
    rig.agent().carry(rig.subjects, [one(Drop(Protocol.UDP, EGRESS, first, last))], (), (), NOW)
    passes = rig.sends(1, 3, protocol=spoken, dst_port=port)
    assert passes is not (spoken == UDP and first <= port <= last)


def test_new_connections_to_exact_ports_are_told_once_whatever_else_befalls_them() -> None:
    rig = FakeRig()
    rig.agent().carry(rig.subjects, [one(MAIL)], (), [25, 587], NOW)
    for kind in ({}, {"eth_type": IPV6}):
        fate = rig.send(1, 3, protocol=TCP, dst_port=25, flags=SYN, **kind)
        assert (fate.samples, fate.passed) == ([(EXACT_DOMAIN, 1)], False)
        fate = rig.send(2, 3, protocol=TCP, dst_port=587, flags=SYN, **kind)
        assert (fate.samples, fate.passed) == ([(EXACT_DOMAIN, 2)], True)
        fate = rig.send(3, 2, protocol=TCP, src_port=25, dst_port=4000, flags=SYN_ACK, **kind)
        assert (fate.samples, fate.passed) == ([(EXACT_DOMAIN, 2)], True)
    for other in ({"flags": SYN_ACK}, {"flags": 0x10}, {"flags": SYN, "dst_port": 80}):
        assert rig.send(2, 3, **{"protocol": TCP, "dst_port": 25, **other}).samples == []


def test_a_packet_between_two_limited_vms_meets_both_limits() -> None:
    rig = FakeRig()
    bounds = [one(Police(10**9, EGRESS)), one(Police(10**9, INGRESS), name="r2", port=2)]
    rig.agent().carry(rig.subjects, bounds, (), (), NOW)
    assert len(rig.send(1, 2).meters) == 2
    assert len(rig.send(1, 3).meters) == 1
    assert rig.send(2, 1).meters == []


def test_left_alone_the_switch_falls_back_to_the_laxer_limit_and_then_to_none() -> None:
    rig = FakeRig()
    bounds = [one(Police(1_000_000, EGRESS), until=60), one(Police(9_000_000, EGRESS), name="r2", until=90)]
    rig.agent().carry(rig.subjects, bounds, (), (), NOW)
    strict = rig.send(1, 3).meters
    rig.advance(61)
    lax = rig.send(1, 3).meters
    assert len(strict) == len(lax) == 1
    assert strict != lax
    rig.advance(31)
    assert rig.send(1, 3).meters == []


@pytest.mark.parametrize("vlans", [(10, 20), (10, 0), (0, 20)])
def test_one_mac_in_two_networks_is_two_subjects(vlans: tuple[int, int]) -> None:
    rig = FakeRig()
    twins = [subject(n, mac="02:00:00:00:00:01", vlan=v) for n, v in zip((1, 2), vlans, strict=True)]
    neighbours = [subject(n, vlan=v) for n, v in zip((4, 5), vlans, strict=True)]
    rig.subjects = (*twins, *neighbours)
    rig.agent().carry(rig.subjects, [one(Drop(Protocol.ANY, INGRESS))], (), (), NOW)
    assert not rig.sends(4, 1)
    assert rig.sends(5, 1)
    assert not rig.sends(3, 1, vlan=vlans[0])
    assert rig.sends(3, 1, vlan=vlans[1])


def test_who_is_no_subject_sends_from_a_network_too() -> None:
    """A router's port has a VLAN, and is nobody's."""
    rig = FakeRig()
    rig.subjects = tuple(subject(n, mac="02:00:00:00:00:01", vlan=v) for n, v in ((1, 10), (2, 20)))
    bounds = [one(Drop(Protocol.ANY, INGRESS))]
    rig.agent().carry(rig.subjects, bounds, (), (), NOW, access={4: 10, 5: 20})
    assert not rig.sends(4, 1)
    assert rig.sends(5, 1)


def test_no_vlan_is_looked_at_while_macs_differ() -> None:
    subjects = [subject(1, vlan=10), subject(2, vlan=20)]
    program = compiled(one(Drop(Protocol.ANY, INGRESS)), subjects=subjects)
    assert [r.stage for r in program.rules] == ["drop"]


def test_there_and_back_again_the_table_is_the_same() -> None:
    rig, agent = FakeRig(), None
    agent = rig.agent()
    one_way = [
        one(MAIL, Police(10_000_000, EGRESS)),
        one(Drop(Protocol.UDP, INGRESS, 5, 900), port=2, name="r2"),
    ]
    other = [one(Drop(Protocol.ANY, INGRESS)), one(Police(1_000_000, EGRESS), name="r9")]
    agent.carry(rig.subjects, one_way, (), [25], NOW)
    before = rig.switch.table_hash
    agent.carry(rig.subjects, other, [Baseline("b", (MAIL,))], (), NOW)
    assert rig.switch.table_hash != before
    agent.carry(rig.subjects, one_way, (), [25], NOW)
    assert rig.switch.table_hash == before


def test_the_compiler_imports_the_standard_library_alone() -> None:
    for module in (compiler, sys.modules["sekisho.devices.vswitch.matches"]):
        tree = ast.parse(Path(str(module.__file__)).read_text())
        names = {n.module or "" for n in ast.walk(tree) if isinstance(n, ast.ImportFrom)}
        names |= {a.name for n in ast.walk(tree) if isinstance(n, ast.Import) for a in n.names}
        roots = {name.partition(".")[0] for name in names} - {"sekisho"}
        assert roots <= sys.stdlib_module_names
