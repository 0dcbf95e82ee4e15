"""From what a switch should be and what it is to what must be done, in which order, and what that risks."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Collection

    from sekisho.devices.switch.driver import Abilities, Step
    from sekisho.devices.switch.intent import Intent, State
    from sekisho.devices.switch.risk import Risk


@dataclass(frozen=True, slots=True)
class Plan:
    """What must be done on one switch: `stages` one after the other, the steps of one in any order.

    Two plans of the same `fingerprint` do the same from the same beginning: one that was made again and
    has another fingerprint tells that the first has gone stale.
    """

    switch: str
    fingerprint: str
    stages: tuple[tuple[Step, ...], ...] = ()
    risks: tuple[Risk, ...] = ()

    def __bool__(self) -> bool:
        return bool(self.stages)

    @property
    def steps(self) -> tuple[Step, ...]:
        """List all steps in their order."""
        return tuple(step for stage in self.stages for step in stage)

    def forbidden(self, allowed: Collection[str] = ()) -> tuple[Risk, ...]:
        """List the risks that forbid applying it, but for the kinds that were allowed by name."""
        return tuple(r for r in self.risks if r.forbidden and r.kind not in allowed)


def plan(intent: Intent, state: State, abilities: Abilities) -> Plan:
    """Plan a switch's way from a state to its intent; without stages when nothing differs.

    Raises Malformed whose `problems` are all that cannot be: an interface that is not there, a VLAN that
    the switch keeps for itself, a kind of part that it does not have.
    """
    raise NotImplementedError


def check(intent: Intent, state: State, abilities: Abilities) -> tuple[str, ...]:
    """List, one sentence each, what of an intent cannot be on the switch that is in this state."""
    raise NotImplementedError
