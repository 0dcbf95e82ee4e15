"""What a careless operator or a customer's VM may do to the program of a whole host."""

from __future__ import annotations

import pytest

from sekisho.devices.vswitch import compile as compiler
from sekisho.devices.vswitch.program import Bound
from sekisho.model.inventory import Subject
from sekisho.model.policy import Direction, Drop, Protocol

SMTP = Drop(Protocol.TCP, Direction.EGRESS, 25, 25)
GOOD = Subject("good", "h1", mac="02:00:00:00:00:01", ofport=1)


@pytest.mark.parametrize("mac", ["not-a-mac", "02-00-00-00-00-02"])
def test_a_mac_that_is_none_costs_its_own_port_at_most(mac: str) -> None:
    odd = Subject("odd", "h1", mac=mac, ofport=2)
    program = compiler.compile(
        [odd, GOOD],
        [Bound("r1", "good", (SMTP,), 100.0)],
        [],
        [25],
        compiler.CompileSettings(exact_domain=7),
        1.0,
    )
    assert any(rule.owners == ("r1",) for rule in program.rules)


@pytest.mark.xfail(
    strict=True, reason="a SYN in two fragments is accepted by the far end and counted nowhere"
)
def test_exact_telemetry_sees_a_connection_whose_first_packet_is_in_fragments() -> None:
    program = compiler.compile([GOOD], [], [], [25], compiler.CompileSettings(exact_domain=7), 1.0)
    observing = [rule for rule in program.rules if rule.stage == "observe"]
    assert any(term.name == "nw_frag" for rule in observing for term in rule.match)
