"""A switch as it is, taken as what it should be: State in, Intent or the text of a document out."""

from __future__ import annotations

from dataclasses import fields, replace
from typing import TYPE_CHECKING, Any

from sekisho.devices.switch.intent import Intent, Port, PortMode
from sekisho.devices.switch.overlay import FIXED, MIRRORED

if TYPE_CHECKING:
    from sekisho.devices.switch.document import Connection
    from sekisho.devices.switch.intent import Part, State

# What a port has besides its addresses when it is no switched port.
SWITCHED = ("access", "native", "allowed", "edge", "bpdu_guard")


def taken(state: State, switch: str) -> Intent:
    """Take what a switch is as what it should be; of each fact only the one end that says it."""
    said = {k: p for k, part in state.parts.items() if k not in FIXED or k == ("system",) if (p := _said(part))}
    return Intent(switch, said)


def export(state: State, connection: Connection) -> str:
    """Write a state as the text of a switch's document; it holds the switch's secrets."""
    raise NotImplementedError


def _said(part: Part) -> Part:
    if not isinstance(part, Port):
        return part
    unsaid = {"channel", *(MIRRORED if part.channel else ())}
    if part.mode is PortMode.ROUTED:
        unsaid |= set(SWITCHED)
    blank: dict[str, Any] = {f.name: None for f in fields(part) if f.name in unsaid}
    return replace(part, **blank)
