"""Short ways to a state, a plan and what it says, for tests."""

from __future__ import annotations

from dataclasses import replace

from sekisho.devices.switch import words
from sekisho.devices.switch.intent import (
    Facts,
    Feature,
    Intent,
    Part,
    Port,
    PortMode,
    State,
    Vlan,
    parts,
)
from sekisho.devices.switch.plan import Plan, plan
from sekisho.testing.switch import ALL_KINDS
from sekisho.testing.switch_rules import whole

FACTS = Facts("leaf-1", "model", "SERIAL", "1")


def trunk(name: str, allowed: str, **said: object) -> Port:
    port = whole(Port(name, mode=PortMode.TRUNK, allowed=allowed))
    return replace(port, **said)  # type: ignore[arg-type] # fields by their names


def state(*given: Part) -> State:
    features = (Feature(n, enabled=True) for n in ("lacp", "vpc", "svi", "vxlan"))
    return State(FACTS, parts(Vlan(1, "default", 0), *features, *given))


def planned(before: State, *said: Part, **marks: object) -> Plan:
    intent = replace(Intent("leaf-1", parts(*said)), **marks)  # type: ignore[arg-type] # likewise
    return plan(intent, before, ALL_KINDS)


def sentences(found: Plan) -> list[list[str]]:
    return [[words.sentence(step) for step in stage] for stage in found.stages]


def risks(found: Plan) -> list[tuple[str, bool]]:
    return [(r.kind.value, r.forbidden) for r in found.risks]
