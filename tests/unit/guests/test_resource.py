"""Restrictions as Neutron's API shows them, and actions as it is asked for them."""

from __future__ import annotations

from typing import Any

import pytest

from sekisho.guests.neutron.resource import from_actions, moment, sentence, to_action, to_resource
from sekisho.model.errors import Malformed
from sekisho.model.policy import Action, Direction, Drop, Police, Protocol
from sekisho.model.restriction import Evidence, Finding, Restriction, State

EGRESS = Direction.EGRESS
SHOWN: list[tuple[Action, dict[str, Any]]] = [
    (
        Drop(Protocol.TCP, EGRESS, 25, 25),
        {
            "action": "drop",
            "direction": "egress",
            "protocol": "tcp",
            "port_range_min": 25,
            "port_range_max": 25,
        },
    ),
    (Drop(Protocol.ANY, EGRESS), {"action": "drop", "direction": "egress", "protocol": "any"}),
    (Police(10_000_000, EGRESS), {"action": "limit", "direction": "egress", "max_kbps": 10_000}),
    (
        Police(10_000_000, EGRESS, 4_000_000),
        {"action": "limit", "direction": "egress", "max_kbps": 10_000, "max_burst_kbits": 4000},
    ),
]
EVIDENCE = Evidence(
    "p1",
    "spam",
    (Finding("smtp-connections", "count", 3600.0, 240.4, 200.0, 280.0, 100.0, 240),),
    1_800_000_000.0,
    1_800_003_600.0,
)


@pytest.mark.parametrize(("action", "shown"), SHOWN)
def test_an_action_is_asked_for_as_it_is_shown(action: Action, shown: dict[str, Any]) -> None:
    assert to_action(action) == shown
    assert from_actions([shown]) == (action,)


def test_numbers_as_words_are_numbers_and_one_port_is_a_range() -> None:
    asked = {"action": "drop", "direction": "ingress", "protocol": "udp", "port_range_min": "53"}
    assert from_actions([asked]) == (Drop(Protocol.UDP, Direction.INGRESS, 53, 53),)


@pytest.mark.parametrize(
    ("asked", "says"),
    [
        ("drop", "actions: is a list"),
        (["drop"], r"actions\[0\]: is an object"),
        ([{}], r"actions\[0\]: action is drop or limit"),
        ([{"action": "drop", "protocol": "tcp"}], "direction is one of egress, ingress"),
        ([{"action": "drop", "direction": "egress", "protocol": "gre"}], "protocol is one of"),
        ([{**SHOWN[0][1], "port_range_max": 24}], "lower one first"),
        ([{**SHOWN[0][1], "colour": "red"}], "unknown colour"),
        ([{**SHOWN[2][1], "max_kbps": 0}], "at least 1,000"),
        ([{**SHOWN[2][1], "max_kbps": -1}], "whole number"),
        ([{**SHOWN[2][1], "max_kbps": True}], "whole number"),
        ([SHOWN[0][1], {}], r"actions\[1\]"),
    ],
)
def test_every_mistake_is_named_by_its_place(asked: Any, says: str) -> None:
    with pytest.raises(Malformed, match=says):
        from_actions(asked)


def test_a_restriction_says_why_since_when_until_when_and_what_came_of_it() -> None:
    entry = Restriction(
        "r1",
        "p1",
        (Drop(Protocol.TCP, EGRESS, 25, 25),),
        "it sent spam",
        "policy:spam",
        State.ACTIVE,
        1_800_003_600.0,
        1_800_090_000.0,
        86_400.0,
        7,
        policy="spam",
        automatic=True,
        project="before",
        evidence=EVIDENCE,
        dropped_packets=3,
    )
    shown = to_resource(entry, "now")
    assert shown["project_id"] == "now"
    assert (shown["origin"], shown["policy"], shown["state"]) == ("automatic", "spam", "active")
    assert shown["created_at"] == "2027-01-15T09:00:00Z"
    assert shown["expires_at"] == "2027-01-16T09:00:00Z"
    assert shown["in_force_at"] is None
    assert shown["dropped_packets"] == 3
    assert "author" not in shown


def test_evidence_is_a_sentence() -> None:
    assert sentence(EVIDENCE) == (
        "smtp-connections 240 (at least 200) over 100 in 1 h, measured from 2027-01-15T08:00:00Z to"
        " 2027-01-15T09:00:00Z."
    )
    assert sentence(None) == ""
    assert moment(0.0) is None
