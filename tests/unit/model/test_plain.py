"""Nouns to plain values and back: nothing is lost, and what does not fit is told with its path."""

from __future__ import annotations

import json
from typing import Any

import pytest

from sekisho.model.errors import Malformed
from sekisho.model.inventory import Host, HostReport, Inventory, Subject, Telemetry
from sekisho.model.plain import from_plain, to_plain
from sekisho.model.policy import Action, Baseline, Direction, Drop, Mode, Police, Protocol, Scope
from sekisho.model.report import CollectorReport, ExporterReport, HostProgram, Talker
from sekisho.model.restriction import Binding, Count, Evidence, Finding, Restriction, State

EVIDENCE = Evidence(
    "p1",
    "spam",
    (Finding("smtp-connections", "count", 60.0, 412.0, 400.0, 425.0, 60.0, 412),),
    940.0,
    1000.0,
    top_destinations=(Count("198.51.100.7", 40.0),),
    exporters=("192.0.2.1",),
)
ACTIONS: tuple[Action, ...] = (
    Drop(Protocol.TCP, Direction.EGRESS, 25, 25),
    Police(10_000_000, Direction.INGRESS),
)
RESTRICTION = Restriction(
    "r1", "p1", ACTIONS, "why", "ada", State.ACTIVE, 1000.0, 2000.0, 1000.0, 7, evidence=EVIDENCE
)


@pytest.mark.parametrize(
    "noun",
    [
        RESTRICTION,
        Restriction("r2", "p1", (), "why", "ada", State.LIFTED, 1.0, 2.0, 1.0, 8),
        Scope(projects=("a",), exclude_tags=("b", "c")),
        Inventory(3, (Host("h1", ("192.0.2.1",), (Telemetry("br-int"),)),), (Subject("p1", "h1"),)),
        HostReport(Host("h1"), (Subject("p1", "h1", tags=("x", "y")),)),
        CollectorReport(
            "c", 1.0, (ExporterReport("192.0.2.1", "sflow"),), (Talker("p1"),), (25,), {"a": 1.0}
        ),
    ],
    ids=lambda noun: type(noun).__name__,
)
def test_there_and_back_again(noun: Any) -> None:
    assert from_plain(type(noun), json.loads(json.dumps(to_plain(noun)))) == noun


def test_whole_numbers_are_taken_for_floats_and_nothing_else_is_bent() -> None:
    assert isinstance(from_plain(Talker, {"subject": "p1", "egress_bps": 7}).egress_bps, float)
    assert from_plain(tuple[Mode, ...], ["watch", "enforce"]) == (Mode.WATCH, Mode.ENFORCE)


def plain(**changed: Any) -> dict[str, Any]:
    return {**to_plain(RESTRICTION), **changed}


@pytest.mark.parametrize(
    ("value", "said"),
    [
        ([], "Restriction: expected an object, found list []."),
        (plain(subject=7), "Restriction.subject: expected a str, found int 7."),
        (plain(revision=True), "Restriction.revision: expected a int, found bool True."),
        (plain(created=True), "Restriction.created: expected a float, found bool True."),
        (plain(automatic=1), "Restriction.automatic: expected a bool, found int 1."),
        (plain(actions="drop"), "Restriction.actions: expected a list, found str 'drop'."),
        (plain(state="on"), "Restriction.state: expected one of proposed, active,"),
        (
            plain(actions=[{"kind": "ban"}]),
            "Restriction.actions[0].kind: expected one of drop, police, found 'ban'.",
        ),
        (
            plain(actions=[{"kind": []}]),
            "Restriction.actions[0].kind: expected one of drop, police, found [].",
        ),
        (plain(actions=[7]), "Restriction.actions[0].kind: expected one of drop, police, found None."),
        (
            plain(actions=[to_plain(ACTIONS[0]), {"kind": "police", "direction": "egress"}]),
            "Restriction.actions[1]: Police.__init__() missing 1 required positional argument: 'rate'.",
        ),
        (
            plain(evidence=to_plain(EVIDENCE) | {"findings": [{"detector": None}]}),
            "Restriction.evidence.findings[0].detector: expected a str, found NoneType None.",
        ),
        (plain(colour="red"), "Restriction.colour: unknown name; known are id, subject,"),
    ],
)
def test_what_does_not_fit_is_told_with_its_path(value: Any, said: str) -> None:
    with pytest.raises(Malformed) as caught:
        from_plain(Restriction, value)
    assert caught.value.asker.startswith(said)


def test_a_mapping_names_its_key_and_a_caller_may_name_the_root() -> None:
    report = {"name": "c", "time": 1.0, "counters": {"a": 1, "b": "two"}}
    with pytest.raises(Malformed, match=r"^body\.counters\.b: expected a float, found str 'two'\.$"):
        from_plain(CollectorReport, report, "body")


def of_a_newer_version(noun: Any, **more: Any) -> Any:
    return to_plain(noun) | more


def test_what_a_newer_version_says_beside_what_we_know_is_passed_over() -> None:
    said = of_a_newer_version(RESTRICTION, mood="bad", evidence=of_a_newer_version(EVIDENCE, colour="red"))
    assert from_plain(Restriction, said, strict=False) == RESTRICTION
    with pytest.raises(Malformed):
        from_plain(Restriction, said)


def test_a_scope_that_would_widen_takes_its_baseline_with_it_and_nothing_else() -> None:
    """Read as "everybody", a scope by something we do not know would bind a whole cloud."""
    wide = Baseline("wide", ACTIONS, Scope())
    odd = of_a_newer_version(wide, name="odd", scope=of_a_newer_version(Scope(), continents=["asia"]))
    same = of_a_newer_version(wide, scope=of_a_newer_version(Scope(), continents=[]))
    program = to_plain(HostProgram("h1", 1)) | {"baselines": [odd, same]}
    assert from_plain(HostProgram, program, strict=False).baselines == (wide,)
    with pytest.raises(Malformed, match="continents"):
        from_plain(Scope, odd["scope"], strict=False)


@pytest.mark.parametrize(
    "action",
    [
        {"kind": "mirror", "direction": "egress"},
        of_a_newer_version(ACTIONS[0], prefix="198.51.100.0/24"),
        of_a_newer_version(ACTIONS[0], protocol="quic"),
    ],
)
def test_an_action_we_could_carry_out_only_wrongly_is_left_out(action: Any) -> None:
    said = to_plain(Binding("r1", "p1", ACTIONS, 60.0))
    said["actions"].append(action)
    assert from_plain(Binding, said, strict=False).actions == ACTIONS
    with pytest.raises(Malformed):
        from_plain(Binding, said)


def test_a_value_of_the_wrong_type_is_no_newer_version() -> None:
    with pytest.raises(Malformed, match="revision"):
        from_plain(Restriction, plain(revision="seven"), strict=False)
