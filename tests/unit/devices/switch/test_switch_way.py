"""For any two configurations: the way between them arrives, and loses on the way nothing that both have."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields, replace
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from sekisho.devices.switch import vlans
from sekisho.devices.switch.export import taken
from sekisho.devices.switch.intent import (
    KINDS,
    Feature,
    Intent,
    Key,
    Part,
    Port,
    PortMode,
    Route,
    State,
    Svi,
    key,
    parts,
)
from sekisho.devices.switch.loss import severed
from sekisho.devices.switch.members import flipped
from sekisho.devices.switch.overlay import MIRRORED
from sekisho.devices.switch.plan import Plan, plan
from sekisho.devices.switch.risk import RiskKind
from sekisho.model.errors import Malformed, Unavailable
from sekisho.testing.switch import ALL_KINDS, Fault, MemorySwitch
from support_switch_states import FACTS, states, vlan_sets

many = settings(max_examples=150, deadline=None, suppress_health_check=list(HealthCheck))
few = settings(many, max_examples=40)

# In which order a switch takes the steps of one stage: it must not matter.
ORDERS = st.sampled_from(("forwards", "backwards"))


def whole(state: State) -> Intent:
    return replace(taken(state, "leaf-1"), exclusive=frozenset(KINDS) - {"system"})


def go(switch: MemorySwitch, intent: Intent) -> Plan:
    found = plan(intent, switch.state, ALL_KINDS)
    for stage in found.stages:
        switch.apply(stage)
    return found


def plain(state: State) -> Mapping[Key, Part]:
    """Leave out what cannot be told: what a routed port is when switched, an empty channel's LACP."""
    found = {k: taken(State(FACTS, {k: p}), "").parts.get(k, p) for k, p in state.parts.items()}
    empty = {k: replace(p, lacp=None) for k, p in found.items() if isinstance(p, Port) and p.members == ()}
    return {**found, **empty}


def carried(parts: Mapping[Key, Part], port: str) -> str:
    """Give the VLANs that pass a port: through a member only while its channel is up too."""
    part = parts.get(("port", port))
    if not isinstance(part, Port) or part.mode is not PortMode.TRUNK or not part.enabled:
        return ""
    channel = parts.get(("port", part.channel or ""))
    return "" if isinstance(channel, Port) and not channel.enabled else part.allowed or ""


@many
@given(states(), states(), ORDERS)
def test_the_way_arrives_and_then_nothing_is_left_to_do(a: State, b: State, order: str) -> None:
    switch = MemorySwitch(a, backwards=order == "backwards")
    go(switch, whole(b))
    assert plain(switch.state) == plain(b)
    assert not plan(whole(b), switch.state, ALL_KINDS)


@many
@given(states(), states())
def test_the_way_back_arrives_too(a: State, b: State) -> None:
    switch = MemorySwitch(a)
    go(switch, whole(b))
    go(switch, whole(a))
    assert plain(switch.state) == plain(a)


@few
@given(states())
def test_a_switch_that_is_as_it_should_be_has_an_empty_plan(a: State) -> None:
    found = plan(whole(a), a, ALL_KINDS)
    assert (found.stages, found.risks) == ((), ())


@many
@given(states(), states(), ORDERS)
def test_no_stage_cuts_a_vlan_that_both_ends_allow_on_a_trunk(a: State, b: State, order: str) -> None:
    switch = MemorySwitch(a, backwards=order == "backwards")
    go(switch, whole(b))
    for port in (p for p in a.parts.values() if isinstance(p, Port)):
        both = vlans.common(carried(a.parts, port.name), carried(b.parts, port.name))
        for state in switch.history:
            assert not vlans.without(both, carried(state.parts, port.name)), port.name


@many
@given(states(), states())
def test_a_channel_that_keeps_a_member_never_runs_dry(a: State, b: State) -> None:
    switch = MemorySwitch(a)
    go(switch, whole(b))
    flips = flipped(a.parts, b.parts)
    for port in (p for p in a.parts.values() if isinstance(p, Port) and p.members):
        later = b.parts.get(("port", port.name))
        if not isinstance(later, Port) or not later.members or port.name in flips:
            continue
        free = [m for m in later.members if not getattr(a.parts["port", m], "channel", "")]
        if free or set(later.members) & set(port.members or ()):
            for state in switch.history:
                now = state.parts["port", port.name]
                assert isinstance(now, Port)
                assert now.members


@many
@given(states(), states(), ORDERS)
def test_what_both_ends_have_alike_is_never_touched(a: State, b: State, order: str) -> None:
    switch = MemorySwitch(a, backwards=order == "backwards")
    go(switch, whole(b))
    flips = flipped(a.parts, b.parts)
    for subject in a.parts.keys() & b.parts.keys():
        one, other = (_own(p, flips) for p in (a.parts[subject], b.parts[subject]))
        for state in switch.history:
            assert subject in state.parts
            if one == other:
                assert _own(state.parts[subject], flips) == one
            _keeps_common(one, other, state.parts[subject])


def _own(part: Part, flips: frozenset[str]) -> Part:
    """Leave out what a port has from others, and who is in a channel that must be emptied."""
    if isinstance(part, Port) and part.channel is not None:
        mirrored: dict[str, Any] = dict.fromkeys(MIRRORED)
        part = replace(part, **mirrored, channel="" if part.channel in flips else part.channel)
    if isinstance(part, Port) and part.name in flips:
        part = replace(part, members=())
    return part


def _keeps_common(one: Part, other: Part, now: Part) -> None:
    match one, other, now:
        case Route(via=a), Route(via=b), Route(via=c):
            assert set(a or ()) & set(b or ()) <= set(c or ())
        case Svi(addresses=a), Svi(addresses=b), Svi(addresses=c) if one.vrf == other.vrf:
            assert set(a or ()) & set(b or ()) <= set(c or ())
        case _:
            pass


@many
@given(states(), states(), st.data(), ORDERS)
def test_the_way_to_the_switch_stays_unless_its_loss_was_named(
    a: State, b: State, data: st.DataObject, order: str
) -> None:
    keys = sorted(k for k in a.parts if k[0] in ("port", "svi", "route", "user", "vlan", "vrf"))
    needed = frozenset(data.draw(st.sets(st.sampled_from(keys), min_size=1, max_size=3)))
    switch = MemorySwitch(a, backwards=order == "backwards")
    found = go(switch, replace(whole(b), management=needed))
    if {r.kind for r in found.forbidden()} & {RiskKind.CUT_OFF, RiskKind.MANAGEMENT}:
        return
    for subject in needed:
        for state in switch.history:
            assert severed(a.parts[subject], state.parts.get(subject)) == ()


@many
@given(states(), states())
def test_each_step_begins_where_the_last_one_ended(a: State, b: State) -> None:
    now = dict(a.parts)
    for stage in plan(whole(b), a, ALL_KINDS).stages:
        seen = []
        for step in stage:
            part = step.after or step.before
            assert part is not None
            subject = key(part)
            seen.append(subject)
            assert _follows(step.before, now.get(subject))
            if step.after is None:
                del now[subject]
            else:
                now[subject] = step.after
        assert len(seen) == len(set(seen)), "a part changes once in a stage"


def _follows(before: Part | None, stood: Part | None) -> bool:
    """Compare but for what a member has of its channel, which changes with it."""
    if isinstance(before, Port) and isinstance(stood, Port):
        return all(
            getattr(before, f.name) in (None, getattr(stood, f.name))
            for f in fields(Port)
            if f.name not in MIRRORED
        )
    return before == stood


@few
@given(states(), states(), st.data())
def test_a_fault_at_any_step_can_be_gone_back_from_and_gone_on_from(
    a: State, b: State, data: st.DataObject
) -> None:
    stages = plan(whole(b), a, ALL_KINDS).stages
    if not stages:
        return
    number = data.draw(st.integers(1, len(stages)))
    done = data.draw(st.integers(0, len(stages[number - 1])))
    fault = Fault("apply", Unavailable("cut"), number, done, gone=True)
    switch = MemorySwitch(a, faults=(fault,))
    switch.checkpoint("before")
    with pytest.raises(Unavailable):
        go(switch, whole(b))
    switch.come_back()
    half = switch.state
    switch.rollback("before")
    assert switch.state.parts == a.parts
    again = MemorySwitch(half)
    go(again, whole(b))
    assert plain(again.state) == plain(b)


@many
@given(states(), states(), st.data())
def test_a_partial_intent_changes_what_it_mentions_and_nothing_else(
    a: State, b: State, data: st.DataObject
) -> None:
    keys = sorted(k for k in taken(b, "").parts if k in a.parts and k[0] not in ("feature", "svi", "vpc"))
    chosen = data.draw(st.sets(st.sampled_from(keys), max_size=4))
    said = {k: some(taken(b, "").parts[k], data) for k in chosen}
    intent = Intent("leaf-1", said)
    switch = MemorySwitch(a)
    try:
        go(switch, intent)
    except Malformed:  # what it mentions cannot be without what it does not mention
        assert not switch.history
        return
    assert not plan(intent, switch.state, ALL_KINDS)
    assert a.parts.keys() == switch.state.parts.keys()
    for subject, part in switch.state.parts.items():
        before = a.parts[subject]
        for name in changed(before, part) - FOLLOWING:
            assert getattr(said.get(subject), name) is not None


# What follows from what is said of other parts: a member of its channel, a feature of what needs it.
FOLLOWING = frozenset({*MIRRORED, "channel", "members"})


def changed(before: Part, after: Part) -> set[str]:
    if isinstance(after, Feature):
        return set()
    return {f.name for f in fields(after) if getattr(before, f.name) != getattr(after, f.name)}


def some(part: Part, data: st.DataObject) -> Part:
    names = [f.name for f in fields(part) if f.default is None]
    unsaid: dict[str, Any] = dict.fromkeys(data.draw(st.sets(st.sampled_from(names)))) if names else {}
    return replace(part, **unsaid)


@few
@given(states(), states(), st.sets(st.sampled_from(("vlan", "route", "user", "ntp", "community", "trap"))))
def test_of_exclusive_kinds_nothing_else_is_left_and_of_others_nothing_is_removed(
    a: State, b: State, kinds: set[str]
) -> None:
    said = {k: p for k, p in taken(b, "").parts.items() if k[0] in kinds and getattr(p, "vrf", None) in PLAIN}
    switch = MemorySwitch(a)
    go(switch, Intent("leaf-1", said, exclusive=frozenset(kinds)))
    now = switch.state.parts
    always = {("vlan", "1")} if "vlan" in kinds else set()
    assert {k for k in now if k[0] in kinds} == said.keys() | always
    assert {k for k in now if k[0] not in kinds} == {k for k in a.parts if k[0] not in kinds}


PLAIN = (None, "default", "management")


@few
@given(vlan_sets(), vlan_sets(), vlan_sets())
def test_within_leaves_all_other_vlans_of_a_trunk_alone(had: str, said: str, within: str) -> None:
    port = Port("Ethernet1/1", mode=PortMode.TRUNK, allowed=had, channel="")
    switch = MemorySwitch(State(FACTS, parts(port)))
    go(switch, Intent("leaf-1", parts(Port("Ethernet1/1", allowed=said, within=within))))
    now = switch.state.parts["port", "Ethernet1/1"]
    assert isinstance(now, Port)
    wanted = vlans.common(said, within) if within else said
    assert vlans.common(now.allowed or "", within or vlans.ALL) == wanted
    assert vlans.without(now.allowed or "", within or vlans.ALL) == vlans.without(had, within or vlans.ALL)
