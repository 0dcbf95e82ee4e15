"""What somebody wants of which switches: names in, switches and units out, or what speaks against it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from sekisho.devices.switch.plan import plan
from sekisho.model.errors import Conflict, Malformed, NotFound

if TYPE_CHECKING:
    from sekisho.app.switches_changes import Purpose
    from sekisho.devices.switch.change import Work
    from sekisho.devices.switch.document import Switch
    from sekisho.devices.switch.driver import Abilities, SwitchDriver
    from sekisho.devices.switch.intent import State
    from sekisho.devices.switch.work import Intended
    from sekisho.model.switch import Wanted

# So many switches are changed at once at most.
MOST: Final = 64


def named(known: Mapping[str, Switch], names: Sequence[str]) -> list[Switch]:
    """Find the switches that are named, all where none is; raises NotFound."""
    unknown = [n for n in names if n not in known]
    if unknown:
        raise NotFound(f"There is no switch {unknown[0]!r}: it has no file.")
    return [known[n] for n in sorted(set(names) or known)]


def whole(known: Mapping[str, Switch], names: Sequence[str]) -> list[Switch]:
    """Find the switches that are named, and whoever is of a pair with one of them."""
    wanted = {s.name: s for s in named(known, names)}
    wanted |= {s.peer: known[s.peer] for s in tuple(wanted.values()) if s.peer in known}
    return [wanted[n] for n in sorted(wanted)]


def units(switches: Sequence[Switch]) -> list[list[Switch]]:
    """Put the two of a pair together."""
    named = {s.name: s for s in switches}
    units: list[list[Switch]] = []
    taken: set[str] = set()
    for switch in switches:
        if switch.name not in taken:
            unit = [switch, *([named[switch.peer]] if switch.peer in named else [])]
            taken.update(s.name for s in unit)
            units.append(unit)
    return units


def need(switches: Sequence[Switch], wanted: Wanted) -> None:
    """Refuse to change what nobody named, or what somebody who looked at plans has not looked at."""
    told = (
        (not wanted.switches, "switches: name those to be changed."),
        (not wanted.reason.strip(), "reason: say why."),
        (wanted.canary < 0, "canary: 0 or more."),
        (not 1 <= wanted.parallel <= MOST, f"parallel: 1 to {MOST}."),
        (wanted.budget < 0, "budget: 0 or more."),
    )
    wrong = tuple(sentence for is_wrong, sentence in told if is_wrong)
    if wrong:
        raise Malformed("Nothing was changed.", problems=wrong)
    unseen = [s.name for s in switches if wanted.plans and s.name not in wanted.plans]
    if unseen:
        raise Malformed(
            f"There is no plan for {', '.join(unseen)}: it is changed together with its pair. Plan both."
        )


@dataclass(frozen=True, slots=True)
class Late:
    """A purpose that is known only once the switch can be asked."""

    make: Callable[[SwitchDriver], Purpose]

    def prepare(self, driver: SwitchDriver, state: State, abilities: Abilities) -> Work:
        """Ask, and see what there is to do."""
        return self.make(driver).prepare(driver, state, abilities)


@dataclass(frozen=True, slots=True)
class Same:
    """A purpose for the switch that `check` knows, and for none that answers in its place."""

    purpose: Purpose
    check: Callable[[State], None]

    def prepare(self, driver: SwitchDriver, state: State, abilities: Abilities) -> Work:
        """See what there is to do; raises Unavailable for another switch."""
        self.check(state)
        return self.purpose.prepare(driver, state, abilities)


@dataclass(frozen=True, slots=True)
class Along:
    """The other one of a pair in a repair of `first`: as its file says already, or repaired with it.

    `agreed` is asked about the fingerprint of its plan: what nobody agreed to is not done on the way.
    """

    purpose: Intended
    first: str
    agreed: Callable[[str], bool]

    def prepare(self, driver: SwitchDriver, state: State, abilities: Abilities) -> Work:
        """Plan; raises Conflict for what nobody agreed to, else as `Intended` does."""
        mine = self.purpose
        found = plan(mine.intent, state, abilities, mine.secret)
        if found and not self.agreed(found.fingerprint):
            raise Conflict(
                f"{mine.intent.switch} is of a pair with {self.first} and differs from its file, too, and "
                f"nobody has agreed to change that. Look at both and change both: sekisho switch plan "
                f"{self.first}."
            )
        return mine.prepare(driver, state, abilities)
