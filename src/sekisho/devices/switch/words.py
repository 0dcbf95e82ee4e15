"""Keys and steps in the operator's words; what is secret is named and never shown."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sekisho.devices.switch.driver import Step
    from sekisho.devices.switch.intent import Key


def name(key: Key) -> str:
    """Name a part: ``VLAN 10``, ``port Ethernet1/1``."""
    raise NotImplementedError


def sentence(step: Step) -> str:
    """Say what a step does: ``VLAN 10: name web -> front``."""
    raise NotImplementedError
