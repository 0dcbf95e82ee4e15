"""An intent laid over a state: what the switch should be altogether, with what is not mentioned left alone."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sekisho.devices.switch.driver import Abilities
    from sekisho.devices.switch.intent import Intent, State


def wanted(intent: Intent, state: State, abilities: Abilities) -> State:
    """Lay an intent over a state."""
    raise NotImplementedError
