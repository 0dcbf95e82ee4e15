"""A switch as it is, written as a document: State in, TOML out that loads to an intent with nothing to do."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sekisho.devices.switch.document import Connection
    from sekisho.devices.switch.intent import State


def export(state: State, connection: Connection) -> str:
    """Write a state as the text of a switch's document; it holds the switch's secrets."""
    raise NotImplementedError
