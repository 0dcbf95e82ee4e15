"""Steps as commands: what NX-OS's command references ask for, case by case."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sekisho.devices.switch import vlans
from sekisho.devices.switch.driver import Step
from sekisho.devices.switch.intent import (
    Acl,
    Community,
    Part,
    Port,
    Route,
    Svi,
    System,
    Trap,
    User,
    Vlan,
    Vrf,
)
from sekisho.devices.switch.nexus import cli, guard
from sekisho.model.errors import Unsupported
from support_nexus import COMMANDS, PORT, TRUNK


def sent(before: Part | None, after: Part | None) -> list[str]:
    return [line for block in cli.blocks([Step(before, after)]) for line in block]


@pytest.mark.parametrize(("before", "after", "wanted"), COMMANDS)
def test_a_step_is_these_commands(before: Part | None, after: Part | None, wanted: list[str]) -> None:
    assert sent(before, after) == wanted


QUIET = (Port, Svi, Vlan, Vrf, Acl, Route, System, User)


@pytest.mark.parametrize("part", [p for case in COMMANDS for p in case[:2] if isinstance(p, QUIET)])
def test_a_step_that_changes_nothing_sends_nothing(part: Part) -> None:
    assert cli.blocks([Step(part, part)]) == ()


def test_thousands_of_vlans_are_a_few_commands() -> None:
    steps = [Step(None, Vlan(vlan, f"VLAN{vlan:04d}", 0)) for vlan in range(2, 3968)]

    assert cli.blocks(steps) == (("vlan 2-3967",),)


def test_a_long_list_of_vlans_is_cut_into_lines_that_a_switch_takes() -> None:
    odd = vlans.of(range(1, 4094, 2))

    lines = sent(TRUNK, replace(TRUNK, allowed=odd))

    assert len(lines) > 10
    assert all(len(line) < 250 for line in lines)
    removed = "".join("," + line.rpartition(" ")[2] for line in lines[1:])
    assert vlans.parse(removed[1:]) == vlans.without(vlans.ALL, odd)


@given(before=st.sets(st.integers(1, 4094)), after=st.sets(st.integers(1, 4094)), new=st.booleans())
def test_a_list_of_allowed_vlans_is_never_replaced(before: set[int], after: set[int], *, new: bool) -> None:
    old = replace(PORT if new else TRUNK, allowed=vlans.of(before))

    lines = sent(old, replace(TRUNK, allowed=vlans.of(after)))

    allowed = vlans.of(before)
    for line in lines:
        words = line.split()
        if words[:2] != ["switchport", "trunk"]:
            continue
        assert words[4] in ("add", "remove", "none")
        match words[4:]:
            case ["add", ids]:
                allowed = vlans.join(allowed, vlans.parse(ids))
            case ["remove", ids]:
                allowed = vlans.without(allowed, vlans.parse(ids))
            case _:
                allowed = ""
        kept = vlans.common(vlans.of(before), vlans.of(after))
        assert vlans.common(allowed, kept) == kept  # at no moment is lost what both ends have
    assert allowed == vlans.of(after)


@pytest.mark.parametrize(
    "line",
    [
        "switchport trunk allowed vlan 10",
        "  switchport trunk allowed vlan 10,20-30",
        "sw tr al v 10",
        "Switchport Trunk Allowed VLAN 1-4094",
        "description x\nshutdown",
        "description x ; shutdown",
    ],
)
def test_the_last_door_lets_nothing_dangerous_out(line: str) -> None:
    with pytest.raises(Unsupported):
        guard.check([line])


@pytest.mark.parametrize(
    "line", [f"switchport trunk allowed vlan {w}" for w in ("add 1", "remove 1", "none", "all", "except 1")]
)
def test_the_last_door_lets_the_harmless_out(line: str) -> None:
    guard.check([line])


@pytest.mark.parametrize(
    "text", ["größe", "what?", "a ; shutdown", "two\nlines", "tab\there", " blank", "x" * 255, "\N{SNOWMAN}"]
)
def test_text_that_a_command_line_would_misread_is_refused(text: str) -> None:
    with pytest.raises(Unsupported, match="Ethernet1/1: description"):
        cli.blocks([Step(PORT, replace(PORT, description=text))])


@pytest.mark.parametrize(
    "text", ['the "big" one', "! not a comment", "rack 4 | row 2", "a;b", "it's -> core"]
)
def test_text_that_only_looks_odd_goes_as_it_is(text: str) -> None:
    assert sent(PORT, replace(PORT, description=text))[1] == f"description {text}"


def test_a_switched_port_takes_no_list_for_traffic_out() -> None:
    with pytest.raises(Unsupported, match="in only"):
        cli.blocks([Step(PORT, replace(PORT, acl4_out="web"))])


def test_secrets_are_not_shown() -> None:
    steps = [
        Step(None, Community("hush1", write=False)),
        Step(None, Trap("10.9.9.5", "2c", "hush2", "default")),
        Step(None, Trap("10.9.9.6", "3", "hush3", "default")),
        Step(None, User("eve", "network-operator", "$5$hush4")),
    ]

    (only,) = cli.render(steps)

    assert "hush" in only.text
    assert "hush" not in only.shown
