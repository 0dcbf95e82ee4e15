"""From what a switch should be and what it is to what must be done, in which order, and what that risks."""

from __future__ import annotations

import hashlib
import hmac
import json
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, TypeAlias

from sekisho.devices.switch import order, risk
from sekisho.devices.switch.intent import Community, Trap, User
from sekisho.devices.switch.overlay import values, wanted
from sekisho.devices.switch.possible import impossible
from sekisho.model.errors import Malformed

if TYPE_CHECKING:
    from collections.abc import Collection

    from sekisho.devices.switch.driver import Abilities, Step
    from sekisho.devices.switch.intent import Intent, Key, Part, State
    from sekisho.devices.switch.order import Stages
    from sekisho.devices.switch.risk import Risk


Ends: TypeAlias = "tuple[Intent, State, Abilities]"  # where a plan ends, where it begins, what there is


@dataclass(frozen=True, slots=True)
class Plan:
    """What must be done on one switch: `stages` one after the other, the steps of one in any order.

    Two plans of the same `fingerprint` do the same from the same beginning: one that was made again and
    has another fingerprint tells that the first has gone stale. It covers secrets if it was made with a key.
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
        return risk.untaken(self.risks, allowed)


def plan(intent: Intent, state: State, abilities: Abilities, secret: bytes = b"") -> Plan:
    """Plan a switch's way from a state to its intent; without stages when nothing differs.

    `secret` is the key under which the fingerprint covers passwords and communities, too; without one they
    are left out of it. Only fingerprints under the same key can be compared.

    Raises Malformed whose `problems` are all that cannot be: an interface that is not there, a VLAN that
    the switch keeps for itself, a kind of part that it does not have.
    """
    target = wanted(intent, state, abilities)
    problems = impossible(intent, state, target, abilities)
    if problems:
        count = f"{len(problems)} thing{'s' * (len(problems) != 1)}"
        raise Malformed(
            f"{intent.switch}: {count} of its intent cannot be on it; nothing was changed.",
            "\n".join(problems),
            problems,
        )
    stages = order.stages(state.parts, target.parts)
    risks = risk.risks(intent, state.parts, target.parts) if stages else ()
    return Plan(intent.switch, _fingerprint(intent, state, stages, risks, secret), stages, risks)


def check(intent: Intent, state: State, abilities: Abilities) -> tuple[str, ...]:
    """List, one sentence each, what of an intent cannot be on the switch that is in this state."""
    return impossible(intent, state, wanted(intent, state, abilities), abilities)


def pair_risks(one: Ends, other: Ends) -> tuple[Risk, ...]:
    """Name what would differ between the two switches of a pair once both are as they should be."""
    return risk.pair(*(wanted(intent, state, abilities).parts for intent, state, abilities in (one, other)))


def _fingerprint(intent: Intent, state: State, stages: Stages, risks: tuple[Risk, ...], secret: bytes) -> str:
    """Hash the switch, the steps with what they begin from and end at, the risks and the intent's own marks.

    What is secret is hashed under a key or not at all: whoever sees a plain hash could guess at it.
    """
    told = _values if secret else _open
    keys = sorted if secret else _shown
    marks = [sorted(intent.exclusive), intent.owned, sorted(intent.uplinks), keys(intent.management)]
    said = [
        [intent.switch, state.facts.serial, marks, keys(intent.absent)],
        [[(told(s.before), told(s.after)) for s in stage] for stage in stages],
        [(r.kind, r.sentence) for r in risks],
    ]
    return hmac.new(secret, json.dumps(said, default=repr).encode(), hashlib.sha256).hexdigest()[:16]


def _shown(keys: Collection[Key]) -> list[Key]:
    return sorted(k for k in keys if k[0] != "community")


def _values(part: Part | None) -> tuple[object, ...] | None:
    return None if part is None else values(part)


def _open(part: Part | None) -> tuple[object, ...] | None:
    match part:
        case None:
            return None
        case Community():
            return values(replace(part, name=""))
        case Trap():
            return values(replace(part, community=""))
        case User():
            return values(replace(part, password=""))
        case _:
            return values(part)
